import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import { Gathering } from '../gathering.ts';
import { pauseMs } from '../waiting.ts';
import type { Cluster, Topic } from './cluster.ts';
import { type Fetched, fetchFrom, type ReadRecord, requireTopic, sizeOfRecord } from './fetch.ts';
import { Membership } from './membership.ts';
import { type Start, startOffsets } from './start.ts';
import { earliestOffsets, latestOffsets } from './topics.ts';
import { PartitionWindow } from './window.ts';

/** A record that somebody holds until it is settled. */
export interface Taken {
  window: PartitionWindow;
  /** Of the topic that it is from. */
  incarnation: string;
  record: ReadRecord;
  deliveriesBefore: number;
}

export interface TakeOptions {
  max: number;
  bytesMax: number;
  /** From the moment on that this is a member of the group. Ms. */
  waitMs: number;
  /** Whether to wait for the first alone, and not for more. Default false. */
  eager?: boolean;
  signal: AbortSignal;
}

export interface GroupConsumerOptions {
  topic: string;
  group: string;
  start: Start;
  sessionMs: number;
  /** Of the group's requests, and of reads: a long poll must not hold up heartbeats. */
  control: Cluster;
  data: Cluster;
}

const partitionBytesMax = 1024 * 1024;
const pollMs = 500;
const commitMs = 15_000;

/** Reads a topic for a group, as long as it is a member: hands records out, and commits what is settled. */
export class GroupConsumer {
  readonly #options: GroupConsumerOptions;
  readonly #membership: Membership;
  readonly #windows = new Map<number, PartitionWindow>();
  /** The last read of each partition: what a step did not want, the next one may. */
  readonly #cache = new Map<number, Fetched>();
  readonly #dirty = new Set<PartitionWindow>();
  #incarnation: string | undefined;
  #committing: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;
  #turn: Promise<void> = Promise.resolve();
  /** Takers, and whoever holds something: while there are any, the member stays. */
  users = 0;

