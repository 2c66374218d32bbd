import { deadlineOf } from '../../../kit/deadline.ts';
import { reachOf } from '../../../kit/reach.ts';
import { shownUrl } from '../../../kit/url.ts';
import { clip } from '../../../lib/clip.ts';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { hostOf } from '../../../lib/net.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { Egress } from '../../../ports/egress.ts';
import type { ModelInfo, TensorInfo } from '../model/info.ts';
import type { DType } from '../tensor/dtype.ts';
import { type Tensor, tensorLimits } from '../tensor/tensor.ts';
import { decodeTensors, dtypeOf, encodeTensors, headerLength, message, parseMessage } from './codec.ts';

const timeoutMsDefault = 60_000;
/** Of what a server says of itself, or of an error. */
const smallBytesMax = 1024 * 1024;
const bodyBytesMax = tensorLimits.bytesMax;

interface Answer {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Buffer;
}

type Connection = import('undici').Agent;

/**
 * A model on a server of the Open Inference Protocol v2 (KServe, Triton, `jsonflow serve-model`), by REST.
 * Every address passes the egress rules.
 *
 * @throws StepError of each call: ML_REMOTE_FAILED (retryable for 429 and 5xx, and where the connection fails), ML_REMOTE_TIMEOUT (retryable),
 *   ML_REMOTE_INVALID where the answer doesn't keep to the protocol, EGRESS_DENIED, the signal's reason
 */
export class RemoteModel {
  /** Of the model, and of the server that has it. */
  readonly #url: URL;
  readonly #root: URL;
  readonly #agent: Connection;
  readonly #headers: Record<string, string>;
  readonly #timeoutMs: number;
  readonly #context: AdapterContext;
  #binary: boolean | undefined;
  /** What the server says that the model gives; empty where it says nothing. */
  #outputs: readonly string[] = [];

  private constructor(params: JSONObject, [root, url]: [URL, URL], agent: Connection, context: AdapterContext) {
    this.#root = root;
    this.#url = url;
    this.#agent = agent;
    this.#headers = headersOf(params.headers ?? {});
    this.#timeoutMs = typeof params.request_timeout_ms === 'number' ? params.request_timeout_ms : timeoutMsDefault;
    this.#binary = params.binary as boolean | undefined;
    this.#context = context;
  }

  /** @throws StepError INVALID_PARAMS, EGRESS_DENIED */
  static async open(params: JSONObject, context: AdapterContext, egress: Egress): Promise<RemoteModel> {
    const [root, url] = addresses(params);
    const scheme = url.protocol.slice(0, -1);
    const port = Number(url.port) || (scheme === 'https' ? 443 : 80);
    const reach = reachOf(context);
    await egress.addresses({ scheme, host: hostOf(url), port }, reach);
    const { Agent } = await import('undici');
    const connect = { lookup: egress.lookup({ scheme, port }, reach), timeout: 10_000 };
    return new RemoteModel(params, [root, url], new Agent({ connect, headersTimeout: 0, bodyTimeout: 0 }), context);
  }

  /** The model's address, without secrets. */
  get name(): string {
    return this.#context.redact(shownUrl(this.#url));
  }

  async info(): Promise<ModelInfo> {
    if (this.#binary === undefined) this.#binary = await this.#canBinary();
    const json = parsed(await this.#ask('', undefined, smallBytesMax), this.name).json;
    const info = { inputs: this.#tensors(json.inputs, 'inputs'), outputs: this.#tensors(json.outputs, 'outputs') };
    this.#outputs = info.outputs.map(({ name }) => name);
    return info;
  }

  /** As `Runner.run`. */
  async run(inputs: Readonly<Record<string, Tensor>>, outputs: readonly string[]): Promise<Record<string, Tensor>> {
    const binary = this.#binary === true;
    const { entries, tail } = encodeTensors(inputs, () => binary);
    const json: JSONObject = {
      inputs: entries,
      ...(outputs.length === 0
        ? {}
        : { outputs: outputs.map((name) => ({ name, ...(binary ? { parameters: { binary_data: true } } : {}) })) }),
      ...(binary && outputs.length === 0 ? { parameters: { binary_data_output: true } } : {}),
    };
    const { json: answer, tail: bytes } = parsed(
      await this.#ask('/infer', message(json, tail), bodyBytesMax),
      this.name,
    );
    const given = await decodeTensors(answer.outputs, bytes, 'outputs').catch((thrown) => {
      throw invalid(this.name, messageOf(thrown));
    });
    return this.#wanted(given, outputs.length === 0 ? this.#outputs : outputs);
  }

  /** Neither less than was asked for, nor more. */
  #wanted(given: Readonly<Record<string, Tensor>>, names: readonly string[]): Record<string, Tensor> {
    if (names.length === 0) return given;
    return Object.fromEntries(
      names.map((name) => {
        const tensor = Object.hasOwn(given, name) ? given[name] : undefined;
        if (tensor === undefined) throw invalid(this.name, `its answer has no output "${name}"`);
        return [name, tensor];
      }),
    );
  }

  async close(): Promise<void> {
    await this.#agent.destroy().catch(() => undefined);
  }

  /** What a server doesn't say it can, is not asked of it. */
  async #canBinary(): Promise<boolean> {
    const answer = await this.#request(this.#root, undefined, smallBytesMax);
    if (answer.status !== 200) return false;
    const { extensions } = parsed(answer, this.name).json;
    return (
      Array.isArray(extensions) && extensions.some((name) => name === 'binary_tensor_data' || name === 'binary_data')
    );
  }

  #tensors(list: unknown, what: string): TensorInfo[] {
    if (!Array.isArray(list)) throw invalid(this.name, `it doesn't say what its ${what} are`);
    return list.map((entry) => {
      if (!isObject(entry) || typeof entry.name !== 'string' || !Array.isArray(entry.shape))
        throw invalid(this.name, `one of its ${what} has no name or shape`);
      const shape = entry.shape.map(Number);
      if (!shape.every((length) => Number.isSafeInteger(length)))
        throw invalid(this.name, `the shape of "${entry.name}" is ${JSON.stringify(entry.shape)}`);
      return { name: entry.name, dtype: this.#dtype(entry.datatype, entry.name), shape };
    });
  }

  #dtype(datatype: unknown, name: string): DType {
    try {
      return dtypeOf(datatype, `the datatype of "${name}"`);
    } catch (thrown) {
      throw new StepError('ML_UNSUPPORTED_MODEL', `${this.name}: ${messageOf(thrown)}`);
    }
  }

