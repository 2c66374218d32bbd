import type { StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { integerOf, paramOf } from '../params.ts';
import { jetStreamCode, jetStreamCodes, natsError } from './errors.ts';
import type { Session } from './link.ts';
import { nameOf, nanosOf, optionalSubject, plainName } from './names.ts';

type Wish = Partial<StreamConfig> & { name: string; subjects: string[] };

const dayMs = 24 * 60 * 60 * 1000;
const largest = Number.MAX_SAFE_INTEGER;

/** What a step wants of a stream. Defaults are left out of `asked`: they are not compared with what is there. @throws StepError INVALID_PARAMS */
function streamWish(params: JSONObject): { wish: Wish; asked: Partial<StreamConfig> } {
  const subjects = subjectsOf(params);
  const name = nameOf(params, 'stream') ?? plainName(subjects[0] ?? '');
  const retention = oneOf(params, 'retention', ['limits', 'workqueue', 'interest']);
  const storage = oneOf(params, 'storage', ['file', 'memory']);
  const discard = oneOf(params, 'discard', ['old', 'new']);
  const maxAgeMs = integerOf(params, 'max_age_ms', [1000, 1000 * 365 * dayMs]);
  const windowMs = integerOf(params, 'duplicate_window_ms', [100, 365 * dayMs]);
  const bounds = {
    max_msgs: integerOf(params, 'max_length', [1, largest]),
    max_bytes: integerOf(params, 'max_length_bytes', [1, largest]),
    max_msg_size: integerOf(params, 'max_message_bytes', [1, 2 ** 31 - 1]),
    num_replicas: integerOf(params, 'replicas', [1, 5]),
    max_age: maxAgeMs === undefined ? undefined : nanosOf(maxAgeMs),
    duplicate_window: windowMs === undefined ? undefined : nanosOf(windowMs),
  };
  const asked = defined({ retention, storage, discard, ...bounds }) as Partial<StreamConfig>;
  // The server takes no window beyond the age of the messages.
  const duplicate_window = nanosOf(Math.min(dayMs, maxAgeMs ?? dayMs));
  const defaults = { retention: 'limits', storage: 'file', num_replicas: 1, duplicate_window };
  return { wish: { ...(defaults as Partial<StreamConfig>), ...asked, name, subjects }, asked };
}

function subjectsOf(params: JSONObject): string[] {
  const list = paramOf(params, 'subjects');
  if (Array.isArray(list) && list.length > 0 && list.every((one) => typeof one === 'string')) return list as string[];
  if (list !== undefined) throw new StepError('INVALID_PARAMS', 'params.subjects must be a list of NATS subjects');
  const subject = optionalSubject(params) ?? nameOf(params, 'stream');
  if (subject === undefined) throw new StepError('INVALID_PARAMS', 'params.subject (or queue) is missing');
  return [subject];
}

function oneOf(params: JSONObject, name: string, allowed: readonly string[]): string | undefined {
  const value = paramOf(params, name);
  if (value === undefined) return undefined;
  if (typeof value === 'string' && allowed.includes(value)) return value;
  throw new StepError('INVALID_PARAMS', `params.${name} must be one of ${allowed.join(', ')}`);
}

const defined = (object: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

/** @throws StepError QUEUE_MISMATCH */
export async function createStream({ manager }: Session, params: JSONObject, signal: AbortSignal): Promise<JSONObject> {
  const { wish, asked } = streamWish(params);
  const { name, subjects } = wish;
  const done = (created: boolean, { config }: StreamInfo): JSONObject => ({
    created,
    stream: name,
    subjects: config.subjects ?? [],
  });
  try {
    const present = await abortable(manager.streams.info(name), signal).catch((thrown: unknown) => {
      if (jetStreamCode(thrown) === jetStreamCodes.streamNotFound) return undefined;
      throw thrown;
    });
    if (present !== undefined) return done(false, compared(present, subjects, asked));
    return done(true, await abortable(manager.streams.add(wish), signal));
  } catch (thrown) {
    signal.throwIfAborted();
    const code = jetStreamCode(thrown);
    if (code === jetStreamCodes.streamNameInUse)
      return done(false, compared(await manager.streams.info(name), subjects, asked));
    if (code === jetStreamCodes.subjectsOverlap)
      throw new StepError('QUEUE_MISMATCH', `another stream takes messages of ${subjects.join(', ')} already`, {
        cause: thrown,
      });
    throw natsError(thrown, 'QUEUE_MISMATCH', `creating the stream ${name}`);
  }
}

function compared(present: StreamInfo, subjects: readonly string[], asked: Partial<StreamConfig>): StreamInfo {
  const { name, subjects: has = [] } = present.config;
  const differ = (what: string, is: unknown, wanted: unknown) =>
    new StepError(
      'QUEUE_MISMATCH',
      `the stream ${name} exists with ${what} ${String(is)} instead of ${String(wanted)}; use another name, or change it with NATS's own tools`,
    );
  if ([...has].sort().join(' ') !== [...subjects].sort().join(' '))
    throw differ('the subjects', has.join(', '), subjects.join(', '));
  for (const [key, wanted] of Object.entries(asked)) {
    const is = (present.config as unknown as Record<string, unknown>)[key];
    if (is !== wanted) throw differ(key, is, wanted);
  }
  return present;
}

/** The stream that a step reads: the one it names, or the one that takes its subject. @throws StepError QUEUE_NOT_FOUND */
export async function streamOf({ manager }: Session, params: JSONObject, signal: AbortSignal): Promise<string> {
  const named = nameOf(params, 'stream');
  if (named !== undefined) return named;
  const subject = optionalSubject(params);
  if (subject === undefined)
    throw new StepError('INVALID_PARAMS', 'params.queue is missing (also written subject or stream)');
  try {
    return await abortable(manager.streams.find(subject), signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const missing =
      thrown instanceof Error &&
      (thrown.message.includes('no stream matches') || jetStreamCode(thrown) === jetStreamCodes.streamNotFound);
    if (!missing) throw natsError(thrown, 'CONSUME_FAILED', `finding the stream of ${subject}`);
    throw new StepError('QUEUE_NOT_FOUND', `no stream takes messages of ${subject}; create one with mq_create_queue`, {
      cause: thrown,
    });
  }
}

/** Deletes all messages of the subject, or of the stream where it is named without a subject. */
export async function purgeStream(session: Session, params: JSONObject, signal: AbortSignal): Promise<number> {
  const stream = await streamOf(session, params, signal);
  const filter = optionalSubject(params);
  try {
    const purging = session.manager.streams.purge(stream, filter === undefined ? undefined : { filter });
    return (await abortable(purging, signal)).purged;
  } catch (thrown) {
    signal.throwIfAborted();
    throw natsError(thrown, 'PURGE_FAILED', `purging the stream ${stream}`);
  }
}