  constructor(options: GroupConsumerOptions) {
    this.#options = options;
    this.#membership = new Membership(options.control, {
      topic: options.topic,
      group: options.group,
      sessionMs: options.sessionMs,
      quiesce: (limitMs) => this.#quiesce(limitMs),
      assigned: (partitions, kept) => this.#assigned(partitions, kept),
      lost: () => this.#forget(),
    });
  }

  /** Used where the group has committed nothing. */
  set start(start: Start) {
    this.#options.start = start;
  }

  get partitions(): number[] {
    return [...this.#windows.keys()];
  }

  /** One taker after the other. @throws StepError; the signal's reason */
  async take(options: TakeOptions): Promise<Taken[]> {
    const before = this.#turn;
    let end: () => void = () => undefined;
    this.#turn = new Promise((resolve) => {
      end = resolve;
    });
    try {
      await abortable(before, options.signal);
    } catch (thrown) {
      void before.then(end);
      throw thrown;
    }
    try {
      return await this.#takeNow(options);
    } finally {
      end();
    }
  }

  /** Marks as done, and commits. @throws StepError CONSUME_FAILED where a partition has gone to another member */
  async settle(taken: readonly Taken[]): Promise<void> {
    const windows = new Set<PartitionWindow>();
    let lost = false;
    for (const { window, record } of taken) {
      if (window.lost) lost = true;
      else windows.add(window);
      window.settle(record.offset);
    }
    await this.#commit(windows);
    for (const window of windows) if (window.lost) lost = true;
    if (lost)
      throw new StepError(
        'CONSUME_FAILED',
        'a partition went to another member of the consumer group; its messages are delivered again',
        {
          retryable: true,
        },
      );
  }

  /** To be delivered again, after `delayMs`. The delay outlives this process. */
  async giveBack(taken: readonly Taken[], delayMs = 0): Promise<void> {
    const notBeforeMs = delayMs === 0 ? 0 : Date.now() + delayMs;
    const windows = new Set<PartitionWindow>();
    for (const { window, record } of taken) {
      window.giveBack(record.offset, notBeforeMs);
      if (!window.lost) windows.add(window);
    }
    if (delayMs > 0) await this.#commit(windows);
  }

  async close(): Promise<void> {
    // What is settled was committed; what is not comes again.
    await Promise.race([this.#committing.catch(() => undefined), pauseMs(2000)]);
    await this.#membership.leave();
    this.#forget();
    await Promise.all([this.#options.control.close(), this.#options.data.close()]);
  }

  async #takeNow({ max, bytesMax, waitMs, eager = false, signal }: TakeOptions): Promise<Taken[]> {
    const taken: Taken[] = [];
    try {
      await this.#membership.ensure(signal);
      const gathering = new Gathering({ max, bytesMax, waitMs });
      for (let read = false; !gathering.satisfied; ) {
        // Others join or leave: what was taken is to be settled first.
        if (!this.#membership.active && taken.length > 0) break;
        await this.#membership.ensure(signal);
        const { room } = gathering;
        const more = this.#takeCached({ max: room.messages, bytesMax: room.bytes });
        for (const { record } of more) gathering.took(sizeOfRecord(record));
        taken.push(...more);
        const { leftMs } = gathering;
        if (more.length > 0 && leftMs > 0) continue;
        if (eager && taken.length > 0) break;
        if (read && leftMs <= 0) break;
        await this.#read(Math.min(leftMs, pollMs), signal);
        read = true;
      }
      // Counted before they are handed out: whoever dies of one has had it.
      await abortable(this.#commit(new Set(taken.map(({ window }) => window))), signal);
      return taken;
    } catch (thrown) {
      for (const { window, record } of taken) window.giveBack(record.offset, 0);
      throw thrown;
    }
  }

  #takeCached({ max, bytesMax }: { max: number; bytesMax: number }): Taken[] {
    const taken: Taken[] = [];
    const nowMs = Date.now();
    let bytes = 0;
    for (const [partition, window] of this.#windows) {
      const { mayAdvance } = window;
      for (;;) {
        if (taken.length >= max || bytes >= bytesMax) return taken;
        const position = window.next(nowMs, mayAdvance);
        const cached = this.#cache.get(partition);
        if (position === undefined || cached === undefined || position < cached.from || position >= cached.to) break;
        const record = cached.records[firstAtOrAfter(cached.records, position)];
        window.skipMissing(position, record?.offset ?? cached.to);
        if (record === undefined) continue;
        const deliveriesBefore = window.take(record.offset, nowMs);
        if (deliveriesBefore === undefined) continue;
        bytes += sizeOfRecord(record);
        taken.push({ window, incarnation: cached.incarnation, record, deliveriesBefore });
      }
    }
    return taken;
  }

  async #read(waitMs: number, signal: AbortSignal): Promise<void> {
    const topic = await this.#topic(signal);
    await this.#notice(topic, signal);
    const nowMs = Date.now();
    const positions = new Map<number, number>();
    let dueMs = Number.POSITIVE_INFINITY;
    for (const [partition, window] of this.#windows) {
      const position = window.next(nowMs, window.mayAdvance);
      if (position !== undefined) positions.set(partition, position);
      dueMs = Math.min(dueMs, window.nextDueMs() ?? Number.POSITIVE_INFINITY);
    }
    const soonMs = Math.max(0, Math.min(waitMs, dueMs - nowMs));
    if (positions.size === 0) return pauseMs(Math.max(soonMs, 1), signal);
    const fetched = await fetchFrom(this.#options.data, topic, positions, {
      waitMs: soonMs,
      partitionBytesMax,
      signal,
    });
    for (const one of fetched) {
      const window = this.#windows.get(one.partition);
      if (window === undefined) continue;
      if (one.outOfRange) await this.#restart(topic, window, one.from, signal);
      else if (one.to > one.from) this.#cache.set(one.partition, one);
    }
  }

  #topic(signal: AbortSignal): Promise<Topic> {
    return requireTopic(this.#options.data, this.#options.topic, signal);
  }

  /** A topic that was deleted and made again is read from its beginning: offsets of the one before mean nothing in it. */
  async #notice(topic: Topic, signal: AbortSignal): Promise<void> {
    const { incarnation } = topic;
    if (this.#incarnation !== undefined && this.#incarnation !== incarnation) {
      const first = await earliestOffsets(this.#options.data, topic, signal);
      for (const [partition, window] of this.#windows) {
        window.lost = true;
        this.#windows.set(partition, new PartitionWindow(partition, first.get(partition) ?? 0));
      }
      this.#cache.clear();
    }
    this.#incarnation = incarnation;
  }

  /** Retention has deleted what was to be read, or the topic is another one of this name. */
  async #restart(topic: Topic, window: PartitionWindow, from: number, signal: AbortSignal): Promise<void> {
    const first = (await earliestOffsets(this.#options.data, topic, signal)).get(window.partition) ?? 0;
    const end = (await latestOffsets(this.#options.data, topic, signal)).get(window.partition) ?? first;
    if (from < first) window.skipTo(first);
    else if (from > end) window.restartAt(first);
  }

  async #assigned(partitions: readonly number[], kept: ReadonlySet<number>): Promise<void> {
    const { signal, done } = limit(commitMs, 'finding where the consumer group stands');
    try {
      const added = partitions.filter((one) => !kept.has(one) || !this.#windows.has(one));
      const opened = added.length === 0 ? [] : await this.#open(added, signal);
      for (const [partition, window] of this.#windows) {
        if (partitions.includes(partition) && !added.includes(partition)) continue;
        window.lost = true;
        this.#windows.delete(partition);
        this.#cache.delete(partition);
      }
      for (const window of opened) this.#windows.set(window.partition, window);
    } finally {
      done();
    }
  }

  async #open(partitions: readonly number[], signal: AbortSignal): Promise<PartitionWindow[]> {
    const committed = await this.#membership.committed(partitions, signal);
    const fresh = partitions.filter((one) => !committed.has(one));
    const { start, data } = this.#options;
    const starts =
      fresh.length === 0
        ? new Map<number, number>()
        : await startOffsets(data, await this.#topic(signal), start, signal);
    const commits = fresh.map((partition) => ({ partition, offset: starts.get(partition) ?? 0, metadata: '' }));
    // Remembered at once: "latest" must mean the same for the next consumer of this group.
    if (commits.length > 0) await this.#membership.commit(commits, signal);
    return partitions.map((partition) => {
      const { offset, metadata } = committed.get(partition) ?? { offset: starts.get(partition) ?? 0, metadata: null };
      return new PartitionWindow(partition, offset, metadata);
    });
  }

  #forget(): void {
    for (const window of this.#windows.values()) window.lost = true;
    this.#windows.clear();
    this.#cache.clear();
    this.#dirty.clear();
  }

  async #quiesce(limitMs: number): Promise<void> {
    const untilMs = Date.now() + limitMs;
    while (Date.now() < untilMs && [...this.#windows.values()].some((one) => one.held)) await pauseMs(10);
    await this.#committing.catch(() => undefined);
  }

  /** Commits of one moment go in one request, one after the other. */
  #commit(windows: ReadonlySet<PartitionWindow>): Promise<void> {
    if (windows.size === 0) return Promise.resolve();
    for (const window of windows) this.#dirty.add(window);
    this.#queued ??= this.#committing
      .catch(() => undefined)
      .then(() => {
        this.#queued = undefined;
        this.#committing = this.#commitDirty();
        return this.#committing;
      });
    return this.#queued;
  }

  async #commitDirty(): Promise<void> {
    const windows = [...this.#dirty].filter((one) => !one.lost);
    this.#dirty.clear();
    if (windows.length === 0) return;
    const { signal, done } = limit(commitMs, 'committing offsets');
    const commits = windows.map((one) => ({
      partition: one.partition,
      offset: one.committed,
      metadata: one.metadata(),
    }));
    try {
      await this.#membership.commit(commits, signal);
    } catch (thrown) {
      // The next commit of these partitions says it again.
      for (const window of windows) if (!window.lost) this.#dirty.add(window);
      throw thrown;
    } finally {
      done();
    }
  }
}

/** Index of the first record from `offset` on. */
function firstAtOrAfter(records: readonly ReadRecord[], offset: number): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((records[middle]?.offset ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A signal of its own for what must be done even where a step is over. */
export function limit(ms: number, doing: string): { signal: AbortSignal; done: () => void } {
  const stop = new AbortController();
  const timer = setTimeout(
    () => stop.abort(new StepError('MQ_TIMEOUT', `${doing} took longer than ${ms} ms`, { retryable: true })),
    ms,
  );
  timer.unref();
  return { signal: stop.signal, done: () => clearTimeout(timer) };
}
