import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { clip } from '../../../lib/clip.ts';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { fitInputs, type ReadyModel, type RunDeps, runRows } from '../infer/run-model.ts';
import type { TensorInfo } from '../model/info.ts';
import { datatypeOf, decodeTensors, encodeTensors, headerLength, message, parseMessage } from './codec.ts';

/** Requests for a model at once, and what their bodies may take: one, and all together. */
const requestsMax = 256;
const bodyBytesMax = 64 * 1024 * 1024;
const bodiesBytesMax = 512 * 1024 * 1024;
const connectionsMax = 1024;
/** What is still taken of a request that is refused. */
const drainBytesMax = 16 * 1024 * 1024;
const drainMs = 1_000;
/** How long requests under way may take once the server closes. */
const closeMs = 5_000;
const extensions = ['binary_tensor_data'];

export interface ServedModel extends ReadyModel {
  name: string;
}

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

interface Reply {
  status: number;
  json: JSONObject;
  tail?: Uint8Array[];
  headers?: Record<string, string>;
}

/** What goes wrong in a request, with the status that says so. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly headers: Record<string, string>;
  constructor(status: number, text: string, headers: Record<string, string> = {}) {
    super(text);
    this.status = status;
    this.headers = headers;
  }
}

/** What all requests together take. */
interface Load {
  requests: number;
  bytes: number;
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

/** Takes what little is left of a refused request: whoever still sends when the connection ends may never see the answer. */
function drain(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    let size = 0;
    const done = (): void => {
      clearTimeout(timer);
      request.off('data', take).off('end', done).off('close', done).pause();
      resolve();
    };
    const take = (part: Buffer): void => {
      size += part.length;
      if (size > drainBytesMax) done();
    };
    const timer = setTimeout(done, drainMs);
    request.on('data', take).once('end', done).once('close', done);
  });
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
  return withinLoad(load, async (grow) => infer(model, await bodyOf(request, grow), headerOf(request), options));
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

/** @param work calls `grow` before it keeps so many more bytes @throws Refusal 503 where all requests together would be too many or take too much */
async function withinLoad<T>(load: Load, work: (grow: (bytes: number) => void) => Promise<T>): Promise<T> {
  const tooMuch = (): Refusal =>
    new Refusal(503, 'too many requests are under way; try again later', { 'retry-after': '1' });
  if (load.requests >= requestsMax) throw tooMuch();
  let mine = 0;
  load.requests += 1;
  try {
    return await work((bytes) => {
      if (load.bytes + bytes > bodiesBytesMax) throw tooMuch();
      mine += bytes;
      load.bytes += bytes;
    });
  } finally {
    load.requests -= 1;
    load.bytes -= mine;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Refusal(400, 'the address has a broken escape');
  }
}

function headerOf({ headers }: IncomingMessage): string | undefined {
  const value = headers[headerLength];
  return typeof value === 'string' ? value : undefined;
}

async function bodyOf(request: IncomingMessage, grow: (bytes: number) => void): Promise<Buffer> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity')
    throw new Refusal(415, 'the body must not be compressed', { 'accept-encoding': 'identity' });
  const tooLarge = (): Refusal => new Refusal(413, `a request has at most ${bodyBytesMax} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) throw tooLarge();
  const parts: Buffer[] = [];
  let size = 0;
  // Left early, the connection stays open for the refusal.
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > bodyBytesMax) throw tooLarge();
    grow(part.length);
    parts.push(part);
  }
  return Buffer.concat(parts, size);
}

const metadata = ({ name, info, model }: ServedModel): JSONObject => ({
  name,
  versions: ['1'],
  platform: model.kind === 'onnx' ? 'onnxruntime_onnx' : 'tensorflowjs',
  inputs: info.inputs.map(tensorMetadata),
  outputs: info.outputs.map(tensorMetadata),
});

const tensorMetadata = ({ name, dtype, shape }: TensorInfo): JSONObject => ({
  name,
  datatype: datatypeOf(dtype),
  shape: (shape ?? [-1]).map((length) => (typeof length === 'number' ? length : -1)),
});

async function infer(
  model: ServedModel,
  body: Buffer,
  length: string | undefined,
  { deps, timeoutMs = 60_000 }: ServeOptions,
): Promise<Reply> {
  const { json, tail } = parseMessage(body, length);
  const inputs = fitInputs(
    complete(await decodeTensors(json.inputs, tail, 'inputs'), model),
    { preprocess: undefined },
    model,
    'inputs',
  );
  const wanted = outputsOf(json.outputs ?? [], model);
  // A client that leaves ends nothing: stopping a run costs its process, and with it the warm model.
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new Refusal(504, `the model took longer than ${timeoutMs} ms`)), timeoutMs);
  const options = { batchSize: undefined, dynamicBatching: undefined, outputs: [...wanted.keys()] };
  const { outputs } = await runRows(model, inputs, options, deps, {
    signal: stop.signal,
    resources: {},
    progress: () => undefined,
  }).finally(() => clearTimeout(timer));
  const byDefault = isObject(json.parameters) && json.parameters.binary_data_output === true;
  const { entries, tail: bytes } = encodeTensors(outputs, (name) => wanted.get(name) ?? byDefault);
  const id: JSONObject = typeof json.id === 'string' ? { id: json.id } : {};
  return { status: 200, json: { model_name: model.name, model_version: '1', ...id, outputs: entries }, tail: bytes };
}

function complete<T>(inputs: Record<string, T>, { info }: ServedModel): Record<string, T> {
  const names = info.inputs.map(({ name }) => name);
  const absent = names.find((name) => !Object.hasOwn(inputs, name));
  const unknown = Object.keys(inputs).find((name) => !names.includes(name));
  if (absent === undefined && unknown === undefined) return inputs;
  throw new Refusal(
    400,
    `${unknown === undefined ? `the input "${absent}" is missing` : `"${unknown}" is no input`}; the model's inputs are ${names.join(', ')}`,
  );
}

/** Outputs that are asked for, and whether as bytes; undefined: as is said for all. */
function outputsOf(list: JSONValue, { info }: ServedModel): Map<string, boolean | undefined> {
  if (!Array.isArray(list)) throw new Refusal(400, 'outputs must be a list');
  const names = info.outputs.map(({ name }) => name);
  return new Map(
    list.map((entry) => {
      const { name, parameters } = isObject(entry) ? entry : {};
      if (typeof name !== 'string' || !names.includes(name))
        throw new Refusal(
          400,
          `${JSON.stringify(name ?? null)} is no output; the model's outputs are ${names.join(', ')}`,
        );
      const binary = isObject(parameters) ? parameters.binary_data : undefined;
      return [name, typeof binary === 'boolean' ? binary : undefined];
    }),
  );
}
