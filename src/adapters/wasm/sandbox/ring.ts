const written = 0;
const read = 1;
const ended = 2;
/** Counts what each side did: a wait for "something changed" can't miss the change that came just before it. */
const writerTurns = 3;
const readerTurns = 4;
const headerBytes = 64;

/** Bytes between two threads, one that writes and one that reads, in a shared buffer. The counters run on and wrap at 2^32. */
export class Ring {
  readonly shared: SharedArrayBuffer;
  readonly #header: Int32Array<SharedArrayBuffer>;
  readonly #data: Uint8Array<SharedArrayBuffer>;

  /** @param shared of another thread's ring, or the size of a new one in bytes, a power of two */
  constructor(shared: SharedArrayBuffer | number) {
    this.shared = typeof shared === 'number' ? new SharedArrayBuffer(headerBytes + shared) : shared;
    this.#header = new Int32Array(this.shared, 0, headerBytes / 4);
    this.#data = new Uint8Array(this.shared, headerBytes);
  }

  /** @returns the bytes that there was room for */
  write(bytes: Uint8Array): number {
    const from = Atomics.load(this.#header, written) >>> 0;
    const free = this.#data.length - this.#held();
    const count = Math.min(free, bytes.length);
    if (count === 0) return 0;
    const at = from % this.#data.length;
    const first = Math.min(count, this.#data.length - at);
    this.#data.set(bytes.subarray(0, first), at);
    if (first < count) this.#data.set(bytes.subarray(first, count), 0);
    Atomics.store(this.#header, written, (from + count) | 0);
    this.#turn(writerTurns);
    return count;
  }

  /** @returns the bytes that there were */
  read(into: Uint8Array): number {
    const from = Atomics.load(this.#header, read) >>> 0;
    const count = Math.min(this.#held(), into.length);
    if (count === 0) return 0;
    const at = from % this.#data.length;
    const first = Math.min(count, this.#data.length - at);
    into.set(this.#data.subarray(at, at + first));
    if (first < count) into.set(this.#data.subarray(0, count - first), first);
    Atomics.store(this.#header, read, (from + count) | 0);
    this.#turn(readerTurns);
    return count;
  }

  end(): void {
    Atomics.store(this.#header, ended, 1);
    this.#turn(writerTurns);
  }

  get hasEnded(): boolean {
    return Atomics.load(this.#header, ended) === 1;
  }

  /** Fills `into` unless the end comes first; blocks the thread. */
  readFully(into: Uint8Array): number {
    let count = 0;
    while (count < into.length) {
      const turn = Atomics.load(this.#header, writerTurns);
      // Asked before the read: what was written before the end is read after it.
      const last = this.hasEnded;
      const some = this.read(into.subarray(count));
      count += some;
      if (some > 0) continue;
      if (last) break;
      Atomics.wait(this.#header, writerTurns, turn);
    }
    return count;
  }

  /** Writes all; blocks the thread. */
  writeFully(bytes: Uint8Array): void {
    let count = 0;
    while (count < bytes.length) {
      const turn = Atomics.load(this.#header, readerTurns);
      const some = this.write(bytes.subarray(count));
      count += some;
      if (some === 0) Atomics.wait(this.#header, readerTurns, turn);
    }
  }

  /** Reads, or waits until there is something or the end. Undefined: the end. */
  async readSome(into: Uint8Array): Promise<number | undefined> {
    for (;;) {
      const turn = Atomics.load(this.#header, writerTurns);
      const last = this.hasEnded;
      const some = this.read(into);
      if (some > 0) return some;
      if (last) return undefined;
      await Atomics.waitAsync(this.#header, writerTurns, turn).value;
    }
  }

  /** @param stopped asked again whenever it wakes up */
  async writeAll(bytes: Uint8Array, stopped: () => boolean): Promise<void> {
    let count = 0;
    while (count < bytes.length && !stopped()) {
      const turn = Atomics.load(this.#header, readerTurns);
      const some = this.write(bytes.subarray(count));
      count += some;
      if (some === 0 && !stopped()) await Atomics.waitAsync(this.#header, readerTurns, turn).value;
    }
  }

  /** Wakes whoever waits on either side, to look again. */
  wake(): void {
    this.#turn(writerTurns);
    this.#turn(readerTurns);
  }

  /** Never more than there is room for, whatever the other side writes into the counters. */
  #held(): number {
    const count = (Atomics.load(this.#header, written) - Atomics.load(this.#header, read)) >>> 0;
    return Math.min(count, this.#data.length);
  }

  #turn(index: number): void {
    Atomics.add(this.#header, index, 1);
    Atomics.notify(this.#header, index);
  }
}
