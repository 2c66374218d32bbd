import type { Msg } from '@nats-io/transport-node';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Batch, ConsumeRequest, Incoming, SubscribeRequest, Subscription } from '../broker.ts';
import { type Durable, durableOf, replayConsumer } from './consumers.ts';
import { deliveryOf, Holding, placeOf } from './held.ts';
import type { Session } from './link.ts';
import { integerOf } from './names.ts';
import { Puller } from './pull.ts';

const bytesMaxDefault = 32 * 1024 * 1024;
/** The server's own end of a request; where its answer gets lost, this is the client's. */
const graceMs = 2000;

interface Wanted {
  max: number;
  bytesMax: number;
  waitMs: number;
  signal: AbortSignal;
  onMessage(message: Msg): void;
}

/** Resolves when enough has come, or nothing more will in time. @throws StepError; the signal's reason */
function pullUntil(
  session: Session,
  durable: Durable,
  { max, bytesMax, waitMs, signal, onMessage }: Wanted,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let count = 0;
  let bytes = 0;
  const puller = new Puller(session, durable, {
    onMessage(message) {
      count += 1;
      bytes += message.data.length;
      onMessage(message);
      if (count >= max || bytes >= bytesMax) resolve();
    },
    onFailure: reject,
    onShort: () => resolve(),
  });
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const timer = setTimeout(resolve, waitMs + graceMs);
  puller.ask(max, waitMs);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    puller.stop();
  });
}

export async function consumeBatch(session: Session, { params, max, waitMs, signal }: ConsumeRequest): Promise<Batch> {
  const bytesMax = integerOf(params, 'max_bytes', [1, 1024 * 1024 * 1024]) ?? bytesMaxDefault;
  const durable = await durableOf(session, params, signal);
  const holding = new Holding(session, durable);
  const messages: Msg[] = [];
  const take = (message: Msg) => {
    holding.add(message);
    messages.push(message);
  };
  try {
    await pullUntil(session, durable, { max, bytesMax, waitMs, signal, onMessage: take });
  } catch (thrown) {
    await Promise.allSettled(messages.map((one) => holding.giveBack(one)));
    holding.end();
    throw thrown;
  }
  return batchOf(holding, messages, params);
}

function batchOf(holding: Holding, messages: readonly Msg[], params: JSONObject): Batch {
  const open = new Map(messages.entries());
  if (open.size === 0) holding.end();
  const one = (index: number): Msg => {
    const message = open.get(index);
    if (message === undefined)
      throw new StepError('CONSUME_FAILED', `message ${index} of the batch is settled already, or was never in it`);
    return message;
  };
  const close = (index: number) => {
    open.delete(index);
    if (open.size === 0) holding.end();
  };
  const settleAll = async (settle: (message: Msg) => Promise<void>) => {
    const rest = [...open.values()];
    open.clear();
    const settled = await Promise.allSettled(rest.map(settle));
    holding.end();
    const failed = settled.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };
  return {
    deliveries: messages.map(deliveryOf),
    ack: () => settleAll((message) => holding.ack(message)),
    release: () => settleAll((message) => holding.giveBack(message)),
    async reject(index, reason) {
      await holding.reject(one(index), reason, params);
      close(index);
    },
    async retryLater(index, delayMs) {
      await holding.giveBack(one(index), delayMs);
      close(index);
    },
  };
}

/** Reads what is there now, for no group. */
export async function replayBatch(session: Session, { params, max, signal }: ConsumeRequest): Promise<Batch> {
  const bytesMax = integerOf(params, 'max_bytes', [1, 1024 * 1024 * 1024]) ?? bytesMaxDefault;
  const consumer = await replayConsumer(session, params, signal);
  const messages: Msg[] = [];
  try {
    let bytes = 0;
    for (let left = consumer.pending; left > 0 && messages.length < max && bytes < bytesMax; ) {
      const onMessage = (message: Msg) => {
        messages.push(message);
        bytes += message.data.length;
        left = placeOf(message.reply ?? '').pending;
      };
      const before = messages.length;
      await pullUntil(session, consumer, {
        max: Math.min(max - before, left),
        bytesMax: bytesMax - bytes,
        waitMs: 1000,
        signal,
        onMessage,
      });
      if (messages.length === before) break;
    }
  } finally {
    await session.manager.consumers.delete(consumer.stream, consumer.consumer).catch(() => undefined);
  }
  const unsupported = async () => {
    throw new StepError(
      'UNSUPPORTED',
      'a replay leaves the stream as it is: its messages can be neither rejected nor retried',
    );
  };
  return {
    deliveries: messages.map((message) => ({ ...deliveryOf(message), deliveriesBefore: 0 })),
    ack: async () => undefined,
    release: async () => undefined,
    reject: unsupported,
    retryLater: unsupported,
  };
}

const subscriptionPollMs = 10_000;

/** Keeps asking for as many as there is room for; what is unsettled and what was asked for never exceed `prefetch`. */
export async function subscribeTo(
  session: Session,
  { params, prefetch, onMessage, signal }: SubscribeRequest,
): Promise<Subscription> {
  const durable = await durableOf(session, params, signal);
  const holding = new Holding(session, durable);
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  ended.catch(() => undefined);
  const held = new Set<Msg>();
  let asked = 0;
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const puller = new Puller(session, durable, {
    onMessage(message) {
      asked = Math.max(0, asked - 1);
      held.add(message);
      holding.add(message);
      onMessage(incomingOf(message));
      fill();
    },
    onFailure: (thrown) => void end(thrown),
    onShort(count) {
      asked = Math.max(0, asked - count);
      fill();
    },
  });
  const fill = () => {
    const room = prefetch - held.size - asked;
    // Asked for one by one, every message would cost a request.
    if (over || room < 1 || (asked > 0 && room < prefetch / 2)) return;
    asked += room;
    puller.ask(room, subscriptionPollMs);
    clearTimeout(timer);
    timer = setTimeout(() => {
      asked = 0;
      fill();
    }, subscriptionPollMs + graceMs);
    timer.unref();
  };
  const settled = (message: Msg) => {
    held.delete(message);
    fill();
  };
  const incomingOf = (message: Msg): Incoming => ({
    delivery: deliveryOf(message),
    ack: () => holding.ack(message).finally(() => settled(message)),
    retryLater: (delayMs) => holding.giveBack(message, delayMs).finally(() => settled(message)),
    async reject(reason) {
      await holding.reject(message, reason, params);
      settled(message);
    },
  });
  const end = async (thrown?: StepError) => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    puller.stop();
    if (thrown === undefined) await Promise.allSettled([...held].map((message) => holding.giveBack(message)));
    holding.end();
    if (thrown === undefined) resolve();
    else reject(thrown);
  };
  const onAbort = () => void end();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) await end();
  else fill();
  return {
    ended,
    async close() {
      await end();
      await ended.catch(() => undefined);
    },
  };
}
