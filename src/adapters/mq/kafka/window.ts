/** An offset that was given back. */
interface Returned {
  deliveries: number;
  /** Ms since 1970, from which on it may be delivered again. */
  notBeforeMs: number;
}

/** Offsets in a row that are pending alike. */
interface Run extends Returned {
  from: number;
  count: number;
}

/** Kafka keeps 4,096 bytes beside a committed offset by default. */
const metadataLengthMax = 3500;
const prefix = 'jsonflow1';
/** Offsets that may be pending or behind one that is: beyond it the oldest must be settled first. */
const windowMax = 20_000;
/** Stretches of pending offsets with different counts. Their text must fit. */
const runsMax = 150;

/**
 * What a group has had of one partition: everything below `committed` is settled, everything from `tail` on was never delivered, and in between
 * the pending offsets are known one by one. Kafka stores one offset per group, so the rest goes into the text beside it: settled
 * messages behind an unsettled one are not delivered again, and deliveries are counted, whoever consumes next.
 */
export class PartitionWindow {
  readonly partition: number;
  /** How often each was delivered, this time included. */
  readonly #held = new Map<number, number>();
  readonly #returned = new Map<number, Returned>();
  #tail: number;
  /** Set where the group gave the partition to somebody else: nothing may be committed any more. */
  lost = false;

  constructor(partition: number, committed: number, metadata: string | null = null) {
    this.partition = partition;
    this.#tail = committed;
    this.#restore(committed, metadata);
  }

  get tail(): number {
    return this.#tail;
  }

  /** The lowest offset that is not settled: what is committed. */
  get committed(): number {
    let lowest = this.#tail;
    for (const offset of this.#held.keys()) if (offset < lowest) lowest = offset;
    for (const offset of this.#returned.keys()) if (offset < lowest) lowest = offset;
    return lowest;
  }

  get pendingCount(): number {
    return this.#held.size + this.#returned.size;
  }

  /** Whether somebody holds any of it. */
  get held(): boolean {
    return this.#held.size > 0;
  }

  /** Whether more may be read while what is pending is not settled. Looks through all that is pending. */
  get mayAdvance(): boolean {
    if (this.pendingCount === 0) return true;
    return this.#tail - this.committed < windowMax && (this.pendingCount < runsMax || this.#runs().length < runsMax);
  }

  /** The lowest offset that may be delivered now. @param mayAdvance whether that may be one that was never delivered */
  next(nowMs: number, mayAdvance: boolean): number | undefined {
    let lowest: number | undefined;
    for (const [offset, { notBeforeMs }] of this.#returned)
      if (notBeforeMs <= nowMs && (lowest === undefined || offset < lowest)) lowest = offset;
    return lowest ?? (mayAdvance ? this.#tail : undefined);
  }

  /** When something that was given back is due, ms since 1970. */
  nextDueMs(): number | undefined {
    let due: number | undefined;
    for (const { notBeforeMs } of this.#returned.values())
      if (due === undefined || notBeforeMs < due) due = notBeforeMs;
    return due;
  }

  /** Hands an offset out. @returns how often it was delivered before; undefined where it is not to be delivered now */
  take(offset: number, nowMs: number): number | undefined {
    const returned = this.#returned.get(offset);
    if (returned !== undefined) {
      if (returned.notBeforeMs > nowMs) return undefined;
      this.#returned.delete(offset);
      this.#held.set(offset, returned.deliveries + 1);
      return returned.deliveries;
    }
    if (offset < this.#tail) return undefined;
    this.#tail = offset + 1;
    this.#held.set(offset, 1);
    return 0;
  }

  settle(offset: number): void {
    this.#held.delete(offset);
  }

  giveBack(offset: number, notBeforeMs: number): void {
    const deliveries = this.#held.get(offset);
    if (deliveries === undefined) return;
    this.#held.delete(offset);
    this.#returned.set(offset, { deliveries, notBeforeMs });
  }

  /** There is nothing to read below `offset`: retention has deleted it. */
  skipTo(offset: number): void {
    for (const returned of this.#returned.keys()) if (returned < offset) this.#returned.delete(returned);
    if (offset > this.#tail) this.#tail = offset;
  }

  /** What lies from `from` to before `to` was read, and does not exist: control records, compaction. */
  skipMissing(from: number, to: number): void {
    if (from >= this.#tail) this.#tail = Math.max(this.#tail, to);
    else if (to > from)
      for (const offset of this.#returned.keys()) if (offset >= from && offset < to) this.#returned.delete(offset);
  }

  /** The log ended before: it is another one of this name. */
  restartAt(offset: number): void {
    this.#held.clear();
    this.#returned.clear();
    this.#tail = offset;
  }

  /** To be stored beside the committed offset. */
  metadata(): string {
    const { committed } = this;
    if (this.pendingCount === 0) return '';
    const parts: string[] = [];
    let length = prefix.length + 16;
    for (const { from, count, deliveries, notBeforeMs } of this.#runs()) {
      const delay = notBeforeMs === 0 ? [] : [short(Math.ceil(notBeforeMs / 1000))];
      const part = [short(from - committed), short(count), short(deliveries), ...delay].join('.');
      length += part.length + 1;
      // What does not fit counts as never delivered: it may come again, but is never lost.
      if (length > metadataLengthMax) return [prefix, short(from - committed), ...parts].join(',');
      parts.push(part);
    }
    return [prefix, short(this.#tail - committed), ...parts].join(',');
  }

  #runs(): Run[] {
    const held = [...this.#held].map(([from, deliveries]): Run => ({ from, count: 1, deliveries, notBeforeMs: 0 }));
    const returned = [...this.#returned].map(([from, one]): Run => ({ from, count: 1, ...one }));
    const runs: Run[] = [];
    for (const one of [...held, ...returned].sort((left, right) => left.from - right.from)) {
      const last = runs.at(-1);
      const goesOn =
        last !== undefined &&
        last.from + last.count === one.from &&
        last.deliveries === one.deliveries &&
        last.notBeforeMs === one.notBeforeMs;
      if (goesOn) last.count += 1;
      else runs.push(one);
    }
    return runs;
  }

  #restore(committed: number, metadata: string | null): void {
    const [name, tail, ...parts] = metadata?.split(',') ?? [];
    if (name !== prefix || tail === undefined) return;
    const tailAt = committed + long(tail);
    if (!Number.isSafeInteger(tailAt) || tailAt - committed > 2 * windowMax) return;
    const returned: [number, Returned][] = [];
    for (const part of parts) {
      const [from = Number.NaN, count = Number.NaN, deliveries = Number.NaN, seconds = 0] = part.split('.').map(long);
      if (![from, count, deliveries, seconds].every((one) => Number.isSafeInteger(one) && one >= 0)) return;
      if (from + count > tailAt - committed) return;
      for (let index = 0; index < count; index += 1)
        returned.push([committed + from + index, { deliveries, notBeforeMs: seconds * 1000 }]);
    }
    this.#tail = tailAt;
    for (const [offset, one] of returned) this.#returned.set(offset, one);
  }
}

const short = (value: number): string => value.toString(36);
const long = (text: string): number => (/^[0-9a-z]{1,10}$/.test(text) ? Number.parseInt(text, 36) : Number.NaN);
