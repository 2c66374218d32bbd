import type { JSONObject } from '../../../lib/json.ts';
import type { OutgoingMessage, PublishRequest } from '../broker.ts';
import { optionsOf, queueOf, refuseParams } from '../params.ts';
import { argumentsOf } from './entry.ts';
import { redisError } from './errors.ts';
import type { Argument, Link, Reply } from './link.ts';
import { publishScript } from './scripts.ts';

/** Messages and bytes of one call: Redis does nothing else meanwhile. */
const callMessagesMax = 250;
const callBytesMax = 1024 * 1024;
const callsAtOnce = 4;
/** How long a repetition is known. */
const markMs = 7 * 24 * 3_600_000;

interface Call {
  first: number;
  args: Argument[];
}

/** Adds the messages of a step to a stream, each once, however often this is called. */
export async function publish(link: Link, request: PublishRequest): Promise<JSONObject> {
  const { params, idPrefix, dedupe, signal } = request;
  refuseParams(params, ['exchange', 'routing_key'], 'Redis Streams');
  const options = optionsOf(params);
  refuseParams(options, ['priority', 'expiration', 'partition'], 'Redis Streams');
  const stream = queueOf(params);
  const maxLength = typeof options.max_length === 'number' ? options.max_length : 0;
  const keys = [stream, `${stream}:jsonflow:published:${idPrefix}`];
  const settings = [dedupe ? '1' : '0', String(markMs), String(maxLength)];
  const output: JSONObject = { stream };
  const begun: Promise<Reply>[] = [];
  try {
    for (const { first, args } of callsOf(request)) {
      const call = link.script(publishScript, keys, [String(first), ...settings, ...args], signal);
      call.catch(() => undefined);
      begun.push(call);
      // In order, so one that finds those before it missing adds nothing either.
      if (begun.length >= callsAtOnce) note(await begun.shift(), output);
    }
    for (const call of begun) note(await call, output);
  } catch (thrown) {
    signal.throwIfAborted();
    throw redisError(thrown, `publishing to the stream ${stream}`, 'PUBLISH_FAILED');
  }
  return output;
}

function note(reply: Reply | undefined, output: JSONObject): void {
  const [added, , last] = reply as [number, Buffer, Buffer];
  if (added > 0) output.last_entry_id = last.toString();
}

function* callsOf({ messages, firstIndex }: PublishRequest): Generator<Call> {
  let call: Call = { first: firstIndex, args: [] };
  let count = 0;
  let bytes = 0;
  for (const message of messages) {
    call.args.push(...argumentsOf(message));
    count += 1;
    bytes += sizeOf(message);
    if (count < callMessagesMax && bytes < callBytesMax) continue;
    yield call;
    call = { first: call.first + count, args: [] };
    count = 0;
    bytes = 0;
  }
  if (count > 0) yield call;
}

const sizeOf = ({ id, body }: OutgoingMessage): number => id.length + body.length;
