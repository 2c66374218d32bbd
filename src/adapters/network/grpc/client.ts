import type { DescMethod } from '@bufbuild/protobuf';
import { type Client, status as Status } from '@grpc/grpc-js';
import { deadlineOf } from '../../../kit/deadline.ts';
import { PoolCache } from '../../../kit/pools.ts';
import { retrying } from '../../../kit/retry.ts';
import { isStoredData, RowSink, readRows } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { Egress } from '../../../ports/egress.ts';
import { Connection } from './connection.ts';
import { type Descriptors, descriptorLimits, descriptorsOfTexts, methodOf } from './descriptors.ts';
import { type Call, streaming, unary } from './exchange.ts';
import { decode, encode } from './message.ts';
import { reflect } from './reflection.ts';
import { type GrpcRequest, mainProto, readRequest } from './request.ts';
import { CallFailed, type Ended, failureOf, metadataJson, neverReached, statusJson, statusName } from './status.ts';

/** Sets of .proto texts whose descriptors are kept. */
const textsKept = 20;
/** Decoded messages that wait to be put aside together. */
const batchSize = 256;

interface Step {
  params: JSONObject;
  request: GrpcRequest;
  context: AdapterContext;
  connection: Connection;
  call: Call;
}

/** Calls of gRPC services, with channels that stay open between them. */
export class GrpcCaller {
  readonly #egress: Egress;
  readonly #channels = new PoolCache<Connection>();
  /** In the order of their last use, the oldest first. */
  readonly #texts = new Map<string, Descriptors>();

  constructor(egress: Egress) {
    this.#egress = egress;
  }

  async call(params: JSONObject, context: AdapterContext): Promise<JSONObject> {
    context.signal.throwIfAborted();
    const request = readRequest(params, context.idempotency_key);
    const { target, options, service, method } = request;
    const deadline = deadlineOf(context, options.timeout, 'NETWORK_TIMEOUT', `${service}/${method}`);
    const call: Call = {
      path: `/${service}/${method}`,
      metadata: request.metadata,
      signal: deadline.signal,
      deadlineMs: Date.now() + deadline.ms,
    };
    const key = JSON.stringify([context.tenant_id, target, options.max_bytes]);
    try {
      return await this.#channels.use(
        key,
        () => Promise.resolve(new Connection(target, this.#egress, options.max_bytes)),
        (connection) => this.#tries({ params, request, context, connection, call }),
        context.signal,
      );
    } finally {
      deadline.done();
    }
  }

  close(): Promise<void> {
    return this.#channels.close();
  }

  async #tries(step: Step): Promise<JSONObject> {
    const { request, call } = step;
    const { retry, idempotent } = request.options;
    const statuses = retry.statuses ?? ['UNAVAILABLE'];
    const what = `${request.service}/${request.method}`;
    let safe = idempotent ?? false;
    let sent = false;
    try {
      return await retrying(
        {
          attempts: retry.attempts + 1,
          signal: call.signal,
          ...(retry.base_ms === undefined ? {} : { baseMs: retry.base_ms }),
          ...(retry.max_ms === undefined ? {} : { maxMs: retry.max_ms }),
          ...(retry.backoff === undefined ? {} : { backoff: retry.backoff }),
          ...(retry.jitter === undefined ? {} : { jitter: retry.jitter }),
          again: (thrown) =>
            thrown instanceof CallFailed
              ? neverReached(thrown.ended) || (safe && statuses.includes(statusName(thrown.ended.status.code)))
              : thrown instanceof StepError && thrown.code === 'HOST_NOT_FOUND',
        },
        async () => {
          const client = step.connection.ready() ?? (await unlessAborted(step.connection.client(), call.signal));
          try {
            const descriptors =
              request.protos === undefined ? await this.#describe(step) : this.#compiled(request.protos);
            const method = methodOf(descriptors, request);
            safe = idempotent ?? method.idempotency !== 0;
            sent = true;
            return await run(step, client, method, descriptors);
          } catch (thrown) {
            if (thrown instanceof CallFailed && neverReached(thrown.ended)) {
              sent = false;
              step.connection.renew(client);
            }
            throw thrown;
          }
        },
      );
    } catch (thrown) {
      const { authority } = request.target;
      const error =
        thrown instanceof CallFailed
          ? failureOf(thrown.ended, { what, authority, deadlineMs: call.deadlineMs })
          : thrown;
      throw safe || !sent || error === step.context.signal.reason ? error : doneMaybe(error, thrown);
    }
  }

