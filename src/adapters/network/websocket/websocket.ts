import { deadlineOf } from '../../../kit/deadline.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { hostOf } from '../../../lib/net.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { Egress } from '../../../ports/egress.ts';
import { productVersion } from '../../../protocol/version.ts';
import { authorization, has, headerList } from '../http/headers.ts';
import { checkTls, connectTimeoutMs, tlsOptions } from '../http/lane.ts';
import { numberOr, timeoutMsDefault } from '../http/options.ts';
import { tlsOf } from '../http/plan.ts';
import { addQuery, portOf, requireUrl, shownOrigin } from '../http/url.ts';
import { encodeMessage, type MessageForm } from './message.ts';
import { type Collect, Session, type SessionOptions } from './session.ts';

const bytesMaxDefault = 16 * 1024 * 1024;

/** `network_websocket`. Params and output: docs/adapters/network.md. */
export async function networkWebsocket(
  params: JSONObject,
  context: AdapterContext,
  egress: Egress,
): Promise<JSONObject> {
  const url = requireUrl(String(params.url), ['ws:', 'wss:'], 'url');
  addQuery(url, objectOf(params.query));
  const options = objectOf(params.options) ?? {};
  const settings = sessionOptions(params, options, shownOrigin(url));
  const handshake = handshakeOptions(params, options);
  const protocols = protocolsOf(params.protocols);
  const what = `the WebSocket to ${settings.where}`;
  const deadline = deadlineOf(context, numberOr(options.timeout, timeoutMsDefault), 'NETWORK_TIMEOUT', what);
  let session: Session | undefined;
  try {
    const scheme = url.protocol.slice(0, -1);
    const to = { scheme, host: hostOf(url), port: portOf(url) };
    await orAborted(egress.addresses(to, 'public'), deadline.signal);
    const { WebSocket } = await import('ws');
    deadline.signal.throwIfAborted();
    const socket = new WebSocket(url, protocols, { ...handshake, lookup: egress.lookup(to, 'public') });
    const talk = new Session(socket, settings);
    session = talk;
    deadline.signal.addEventListener('abort', () => talk.fail(deadline.signal.reason), { once: true });
    const { messages, close } = await talk.run();
    return { messages, count: messages.length, protocol: socket.protocol, close, result: messages };
  } catch (thrown) {
    const mayRepeat = session?.sent !== true || options.repeatable === true || thrown === context.signal.reason;
    throw mayRepeat ? thrown : doneMaybe(thrown);
  } finally {
    deadline.done();
  }
}

const objectOf = (value: JSONValue | undefined): JSONObject | undefined =>
  isObject(value) ? (value as JSONObject) : undefined;

const doneMaybe = (thrown: unknown): unknown =>
  thrown instanceof StepError && thrown.retryable
    ? new StepError(
        thrown.code,
        `${thrown.message}; messages were sent, so it is not tried again (options.repeatable)`,
        {
          cause: thrown,
        },
      )
    : thrown;

function sessionOptions(params: JSONObject, options: JSONObject, where: string): SessionOptions {
  const send = Array.isArray(params.send) ? params.send : [];
  return {
    send: send.map((message, index) => encodeMessage(message, `params.send[${index}]`)),
    waitReply: options.wait_reply === true,
    collect: collectOf(objectOf(params.collect)),
    form: (typeof options.parse === 'string' ? options.parse : 'auto') as MessageForm,
    messagesMax: numberOr(options.max_messages, 10_000),
    bytesMax: numberOr(options.max_bytes, bytesMaxDefault),
    pingMs: numberOr(options.ping_ms, 15_000),
    where,
  };
}

function collectOf(collect: JSONObject | undefined): Collect | undefined {
  if (collect === undefined) return undefined;
  const { count, until, duration_ms } = collect;
  return {
    count: typeof count === 'number' ? count : undefined,
    until: isObject(until)
      ? { path: String(until.path ?? ''), equals: (until.equals ?? null) as JSONValue }
      : undefined,
    durationMs: typeof duration_ms === 'number' ? duration_ms : undefined,
  };
}

function handshakeOptions(params: JSONObject, options: JSONObject) {
  const list = headerList(objectOf(params.headers));
  const authorized = authorization(objectOf(params.auth));
  if (authorized !== undefined) list.push(['authorization', authorized]);
  if (!has(list, 'user-agent')) list.push(['user-agent', `jsonflow/${productVersion}`]);
  const headers: Record<string, string> = {};
  for (const [name, value] of list) {
    if (name.startsWith('sec-websocket-'))
      throw new StepError(
        'INVALID_PARAMS',
        `params.headers: "${name}" is set by the client itself; use params.protocols`,
      );
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  const tls = tlsOf(objectOf(params.tls));
  checkTls(tls);
  return {
    ...tlsOptions(tls),
    headers,
    followRedirects: false,
    handshakeTimeout: connectTimeoutMs,
    maxPayload: numberOr(options.max_message_bytes, numberOr(options.max_bytes, bytesMaxDefault)),
  };
}

function protocolsOf(protocols: JSONValue | undefined): string[] {
  const list = Array.isArray(protocols) ? protocols.map(String) : [];
  if (new Set(list).size === list.length && list.every((one) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(one))) return list;
  throw new StepError('INVALID_PARAMS', 'params.protocols must be different names without blanks');
}

/** What a promise gives, or the signal's reason where that comes first. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
