import { StepError } from '../../../lib/errors.ts';
import type { Batch, ConsumeRequest, Delivery, Incoming, SubscribeRequest, Subscription } from '../broker.ts';
import type { Entry } from './entry.ts';
import type { Fetched, Group } from './group.ts';

/** How long to wait at most before looking for what others abandoned. Ms. */
const waitSliceMs = 1_000;
const lingerMs = 20;
/** Entries of one call: Redis does nothing else meanwhile. */
const fetchMax = 1_000;
const bytesMaxDefault = 32 * 1024 * 1024;

export async function consume(group: Group, { params, max, waitMs, signal }: ConsumeRequest): Promise<Batch> {
  const bytesMax = typeof params.max_bytes === 'number' ? params.max_bytes : bytesMaxDefault;
  const entries: Entry[] = [];
  let bytes = 0;
  let until = performance.now() + waitMs;
  try {
    while (entries.length < max && bytes < bytesMax) {
      const average = entries.length === 0 ? 0 : bytes / entries.length;
      const fitting = average === 0 ? fetchMax : Math.ceil((bytesMax - bytes) / average);
      const fetched = await group.fetch(Math.min(max - entries.length, fetchMax, fitting), signal);
      for (const { delivery } of fetched.entries) bytes += delivery.body.length;
      if (fetched.entries.length > 0) until = performance.now() + Math.min(lingerMs, waitMs);
      entries.push(...fetched.entries);
      const left = until - performance.now();
      if (entries.length >= max || fetched.entries.length > 0) continue;
      if (left <= 0) break;
      await group.wait(fetched, Math.min(left, waitSliceMs), signal);
    }
    signal.throwIfAborted();
  } catch (thrown) {
    if (entries.length > 0) await group.release(entries).catch(() => undefined);
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
  #timer: NodeJS.Timeout | undefined;

  constructor(group: Group) {
    this.#group = group;
  }

  get size(): number {
    return this.#entries.size;
  }

  add(entry: Entry): void {
    this.#entries.add(entry);
    this.#timer ??= setInterval(() => {
      // If it fails, the connection is lost, and somebody else may take them.
      this.#group.touch([...this.#entries]).catch(() => undefined);
    }, this.#group.claimAfterMs / 3).unref();
  }

  remove(entry: Entry): void {
    this.#entries.delete(entry);
    if (this.#entries.size === 0) this.clear();
  }

  clear(): Entry[] {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const rest = [...this.#entries];
    this.#entries.clear();
    return rest;
  }
}

/** Fetches as many as are wanted, until the signal aborts or `close` is called. */
export async function subscribe(group: Group, request: SubscribeRequest): Promise<Subscription> {
  const stop = new AbortController();
  const end = (): void => stop.abort(new StepError('STEP_CANCELLED', 'the subscription ends'));
  if (request.signal.aborted) end();
  request.signal.addEventListener('abort', end, { once: true });
  // The first answer says whether the stream is there at all.
  const first = await group.fetch(request.prefetch, stop.signal);
  const ended = deliverFrom(group, request, first, stop.signal).finally(() =>
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
  { prefetch, onMessage }: SubscribeRequest,
  first: Fetched,
  stop: AbortSignal,
): Promise<void> {
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
      for (const entry of fetched.entries) onMessage(incomingOf(entry));
      if (stop.aborted) return;
      if (held.size >= prefetch) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
      } else if (fetched.entries.length === 0) await group.wait(fetched, waitSliceMs, stop);
      if (stop.aborted) return;
      fetched = await group.fetch(Math.min(prefetch - held.size, fetchMax), stop);
    }
  } catch (thrown) {
    if (!stop.aborted) throw thrown;
  } finally {
    await group.release(held.clear()).catch(() => undefined);
  }
}