  async #describe({ request, connection, call }: Step): Promise<Descriptors> {
    const known = connection.describedBefore(request.service);
    if (known !== undefined) return known;
    const client = await unlessAborted(connection.temporary(descriptorLimits.binaryBytes), call.signal);
    try {
      const descriptors = await reflect(client, call, request.service);
      connection.remember(request.service, descriptors);
      return descriptors;
    } finally {
      client.close();
    }
  }

  #compiled(protos: ReadonlyMap<string, string>): Descriptors {
    const [only] = protos.values();
    // The one text is its own key: no copy, no digest.
    const key = protos.size === 1 && only !== undefined && protos.has(mainProto) ? only : JSON.stringify([...protos]);
    const known = this.#texts.get(key);
    // Anew at the end: the first is the one that goes.
    if (known !== undefined && this.#texts.size > 1) this.#texts.delete(key);
    const descriptors = known ?? descriptorsOfTexts(protos);
    this.#texts.set(key, descriptors);
    for (const oldest of this.#texts.keys()) {
      if (this.#texts.size <= textsKept) break;
      this.#texts.delete(oldest);
    }
    return descriptors;
  }
}

/** Nobody knows whether the server did the work, unless it says that it did not: whoever calls again must know that. */
function doneMaybe(error: unknown, thrown: unknown): unknown {
  if (!(error instanceof StepError) || !error.retryable) return error;
  const refusals: readonly number[] = [Status.RESOURCE_EXHAUSTED, Status.ABORTED];
  if (thrown instanceof CallFailed && refusals.includes(thrown.ended.status.code)) return error;
  return new StepError(error.code, `${error.message}; it may have taken effect, so it is not tried again`, {
    cause: thrown,
  });
}

async function run(step: Step, client: Client, method: DescMethod, descriptors: Descriptors): Promise<JSONObject> {
  const { params } = step;
  const streamsIn = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
  if (!streamsIn && params.messages !== undefined)
    throw new StepError('INVALID_PARAMS', `params.messages: ${method.name} takes one message; give params.message`);
  if (streamsIn && params.message !== undefined && params.messages !== undefined)
    throw new StepError('INVALID_PARAMS', 'params: give either message or messages');
  return method.methodKind === 'unary'
    ? callUnary(step, client, method, descriptors)
    : callStreaming(step, client, method, descriptors);
}

/** The end of a call with a status that the step expects: only one that came from the server. */
function endedAsExpected(thrown: unknown, { request, call }: Step): Ended {
  if (!(thrown instanceof CallFailed) || neverReached(thrown.ended)) throw thrown;
  const { code } = thrown.ended.status;
  const timedOut = code === Status.DEADLINE_EXCEEDED && Date.now() >= call.deadlineMs;
  if (timedOut || !request.accepted.has(code)) throw thrown;
  return thrown.ended;
}

const jsonOptions = ({ options }: GrpcRequest) => ({ defaults: options.defaults, protoNames: options.proto_names });

async function callUnary(
  step: Step,
  client: Client,
  method: DescMethod,
  descriptors: Descriptors,
): Promise<JSONObject> {
  const { params, request, call } = step;
  const bytes = encode(method.input, params.message ?? {}, descriptors, ['message']);
  const answered = await unary(client, call, bytes).catch((thrown: unknown) => endedAsExpected(thrown, step));
  if (!('message' in answered)) return answer({ message: null }, answered, null);
  const { message, ended } = answered;
  const json = decode(method.output, message, descriptors, jsonOptions(request));
  return answer({ message: json }, ended, json);
}

