/** Something that takes memory, and can be let go. */
interface Held<T> {
  value: T;
  bytes: number;
}

/** Keeps what was used last within a number of bytes; the newest stays, however large it is. */
export class BytesCache<T> {
  readonly #held = new Map<string, Held<T>>();
  readonly #release: (value: T) => Promise<void> | void;
  #bytes = 0;

  constructor(release: (value: T) => Promise<void> | void) {
    this.#release = release;
  }

  get(key: string): T | undefined {
    const held = this.#held.get(key);
    if (held === undefined) return undefined;
    this.#held.delete(key);
    this.#held.set(key, held);
    return held.value;
  }

  async put(key: string, value: T, bytes: number, bytesMax: number): Promise<void> {
    this.#held.set(key, { value, bytes });
    this.#bytes += bytes;
    for (const [oldest, held] of this.#held) {
      if (this.#bytes <= bytesMax || oldest === key) break;
      this.#held.delete(oldest);
      this.#bytes -= held.bytes;
      await this.#release(held.value);
    }
  }
}
