import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { clip } from '../../../lib/clip.ts';
import { messageOf, StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { RunDeps } from '../infer/run-model.ts';
import { headerLength, message } from './codec.ts';
import { Refusal, type Reply } from './reply.ts';
import { bodyOf, drain, type Load, withinLoad } from './request-load.ts';
import { infer, metadata, type ServedModel } from './served-model.ts';

const connectionsMax = 1024;
/** How long requests under way may take once the server closes. */
const closeMs = 5_000;
const extensions = ['binary_tensor_data'];

/** What access is decided by. */
export interface Caller {
  /** Of the other end of the connection. */
  address: string;
  header(name: string): string | undefined;
}

export interface ServeOptions {
  /** Throws where a caller may not use the models; what tells that the server lives is open to all. Default: everyone may. */
  admit?: ((caller: Caller) => void) | undefined;
  /** PEM. With `ca` every client must show a certificate that it signed. Default: plain text. */
  tls?: { cert?: string; key?: string; ca?: string } | undefined;
  host: string;
  /** 0: any that is free. */
  port: number;
  version: string;
  deps: RunDeps;
  /** How long the model may take over one request. Default 60,000. */
  timeoutMs?: number;
}

export interface ModelServer {
  host: string;
  port: number;
  /** Takes no more requests, waits a little for those under way, and ends. */
  close(): Promise<void>;
}

interface Serving {
  models: ReadonlyMap<string, ServedModel>;
  options: ServeOptions;
  load: Load;
}

/** Serves models by the Open Inference Protocol v2 (REST, with binary tensors). Rows of concurrent requests run together. */
export async function serveModels(models: readonly ServedModel[], options: ServeOptions): Promise<ModelServer> {
  const serving: Serving = {
    models: new Map(models.map((model) => [model.name, model])),
    options,
    load: { requests: 0, bytes: 0 },
  };
  const times = { requestTimeout: 60_000, headersTimeout: 10_000, connectionsCheckingInterval: 5_000 };
  const listener: RequestListener = (request, response) => void answer(request, response, serving);
  const { tls } = options;
  const server =
    tls === undefined
      ? createServer(times, listener)
      : createSecureServer(
          { ...times, ...tls, minVersion: 'TLSv1.3', requestCert: tls.ca !== undefined, handshakeTimeout: 10_000 },
          listener,
        );
  server.maxConnections = connectionsMax;
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  return { host: options.host, port, close: () => close(server) };
}

const listen = (server: Server, { host, port }: ServeOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });

async function close(server: Server): Promise<void> {
  const timer = setTimeout(() => server.closeAllConnections(), closeMs);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
  clearTimeout(timer);
}

async function answer(request: IncomingMessage, response: ServerResponse, serving: Serving): Promise<void> {
  try {
    send(response, await reply(request, serving));
  } catch (thrown) {
    await drain(request);
    // What was sent after it can't be told apart from the next request.
    if (!request.complete) response.setHeader('connection', 'close');
    const headers = thrown instanceof Refusal ? thrown.headers : {};
    send(response, { status: statusOf(thrown), json: { error: clip(messageOf(thrown), 2_000) }, headers });
  }
}

const mistakes = ['INVALID_PARAMS', 'ML_INPUT_MISMATCH', 'ML_TENSOR_TOO_LARGE', 'ML_NOT_BATCHED', 'ML_RUN_FAILED'];

function statusOf(thrown: unknown): number {
  if (thrown instanceof Refusal) return thrown.status;
  if (!(thrown instanceof StepError)) return 500;
  return mistakes.includes(thrown.code) ? 400 : thrown.retryable ? 503 : 500;
}

function send(response: ServerResponse, { status, json, tail = [], headers: others = {} }: Reply): void {
  if (response.headersSent || response.destroyed) return;
  const { body, headers } = message(json, tail);
  response.writeHead(status, { ...headers, ...others, 'content-length': body.length });
  response.end(body);
}

const ok = (json: JSONObject): Reply => ({ status: 200, json });

async function reply(request: IncomingMessage, { models, options, load }: Serving): Promise<Reply> {
  // No URL is made of it: a hostile one would be none.
  const [pathname = ''] = (request.url ?? '').split('?');
  const open = openReply(pathname);
  if (open !== undefined) {
    checkMethod(request, 'GET');
    return open;
  }
  options.admit?.({
    address: request.socket.remoteAddress ?? '',
    header: (name) => request.headers[name]?.toString(),
  });
  if (pathname === '/v2' || pathname === '/v2/') {
    checkMethod(request, 'GET');
    return ok({ name: 'jsonflow', version: options.version, extensions });
  }
  const found = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(ready|infer))?$/.exec(pathname);
  if (found === null) throw new Refusal(404, `there is nothing at ${pathname.slice(0, 200)}`);
  const [, name = '', version, action] = found;
  const model = models.get(decoded(name));
  if (model === undefined || (version !== undefined && version !== '1'))
    throw new Refusal(
      404,
      `there is no model "${decoded(name)}"${version === undefined ? '' : ` of version ${version}`}`,
    );
  checkMethod(request, action === 'infer' ? 'POST' : 'GET');
  if (action === 'ready') return ok({ name: model.name, ready: true });
  if (action === undefined) return ok(metadata(model));
  const jsonLength = request.headers[headerLength]?.toString();
  return withinLoad(load, async (grow) => infer(model, await bodyOf(request, grow), jsonLength, options));
}

/** What an orchestrator asks, without a token. */
function openReply(pathname: string): Reply | undefined {
  if (pathname === '/v2/health/live') return ok({ live: true });
  return pathname === '/v2/health/ready' ? ok({ ready: true }) : undefined;
}

/** @throws Refusal where the method is another. HEAD goes with GET. */
function checkMethod({ method }: IncomingMessage, allowed: 'GET' | 'POST'): void {
  if (method === allowed || (method === 'HEAD' && allowed === 'GET')) return;
  throw new Refusal(405, `${method} is not for this address`, { allow: allowed === 'GET' ? 'GET, HEAD' : allowed });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Refusal(400, 'the address has a broken escape');
  }
}
