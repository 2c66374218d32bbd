import { abortable } from '../../kit/abortable.ts';
import { deadlineOf } from '../../kit/deadline.ts';
import { reachOf } from '../../kit/reach.ts';
import { retrying } from '../../kit/retry.ts';
import { messageOf, StepError } from '../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../lib/json.ts';
import type { AdapterContext } from '../../ports/adapter.ts';
import type { Batch, Broker } from './broker.ts';
import type { BrokerName, Brokers } from './connect.ts';
import { type Read, read, readingOf } from './incoming.ts';
import { queueOf } from './params.ts';
import { within } from './waiting.ts';

const maxDefault = 100;
const waitMsDefault = 1_000;
/** What taking a batch may take beyond the wait. */
const timeoutMsDefault = 30_000;
const attempts = 3;
/** How long a step that is over waits until its messages are back with the broker. */
const releaseMs = 2_000;
/** How long a broker may take to settle a batch. After that it gets back what is unsettled when its connections are closed. */
const settleMs = 60_000;
/** Messages that are settled one by one at once. */
const settledAtOnce = 16;
const never = new AbortController().signal;

/** Takes a batch of messages, holds it until the step's receipt is durable, and acknowledges it then. */
export async function consume(brokers: Brokers, params: JSONObject, context: AdapterContext): Promise<JSONValue> {
  const queue = queueOf(params);
  const name = { text: String(params.broker), reach: reachOf(context), tenantId: context.tenant_id };
  const { batch, letGo } = await hold(brokers, name, (broker) => takeBatch(broker, params, context), context.signal);
  try {
    const reading = readingOf(params);
    const all = batch.deliveries.map((delivery) => read(delivery, reading));
    const poison = all.flatMap((one, index) => ('poison' in one ? [{ index, reason: one.poison }] : []));
    await eachOf(poison, ({ index, reason }) => batch.reject(index, reason));
    context.signal.throwIfAborted();
    const good = all.filter((one): one is Exclude<Read, { poison: string }> => !('poison' in one));
    const messages = good.map(({ message }) => message);
    const settled = settler(batch, params, context, letGo);
    context.afterCommit(settled.ack, settled.giveBack);
    return {
      messages,
      deliveries: good.map(({ delivery }) => delivery),
      count: messages.length,
      queue,
      dead_lettered: poison.length,
      result: messages,
    };
  } catch (thrown) {
    await within(releaseMs, bounded(batch.release()).finally(letGo));
    throw thrown;
  }
}

/** What is taken stays with its connections until `letGo` is called: a pool must not close what holds messages. */
async function hold(
  brokers: Brokers,
  name: BrokerName,
  take: (broker: Broker) => Promise<Batch>,
  signal: AbortSignal,
): Promise<{ batch: Batch; letGo: () => void }> {
  const taken = Promise.withResolvers<Batch>();
  const done = Promise.withResolvers<void>();
  brokers
    .use(
      name,
      async (broker) => {
        taken.resolve(await take(broker));
        await done.promise;
      },
      signal,
    )
    .catch(taken.reject);
  return { batch: await taken.promise, letGo: () => done.resolve() };
}

async function takeBatch(broker: Broker, params: JSONObject, context: AdapterContext): Promise<Batch> {
  const { max_messages: max = maxDefault, wait_ms = waitMsDefault } = params;
  const waitMs = Number(wait_ms);
  const deadline = deadlineOf(context, waitMs + timeoutMsDefault, 'MQ_TIMEOUT', 'consuming');
  const options = {
    attempts,
    signal: deadline.signal,
    again: (thrown: unknown) => thrown instanceof StepError && thrown.code === 'CONNECTION_FAILED' && thrown.retryable,
  };
  try {
    const take = (): Promise<Batch> => broker.consume({ params, max: Number(max), waitMs, signal: deadline.signal });
    // What a broker that answers late has for a step that is over goes back.
    const late = (batch: Batch): void => void bounded(batch.release()).catch(() => undefined);
    return await retrying(options, () => abortable(take(), deadline.signal, late));
  } finally {
    deadline.done();
  }
}

function settler(
  batch: Batch,
  { retry_delay_ms: delay = 0 }: JSONObject,
  { log }: AdapterContext,
  letGo: () => void,
): { ack(): Promise<void>; giveBack(): Promise<void> } {
  const settle = async (how: () => Promise<void>, what: string): Promise<void> => {
    try {
      await bounded(how());
    } catch (thrown) {
      log.warn(`${what}: ${messageOf(thrown)}; the messages come again`);
    } finally {
      letGo();
    }
  };
  return {
    ack: () => settle(() => batch.ack(), 'the messages could not be acknowledged'),
    giveBack: () =>
      settle(async () => {
        if (typeof delay === 'number' && delay > 0)
          await eachOf([...batch.deliveries.keys()], (index) => batch.retryLater(index, delay));
        await batch.release();
      }, 'the messages could not be given back'),
  };
}

async function bounded(settling: Promise<void>): Promise<void> {
  const time = deadlineOf({ signal: never, deadline_ms: undefined }, settleMs, 'MQ_TIMEOUT', 'the broker');
  try {
    await abortable(settling, time.signal);
  } finally {
    time.done();
  }
}

async function eachOf<T>(items: readonly T[], body: (item: T) => Promise<void>): Promise<void> {
  for (let index = 0; index < items.length; index += settledAtOnce)
    await Promise.all(items.slice(index, index + settledAtOnce).map(body));
}
