/** Bytes that grow. Numbers are written as LEB128. */
export class Writer {
  #bytes: Uint8Array;
  length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  byte(...values: number[]): this {
    this.#room(values.length);
    for (const value of values) this.#bytes[this.length++] = value;
    return this;
  }

  u32(value: number): this {
    let left = value;
    while (left >= 0x80) {
      this.byte((left & 0x7f) | 0x80);
      left >>>= 7;
    }
    return this.byte(left);
  }

  s32(value: number): this {
    let left = value;
    for (;;) {
      const low = left & 0x7f;
      left >>= 7;
      if ((left === 0 && (low & 0x40) === 0) || (left === -1 && (low & 0x40) !== 0)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    return this.u32(bytes.length).raw(bytes);
  }

  raw(bytes: Uint8Array, start = 0, end = bytes.length): this {
    this.#room(end - start);
    if (end - start < 64) {
      // Quicker than a view for what is short, and most is.
      for (let at = start; at < end; at += 1) this.#bytes[this.length++] = bytes[at] ?? 0;
      return this;
    }
    this.#bytes.set(bytes.subarray(start, end), this.length);
    this.length += end - start;
    return this;
  }

  /** Room for a number that is known later. @returns its place */
  reserve(): number {
    const at = this.length;
    this.byte(0x80, 0x80, 0x80, 0x80, 0x00);
    return at;
  }

  /** Fills in a number below 2^32, as an unsigned or as a signed one: the highest of the five bytes leaves room for the sign. */
  fill(at: number, value: number): void {
    let left = value;
    for (let index = 0; index < 4; index += 1) {
      this.#bytes[at + index] = (left & 0x7f) | 0x80;
      left = Math.floor(left / 128);
    }
    this.#bytes[at + 4] = left;
  }

  /** Empties it, to be filled anew: what `done` gave before is overwritten then. */
  clear(): this {
    this.length = 0;
    return this;
  }

  /** A view of what is written. */
  done(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  #room(count: number): void {
    const needed = this.length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
}
