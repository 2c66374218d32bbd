/** A list of 32-bit floats that grows. */
export class FloatList {
  #room = new Float32Array(1024);
  #length = 0;
  readonly #lengthMax: number;

  constructor(bytesMax: number) {
    this.#lengthMax = bytesMax / 4;
  }

  /** @returns whether there was room */
  push(value: number): boolean {
    if (this.#length >= this.#lengthMax) return false;
    if (this.#length === this.#room.length) {
      const grown = new Float32Array(this.#room.length * 2);
      grown.set(this.#room);
      this.#room = grown;
    }
    this.#room[this.#length++] = value;
    return true;
  }

  /** What there is; shares memory. */
  view(): Float32Array {
    return this.#room.subarray(0, this.#length);
  }
}