  async #ask(path: string, sent: ReturnType<typeof message> | undefined, bytesMax: number): Promise<Answer> {
    const url = new URL(this.#url);
    url.pathname += path;
    const answer = await this.#request(url, sent, bytesMax);
    if (answer.status === 200) return answer;
    const { status } = answer;
    throw new StepError(
      'ML_REMOTE_FAILED',
      `${this.name} answered ${status}${this.#context.redact(reasonIn(answer.body))}${status === 401 || status === 403 ? ' (a token goes into params.headers, as { "authorization": "Bearer …" })' : ''}`,
      { retryable: status === 429 || status >= 500 },
    );
  }

  async #request(url: URL, sent: ReturnType<typeof message> | undefined, bytesMax: number): Promise<Answer> {
    const { request } = await import('undici');
    const { signal, done } = deadlineOf(
      this.#context,
      this.#timeoutMs,
      'ML_REMOTE_TIMEOUT',
      `the request to ${this.name}`,
    );
    try {
      const { statusCode, headers, body } = await request(url.href, {
        dispatcher: this.#agent,
        signal,
        method: sent === undefined ? 'GET' : 'POST',
        headers: { ...this.#headers, ...sent?.headers },
        ...(sent === undefined ? {} : { body: sent.body }),
      });
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const part of body as AsyncIterable<Uint8Array>) {
        size += part.length;
        if (size > bytesMax)
          throw invalid(this.name, `it answered with more than the ${bytesMax} bytes that are allowed`);
        parts.push(part);
      }
      return { status: statusCode, headers, body: Buffer.concat(parts, size) };
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      if (thrown instanceof StepError) throw thrown;
      const { code } = thrown as { code?: unknown };
      throw new StepError(
        'ML_REMOTE_FAILED',
        `${this.name} can't be reached: ${typeof code === 'string' ? code : 'the connection failed'}`,
        { retryable: true },
      );
    } finally {
      done();
    }
  }
}

/** Of the server's metadata, and of the model. @throws StepError INVALID_PARAMS */
function addresses({ url: text, model, model_name, model_version }: JSONObject): [root: URL, model: URL] {
  const url = typeof text === 'string' ? URL.parse(text) : null;
  if (
    url === null ||
    (url.protocol !== 'http:' && url.protocol !== 'https:') ||
    url.username !== '' ||
    url.password !== ''
  )
    throw new StepError(
      'INVALID_PARAMS',
      'params.url must be the http or https URL of the server, without user name and password',
    );
  const name = model_name ?? model;
  if (typeof name !== 'string')
    throw new StepError('INVALID_PARAMS', 'params.model_name is needed: what the server calls the model');
  const version = typeof model_version === 'string' ? `/versions/${segment(model_version, 'model_version')}` : '';
  url.hash = '';
  url.pathname = `${url.pathname.replace(/\/(?:v2\/?)?$/, '')}/v2`;
  const root = new URL(url);
  url.pathname += `/models/${segment(name, 'model_name')}${version}`;
  return [root, url];
}

/** One step of a path. Dots would lead elsewhere. */
function segment(name: string, param: string): string {
  if (name === '.' || name === '..')
    throw new StepError('INVALID_PARAMS', `params.${param} can't be ${JSON.stringify(name)}`);
  return encodeURIComponent(name);
}

/** Names that say how a message is read: they are the client's own. */
const ownHeaders =
  /^(?:connection|content-.*|expect|host|inference-header-content-length|keep-alive|te|trailer|transfer-encoding|upgrade)$/;

/** @throws StepError INVALID_PARAMS; no value is in its message, for it may be a secret */
function headersOf(given: JSONValue): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given as Record<string, string>)) {
    const lower = name.toLowerCase();
    const shown = `params.headers[${JSON.stringify(clip(name, 100))}]`;
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(lower))
      throw new StepError('INVALID_PARAMS', `${shown} is no name of a header`);
    if (ownHeaders.test(lower)) throw new StepError('INVALID_PARAMS', `${shown} can't be set: it is the request's own`);
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      throw new StepError('INVALID_PARAMS', `${shown} has a character that no header may have, such as a line break`);
    headers[lower] = value;
  }
  return headers;
}

const invalid = (name: string, why: string): StepError =>
  new StepError('ML_REMOTE_INVALID', `${name} doesn't keep to the Open Inference Protocol: ${why}`);

function parsed({ body, headers }: Answer, name: string): ReturnType<typeof parseMessage> {
  const length = headers[headerLength];
  try {
    return parseMessage(body, typeof length === 'string' ? length : undefined);
  } catch (thrown) {
    throw invalid(name, messageOf(thrown));
  }
}

function reasonIn(body: Buffer): string {
  try {
    const json: unknown = JSON.parse(body.toString());
    return isObject(json) && typeof json.error === 'string'
      ? `: ${clip(json.error.replace(/\p{Cc}+/gu, ' '), 500)}`
      : '';
  } catch {
    return '';
  }
}
