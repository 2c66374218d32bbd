import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { clip } from '../../../lib/clip.ts';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { fitInputs, type ReadyModel, type RunDeps, runRows } from '../infer/run-model.ts';
import type { TensorInfo } from '../model/info.ts';
import { datatypeOf, decodeTensors, encodeTensors, headerLength, message, parseMessage } from './codec.ts';

const requestsMax = 256;
const bodyBytesMax = 64 * 1024 * 1024;
/** How long requests under way may take once the server closes. */
const closeMs = 5_000;
const extensions = ['binary_tensor_data'];

export interface ServedModel extends ReadyModel {
  name: string;
}

export interface ServeOptions {
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
}

/** What goes wrong in a request, with the status that says so. */
class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

/** Serves models by the Open Inference Protocol v2 (REST, with binary tensors). Rows of concurrent requests run together. */
export async function serveModels(models: readonly ServedModel[], options: ServeOptions): Promise<ModelServer> {
  const byName = new Map(models.map((model) => [model.name, model]));
  let underWay = 0;
  const server = createServer({ requestTimeout: 60_000, headersTimeout: 10_000 }, (request, response) => {
    if (underWay >= requestsMax) {
      request.resume();
      return send(response, { status: 503, json: { error: 'too many requests are under way; try again later' } });
    }
    underWay += 1;
    void answer(request, response, byName, options).finally(() => {
      underWay -= 1;
    });
  });
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

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  models: ReadonlyMap<string, ServedModel>,
  options: ServeOptions,
): Promise<void> {
  try {
    send(response, await reply(request, models, options));
  } catch (thrown) {
    // What was sent after it can't be told apart from the next request.
    if (!request.complete) response.setHeader('connection', 'close');
    send(response, { status: statusOf(thrown), json: { error: clip(messageOf(thrown), 2_000) } });
  }
}

const mistakes = ['INVALID_PARAMS', 'ML_INPUT_MISMATCH', 'ML_TENSOR_TOO_LARGE', 'ML_NOT_BATCHED', 'ML_RUN_FAILED'];

function statusOf(thrown: unknown): number {
  if (thrown instanceof Refusal) return thrown.status;
  if (!(thrown instanceof StepError)) return 500;
  return mistakes.includes(thrown.code) ? 400 : thrown.retryable ? 503 : 500;
}

function send(response: ServerResponse, { status, json, tail = [] }: Reply): void {
  if (response.headersSent || response.destroyed) return;
  const { body, headers } = message(json, tail);
  response.writeHead(status, { ...headers, 'content-length': body.length });
  response.end(body);
}

async function reply(
  request: IncomingMessage,
  models: ReadonlyMap<string, ServedModel>,
  options: ServeOptions,
): Promise<Reply> {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const ok = (json: JSONObject): Reply => ({ status: 200, json });
  if (pathname === '/v2' || pathname === '/v2/') return ok({ name: 'jsonflow', version: options.version, extensions });
  if (pathname === '/v2/health/live') return ok({ live: true });
  if (pathname === '/v2/health/ready') return ok({ ready: true });
  const found = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(ready|infer))?$/.exec(pathname);
  if (found === null) throw new Refusal(404, `there is nothing at ${pathname.slice(0, 200)}`);
  const [, name = '', version, action] = found;
  const model = models.get(decoded(name));
  if (model === undefined || (version !== undefined && version !== '1'))
    throw new Refusal(
      404,
      `there is no model "${decoded(name)}"${version === undefined ? '' : ` of version ${version}`}`,
    );
  if (request.method !== (action === 'infer' ? 'POST' : 'GET'))
    throw new Refusal(405, `${request.method} is not for this address`);
  if (action === 'ready') return ok({ name: model.name, ready: true });
  if (action === undefined) return ok(metadata(model));
  return infer(model, await bodyOf(request), headerOf(request), options);
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

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > bodyBytesMax) throw new Refusal(413, `a request has at most ${bodyBytesMax} bytes`);
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
