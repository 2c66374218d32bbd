/**
 * Finds keys of several words among many: a hash table with open addressing, of numbers that count the keys in the order they came.
 */
export class KeyIndex {
  readonly #words: number;
  readonly #slots: Int32Array;
  readonly #keys: Int32Array;
  #count = 0;

  /** @param count how many keys there will be at most */
  constructor(words: number, count: number) {
    this.#words = words;
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * count + 2))).fill(-1);
    this.#keys = new Int32Array(words * count);
  }

  get count(): number {
    return this.#count;
  }

  /** One after the other, as they came. */
  get keys(): Int32Array {
    return this.#keys;
  }

  /** The number of the key that begins at `from` of the array; it is added if it is new. */
  add(array: Int32Array, from: number): number {
    const slot = this.#slotOf(array, from);
    const known = this.#slots[slot] ?? -1;
    if (known >= 0) return known;
    for (let w = 0; w < this.#words; w += 1) this.#keys[this.#count * this.#words + w] = array[from + w] ?? 0;
    this.#slots[slot] = this.#count;
    this.#count += 1;
    return this.#count - 1;
  }

  /** @returns -1 where it is not there */
  find(key: Int32Array): number {
    return this.#slots[this.#slotOf(key, 0)] ?? -1;
  }

  #slotOf(array: Int32Array, from: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = this.#hash(array, from) & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot] ?? -1;
      if (number < 0 || this.#isAt(number, array, from)) return slot;
    }
  }

  #isAt(number: number, array: Int32Array, from: number): boolean {
    for (let w = 0; w < this.#words; w += 1) if (this.#keys[number * this.#words + w] !== array[from + w]) return false;
    return true;
  }

  /** Each bit of each word changes half of the result (the finalizer of MurmurHash3, by Appleby). */
  #hash(array: Int32Array, from: number): number {
    let mixed = 0;
    for (let w = 0; w < this.#words; w += 1) {
      mixed = Math.imul(mixed, 31) ^ (array[from + w] ?? 0);
      mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      mixed ^= mixed >>> 16;
    }
    return mixed;
  }
}
