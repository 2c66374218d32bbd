import { StepError } from '../../../lib/errors.ts';
import type { Batch, ConsumeRequest, Delivery, Incoming, SubscribeRequest, Subscription } from '../broker.ts';
import { batchBytesOf, Gathering, heldBytesOf, Portions, sizeOf } from '../gathering.ts';
import { within } from '../waiting.ts';
import type { Entry } from './entry.ts';
import type { Fetched, Group } from './group.ts';

/** How long to wait at most before looking for what others abandoned. Ms. */
const waitSliceMs = 1_000;
/** Entries of one call: Redis does nothing else meanwhile. */
const fetchMax = 1_000;
/** How long a subscription that ends waits until what it holds is back. */
const releaseMs = 2_000;

export async function consume(group: Group, { params, max, waitMs, signal }: ConsumeRequest): Promise<Batch> {
  const gathering = new Gathering({ max, bytesMax: batchBytesOf(params), waitMs });
  const portions = new Portions();
  const entries: Entry[] = [];
  try {
    while (!gathering.satisfied) {
      const { messages, bytes } = gathering.room;
      const before = gathering.bytes;
      const fetched = await group.fetch(Math.min(fetchMax, portions.next(messages, bytes)), signal);
      for (const { delivery } of fetched.entries) gathering.took(sizeOf(delivery));
      entries.push(...fetched.entries);
      portions.came(fetched.entries.length, gathering.bytes - before);
      const { leftMs } = gathering;
      if (leftMs <= 0) break;
      if (fetched.entries.length === 0) await group.wait(fetched, Math.min(leftMs, waitSliceMs), signal);
    }
    signal.throwIfAborted();
  } catch (thrown) {
    if (entries.length > 0) await within(releaseMs, group.release(entries));
    throw thrown;
  }
  return new HeldBatch(group, entries);
}

class HeldBatch implements Batch {
  readonly deliveries: readonly Delivery[];
  readonly #group: Group;
  readonly #held: Held;
  /** Undefined where it is settled. */
  readonly #entries: (Entry | undefined)[];

  constructor(group: Group, entries: Entry[]) {
    this.deliveries = entries.map(({ delivery }) => delivery);
    this.#group = group;
    this.#entries = entries;
    this.#held = new Held(group);
    for (const entry of entries) this.#held.add(entry);
  }

  async ack(): Promise<void> {
    await this.#group.ack(this.#end());
  }

  async release(): Promise<void> {
    await this.#group.release(this.#end());
  }

  async reject(index: number, reason: string): Promise<void> {
    await this.#settle(index, (entry) => this.#group.reject(entry, reason));
  }

  async retryLater(index: number, delayMs: number): Promise<void> {
    await this.#settle(index, (entry) => this.#group.retryLater(entry, delayMs));
  }

  async #settle(index: number, how: (entry: Entry) => Promise<void>): Promise<void> {
    const entry = this.#entries[index];
    if (entry === undefined) return;
    await how(entry);
    this.#entries[index] = undefined;
    this.#held.remove(entry);
  }

  #end(): Entry[] {
    const rest = this.#entries.filter((entry) => entry !== undefined);
    this.#entries.fill(undefined);
    this.#held.clear();
    return rest;
  }
}

/** Entries that this consumer holds: it says so now and then, lest they be taken for abandoned. */
class Held {
  readonly #group: Group;
  readonly #entries = new Set<Entry>();
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(group: Group) {
    this.#group = group;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(entry: Entry): void {
    this.#entries.add(entry);
    this.#bytes += sizeOf(entry.delivery);
    this.#timer ??= setInterval(() => {
      // If it fails, the connection is lost, and somebody else may take them.
      this.#group.touch([...this.#entries]).catch(() => undefined);
    }, this.#group.claimAfterMs / 3).unref();
  }

  remove(entry: Entry): void {
    if (this.#entries.delete(entry)) this.#bytes -= sizeOf(entry.delivery);
    if (this.#entries.size === 0) this.clear();
  }

  clear(): Entry[] {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const rest = [...this.#entries];
    this.#entries.clear();
    this.#bytes = 0;
    return rest;
  }
}

/** Fetches as many as there is room for, until the signal aborts or `close` is called. */
export async function subscribe(group: Group, request: SubscribeRequest): Promise<Subscription> {
  const stop = new AbortController();
  const end = (): void => stop.abort(new StepError('STEP_CANCELLED', 'the subscription ends'));
  if (request.signal.aborted) end();
  request.signal.addEventListener('abort', end, { once: true });
  // The first answer says whether the stream is there at all.
  const portions = new Portions();
  const first = await group.fetch(portions.next(request.prefetch, heldBytesOf(request.params)), stop.signal);
  const ended = deliverFrom(group, request, { first, portions }, stop.signal).finally(() =>
    request.signal.removeEventListener('abort', end),
  );
  ended.catch(() => undefined);
  return {
    ended,
    async close() {
      end();
      await ended.catch(() => undefined);
    },
  };
}

async function deliverFrom(
  group: Group,
  { params, prefetch, onMessage }: SubscribeRequest,
  { first, portions }: { first: Fetched; portions: Portions },
  stop: AbortSignal,
): Promise<void> {
  const bytesMax = heldBytesOf(params);
  const held = new Held(group);
  let wake = (): void => undefined;
  stop.addEventListener('abort', () => wake(), { once: true });
  const incomingOf = (entry: Entry): Incoming => {
    held.add(entry);
    const settle = async (how: Promise<void>): Promise<void> => {
      await how;
      held.remove(entry);
      wake();
    };
    return {
      delivery: entry.delivery,
      ack: () => settle(group.ack([entry])),
      retryLater: (delayMs) => settle(group.retryLater(entry, delayMs)),
      reject: (reason) => settle(group.reject(entry, reason)),
    };
  };
  try {
    for (let fetched = first; ; ) {
      const before = held.bytes;
      const incoming = fetched.entries.map(incomingOf);
      portions.came(incoming.length, held.bytes - before);
      for (const one of incoming) onMessage(one);
      if (stop.aborted) return;
      if (held.size >= prefetch || held.bytes >= bytesMax) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
      } else if (fetched.entries.length === 0) await group.wait(fetched, waitSliceMs, stop);
      if (stop.aborted) return;
      const room = portions.next(prefetch - held.size, bytesMax - held.bytes);
      fetched = await group.fetch(Math.min(room, fetchMax), stop);
    }
  } catch (thrown) {
    if (!stop.aborted) throw thrown;
  } finally {
    await within(releaseMs, group.release(held.clear()));
  }
}
