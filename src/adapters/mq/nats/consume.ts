import type { Msg } from '@nats-io/transport-node';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Batch, ConsumeRequest } from '../broker.ts';
import { batchBytesOf, Gathering, sizeOf } from '../gathering.ts';
import { within } from '../waiting.ts';
import { type Durable, durableOf, replayConsumer } from './consumers.ts';
import { deliveryOf, Holding } from './held.ts';
import type { Session } from './link.ts';
import { Puller } from './pull.ts';

/** The server's own end of a request; where its answer gets lost, this is the client's. */
const graceMs = 2000;
/** How long what ends waits until messages are back. */
const releaseMs = 2_000;

interface Wanted {
  count: number;
  /** Undefined where one message may be as large as it is. */
  bytes: number | undefined;
  waitMs: number;
  signal: AbortSignal;
  onMessage(message: Msg): void;
}

interface Pulled {
  count: number;
  /** Whether the next message is larger than the bytes that were wanted. */
  isTooLarge: boolean;
}

/** Resolves when the server has answered the request. It sends no more than that: nothing is left on its way. @throws StepError; the signal's reason */
function pull(
  session: Session,
  durable: Durable,
  { count, bytes, waitMs, signal, onMessage }: Wanted,
): Promise<Pulled> {
  const { promise, resolve, reject } = Promise.withResolvers<Pulled>();
  let came = 0;
  const puller = new Puller(session, durable, {
    onMessage(message) {
      came += 1;
      onMessage(message);
      if (came >= count) resolve({ count: came, isTooLarge: false });
    },
    onFailure: reject,
    onShort: (_, isTooLarge) => resolve({ count: came, isTooLarge }),
  });
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const timer = setTimeout(() => resolve({ count: came, isTooLarge: false }), waitMs + graceMs);
  puller.ask(count, bytes, waitMs);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    puller.stop();
  });
}

interface Gathered {
  gathering: Gathering;
  signal: AbortSignal;
  onMessage(message: Msg): void;
}

/** Takes what is there; where that is nothing, waits for one, and takes what came with it. */
async function gather(session: Session, durable: Durable, { gathering, signal, onMessage }: Gathered): Promise<void> {
  const take = (message: Msg) => {
    onMessage(message);
    gathering.took(sizeOf(deliveryOf(message)));
  };
  const wanted = { signal, onMessage: take };
  for (let waits = false; !gathering.satisfied; ) {
    const { messages, bytes } = gathering.room;
    const { leftMs } = gathering;
    if (waits && leftMs <= 0) return;
    const [count, waitMs] = waits ? [1, leftMs] : [messages, 0];
    const pulled = await pull(session, durable, { ...wanted, count, bytes, waitMs });
    if (pulled.isTooLarge) {
      if (gathering.count > 0) return;
      // Larger than all that the batch may have: it is taken alone.
      await pull(session, durable, { ...wanted, count: 1, bytes: undefined, waitMs: 0 });
      return;
    }
    if (waits && pulled.count === 0) return;
    waits = !waits;
  }
}

export async function consumeBatch(session: Session, { params, max, waitMs, signal }: ConsumeRequest): Promise<Batch> {
  const durable = await durableOf(session, params, signal);
  const holding = new Holding(session, durable);
  const messages: Msg[] = [];
  const onMessage = (message: Msg) => {
    holding.add(message);
    messages.push(message);
  };
  try {
    const gathering = new Gathering({ max, bytesMax: batchBytesOf(params), waitMs });
    await gather(session, durable, { gathering, signal, onMessage });
  } catch (thrown) {
    await within(releaseMs, Promise.allSettled(messages.map((one) => holding.giveBack(one))));
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

/** How long to wait for what is known to be there. */
const replayWaitMs = 1_000;

/** Reads what is there now, for no group. */
export async function replayBatch(session: Session, { params, max, signal }: ConsumeRequest): Promise<Batch> {
  const consumer = await replayConsumer(session, params, signal);
  const messages: Msg[] = [];
  try {
    const count = Math.min(max, consumer.pending);
    const gathering = new Gathering({ max: count, bytesMax: batchBytesOf(params), waitMs: replayWaitMs });
    await gather(session, consumer, { gathering, signal, onMessage: (message) => void messages.push(message) });
  } finally {
    await within(releaseMs, session.manager.consumers.delete(consumer.stream, consumer.consumer));
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
