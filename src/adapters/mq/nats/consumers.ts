import type { ConsumerConfig, ConsumerInfo } from '@nats-io/jetstream';
import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject } from '../../../lib/json.ts';
import { integerOf, paramOf } from '../params.ts';
import { jetStreamCode, jetStreamCodes, natsError } from './errors.ts';
import type { Session } from './link.ts';
import { nameOf, nanosOf, optionalSubject, plainName } from './names.ts';
import { streamOf } from './streams.ts';

/** A durable consumer that a group's members pull from. */
export interface Durable {
  stream: string;
  consumer: string;
  /** What a message may be held without a sign of life. Ms. */
  ackWaitMs: number;
}

const ackWaitMsDefault = 30_000;
const ackPendingMax = 20_000;
const replayIdleMs = 30_000;

type From = Pick<ConsumerConfig, 'deliver_policy' | 'opt_start_seq' | 'opt_start_time'>;
type DeliverPolicy = ConsumerConfig['deliver_policy'];

/** Where a new consumer, or a replay, begins. @throws StepError INVALID_PARAMS */
function fromOf(params: JSONObject): From {
  const from = paramOf(params, 'from');
  const policy = (name: string) => name as DeliverPolicy;
  if (from === undefined || from === 'earliest' || from === 'all') return { deliver_policy: policy('all') };
  if (from === 'latest' || from === 'new') return { deliver_policy: policy('new') };
  if (typeof from === 'string' && /^\d{4}-\d{2}-\d{2}/.test(from) && Number.isFinite(Date.parse(from)))
    return { deliver_policy: policy('by_start_time'), opt_start_time: new Date(from).toISOString() };
  const sequence = isObject(from) ? from.sequence : from;
  if (typeof sequence === 'number' && Number.isSafeInteger(sequence) && sequence >= 1)
    return { deliver_policy: policy('by_start_sequence'), opt_start_seq: sequence };
  throw new StepError(
    'INVALID_PARAMS',
    'params.from must be "earliest", "latest", a time such as "2026-01-31T12:00:00Z", or a sequence of the stream',
  );
}

/** The group's consumer, made where it is not there. @throws StepError */
export async function durableOf(session: Session, params: JSONObject, signal: AbortSignal): Promise<Durable> {
  const stream = await streamOf(session, params, signal);
  const subject = optionalSubject(params);
  const group = nameOf(params, 'group');
  // Groups that nobody has named are one for each subject: a consumer reads one.
  const name = group ?? `jsonflow-${plainName(subject ?? stream)}`;
  const ackWaitMs = integerOf(params, 'ack_wait_ms', [500, 24 * 60 * 60 * 1000]) ?? ackWaitMsDefault;
  const from = fromOf(params);
  try {
    const present = await infoOf(session, stream, name, signal);
    if (present !== undefined) return checked(present, stream, name, subject);
    const wish = {
      ...from,
      durable_name: name,
      ack_policy: 'explicit' as ConsumerConfig['ack_policy'],
      replay_policy: 'instant' as ConsumerConfig['replay_policy'],
      ack_wait: nanosOf(ackWaitMs),
      // Counted and put aside by the steps: a limit here would leave messages in the stream that nobody gets.
      max_deliver: -1,
      max_ack_pending: ackPendingMax,
      ...(subject === undefined ? {} : { filter_subject: subject }),
    };
    return checked(await abortable(session.manager.consumers.add(stream, wish), signal), stream, name, subject);
  } catch (thrown) {
    signal.throwIfAborted();
    throw natsError(thrown, 'CONSUME_FAILED', `preparing the consumer ${name} of the stream ${stream}`);
  }
}

async function infoOf(
  { manager }: Session,
  stream: string,
  name: string,
  signal: AbortSignal,
): Promise<ConsumerInfo | undefined> {
  try {
    return await abortable(manager.consumers.info(stream, name), signal);
  } catch (thrown) {
    if (jetStreamCode(thrown) === jetStreamCodes.consumerNotFound) return undefined;
    throw thrown;
  }
}

function checked({ config }: ConsumerInfo, stream: string, name: string, subject: string | undefined): Durable {
  const mismatch = (what: string) =>
    new StepError(
      'QUEUE_MISMATCH',
      `the consumer ${name} of the stream ${stream} exists, but ${what}; use another group`,
    );
  if (config.deliver_subject !== undefined && config.deliver_subject !== '') throw mismatch('it pushes');
  if ((config.ack_policy as string) !== 'explicit') throw mismatch('its messages are not acknowledged one by one');
  const filter = config.filter_subject ?? '';
  if (
    subject !== undefined &&
    filter !== subject &&
    !(filter === '' && config.filter_subjects === undefined && subject === '>')
  )
    throw mismatch(`it reads ${filter === '' ? 'other subjects' : filter} instead of ${subject}`);
  return { stream, consumer: name, ackWaitMs: (config.ack_wait ?? nanosOf(ackWaitMsDefault)) / 1_000_000 };
}

/** A consumer for one reading, which needs no acknowledgements. The server removes it when it is forgotten. */
export async function replayConsumer(
  session: Session,
  params: JSONObject,
  signal: AbortSignal,
): Promise<Durable & { pending: number }> {
  const stream = await streamOf(session, params, signal);
  const subject = optionalSubject(params);
  try {
    const wish = {
      ...fromOf(params),
      ack_policy: 'none' as ConsumerConfig['ack_policy'],
      replay_policy: 'instant' as ConsumerConfig['replay_policy'],
      inactive_threshold: nanosOf(replayIdleMs),
      ...(subject === undefined ? {} : { filter_subject: subject }),
    };
    const info = await abortable(session.manager.consumers.add(stream, wish), signal);
    return { stream, consumer: info.name, ackWaitMs: Number.POSITIVE_INFINITY, pending: info.num_pending };
  } catch (thrown) {
    signal.throwIfAborted();
    throw natsError(thrown, 'CONSUME_FAILED', `reading the stream ${stream}`);
  }
}