async function callStreaming(
  step: Step,
  client: Client,
  method: DescMethod,
  descriptors: Descriptors,
): Promise<JSONObject> {
  const { request, context, call } = step;
  const { max_messages, max_total_bytes, max_inline } = request.options;
  const single = method.methodKind === 'client_streaming';
  const sink = new RowSink(context, max_inline);
  let batch: JSONValue[] = [];
  let bytesTotal = 0;
  const flush = (): Promise<void> => {
    const rows = batch;
    batch = [];
    // Messages of types with a JSON form of their own (wrappers, timestamps) are no objects, which the sink does not mind.
    return sink.add(rows as JSONObject[]);
  };
  let count = 0;
  const take = (bytes: Buffer): boolean | Promise<boolean> => {
    bytesTotal += bytes.length;
    count += 1;
    if (bytesTotal > max_total_bytes)
      throw new StepError(
        'RESPONSE_TOO_LARGE',
        `the answer is larger than ${max_total_bytes} bytes (options.max_total_bytes)`,
      );
    if (single && count > 1)
      throw new StepError('RESPONSE_INVALID', `${method.name} answered with more than one message`);
    batch.push(decode(method.output, bytes, descriptors, jsonOptions(request)));
    const more = single || count < max_messages;
    return batch.length < batchSize ? more : flush().then(() => more);
  };
  const requests = await requestsOf(step, method, descriptors);
  const ended = await streaming(client, call, requests, take).catch((thrown: unknown) => ({
    ...endedAsExpected(thrown, step),
    stopped: false,
  }));
  if (single) {
    const [json] = batch;
    if (ended.status.code !== Status.OK) return answer({ message: null }, ended, null);
    if (json === undefined) throw new StepError('RESPONSE_INVALID', `${method.name} answered without a message`);
    return answer({ message: json }, ended, json);
  }
  await flush();
  const rows = await sink.end();
  const { stopped } = ended;
  const messages: JSONValue =
    'rows' in rows ? rows.rows : { ...rows.stored, chunks: rows.stored.chunks.map((chunk) => ({ ...chunk })) };
  return answer({ messages, message_count: rows.row_count, stopped }, ended, messages);
}

/** The requests as bytes. A list is encoded whole before the call, so that a mistake in it is found before anything is sent. */
async function requestsOf(
  { params, context }: Step,
  { input, methodKind }: DescMethod,
  descriptors: Descriptors,
): Promise<AsyncIterable<Buffer>> {
  const { message, messages } = params;
  if (messages === undefined || methodKind === 'server_streaming')
    return inTurn([encode(input, message ?? {}, descriptors, ['message'])]);
  if (Array.isArray(messages)) {
    const encoded: Buffer[] = [];
    for (const [index, one] of messages.entries()) {
      encoded.push(encode(input, one, descriptors, ['messages', index]));
      if (index % 1000 === 999) await new Promise(setImmediate);
    }
    return inTurn(encoded);
  }
  if (!isStoredData(messages))
    throw new StepError('INVALID_PARAMS', 'params.messages must be a list, or what a step has stored');
  return stored(messages, context, (one, index) => encode(input, one, descriptors, ['messages', index]));
}

async function* inTurn(encoded: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* encoded;
}

async function* stored(
  messages: JSONValue,
  context: AdapterContext,
  encoded: (message: JSONValue, index: number) => Buffer,
): AsyncGenerator<Buffer> {
  let index = 0;
  for await (const rows of readRows(messages, 'params.messages', context))
    for (const row of rows) {
      yield encoded(row, index);
      index += 1;
    }
}

const answer = (body: JSONObject, { status, headers }: Ended, result: JSONValue): JSONObject => ({
  ...body,
  metadata: metadataJson(headers),
  trailers: metadataJson(status.metadata),
  status: statusJson(status),
  result,
});

/** What can't be cancelled itself, such as the look-up of a name. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
    promise.catch(() => undefined);
  }
}
