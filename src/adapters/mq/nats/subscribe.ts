import type { Msg } from '@nats-io/transport-node';
import type { StepError } from '../../../lib/errors.ts';
import type { Incoming, SubscribeRequest, Subscription } from '../broker.ts';
import { heldBytesOf, sizeOf } from '../gathering.ts';
import { within } from '../waiting.ts';
import { durableOf } from './consumers.ts';
import { deliveryOf, Holding } from './held.ts';
import type { Session } from './link.ts';
import { Puller } from './pull.ts';

const pollMs = 10_000;
/** The server's own end of a request; where its answer gets lost, this is the client's. */
const graceMs = 2_000;
/** How long a subscription that ends waits until what it holds is back. */
const releaseMs = 2_000;

/** Keeps asking for as much as there is room for; what is unsettled and what was asked for never exceed `prefetch` or the bytes. */
export async function subscribe(session: Session, request: SubscribeRequest): Promise<Subscription> {
  const { params, prefetch, onMessage, signal } = request;
  const bytesMax = heldBytesOf(params);
  const durable = await durableOf(session, params, signal);
  const holding = new Holding(session, durable);
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  ended.catch(() => undefined);
  const held = new Map<Msg, number>();
  let heldBytes = 0;
  /** Messages, and bytes, that may still come by what was asked for. */
  let asked = 0;
  let askedBytes = 0;
  /** The next message is larger than the room that there is. */
  let isTooLarge = false;
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const puller = new Puller(session, durable, {
    onMessage(message) {
      const delivery = deliveryOf(message);
      const size = sizeOf(delivery);
      asked = Math.max(0, asked - 1);
      askedBytes = asked === 0 ? 0 : Math.max(0, askedBytes - size);
      held.set(message, size);
      heldBytes += size;
      holding.add(message);
      onMessage({ delivery, ...settling(message) });
      fill();
    },
    onFailure: (thrown) => void end(thrown),
    onShort(count, tooLarge) {
      asked = Math.max(0, asked - count);
      if (asked === 0) askedBytes = 0;
      isTooLarge ||= tooLarge;
      fill();
    },
  });
  const fill = () => {
    const alone = held.size === 0 && asked === 0;
    const count = isTooLarge ? 1 : prefetch - held.size - asked;
    const bytes = bytesMax - heldBytes - askedBytes;
    // Asked for one by one, or bit by bit, every message would cost a request.
    if (over || count < 1 || (asked > 0 && count < prefetch / 2)) return;
    if (!alone && (isTooLarge || bytes < bytesMax / 2)) return;
    asked += count;
    askedBytes += bytes;
    puller.ask(count, isTooLarge ? undefined : bytes, pollMs);
    isTooLarge = false;
    clearTimeout(timer);
    timer = setTimeout(() => {
      asked = 0;
      askedBytes = 0;
      fill();
    }, pollMs + graceMs);
    timer.unref();
  };
  const settled = (message: Msg) => {
    heldBytes -= held.get(message) ?? 0;
    held.delete(message);
    fill();
  };
  const settling = (message: Msg): Omit<Incoming, 'delivery'> => ({
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
    if (thrown === undefined)
      await within(releaseMs, Promise.allSettled([...held.keys()].map((message) => holding.giveBack(message))));
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
