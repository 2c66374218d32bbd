import type { Guest } from '../types.ts';

/** A pointer or a length leads out of the module's memory. Never leaves the host functions. */
export class Fault extends Error {}

/** The module's memory, as host functions use it: nothing is touched before all of it is known to be there. Pointers may come signed. */
export class GuestMemory {
  readonly #guest: Guest;
  #bytes: Uint8Array = new Uint8Array(0);
  #view = new DataView<ArrayBufferLike>(this.#bytes.buffer);

  constructor(guest: Guest) {
    this.#guest = guest;
  }

  get size(): number {
    return this.#guest.bytes().length;
  }

  /** The bytes themselves, not a copy. @throws Fault */
  at(pointer: number, length: number): Uint8Array {
    const start = pointer >>> 0;
    const bytes = this.#guest.bytes();
    // The sum of two numbers of 32 bits is exact.
    if (length < 0 || start + length > bytes.length) throw new Fault();
    return bytes.subarray(start, start + length);
  }

  /** For reading and writing numbers in a part whose bounds have been checked. Addresses count from the part's start. @throws Fault */
  view(pointer: number, length: number): DataView {
    const bytes = this.at(pointer, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  /** @throws Fault */
  u32(pointer: number): number {
    return this.#checked(pointer, 4).getUint32(pointer >>> 0, true);
  }

  /** @throws Fault */
  setU32(pointer: number, value: number): void {
    this.#checked(pointer, 4).setUint32(pointer >>> 0, value, true);
  }

  /** @throws Fault */
  setU64(pointer: number, value: bigint): void {
    this.#checked(pointer, 8).setBigUint64(pointer >>> 0, BigInt.asUintN(64, value), true);
  }

  /** A text of C: UTF-8 until a NUL, what is not UTF-8 replaced. @param bytesMax where it is cut off at the latest @throws Fault */
  cString(pointer: number, bytesMax: number): string {
    const start = pointer >>> 0;
    const bytes = this.#guest.bytes();
    if (start >= bytes.length) throw new Fault();
    const part = bytes.subarray(start, Math.min(bytes.length, start + bytesMax));
    const end = part.indexOf(0);
    if (end < 0 && part.length < bytesMax) throw new Fault();
    return Buffer.from(end < 0 ? part : part.subarray(0, end)).toString('utf8');
  }

  #checked(pointer: number, length: number): DataView {
    const bytes = this.#guest.bytes();
    if ((pointer >>> 0) + length > bytes.length) throw new Fault();
    if (
      bytes.buffer !== this.#bytes.buffer ||
      bytes.length !== this.#bytes.length ||
      bytes.byteOffset !== this.#bytes.byteOffset
    ) {
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    return this.#view;
  }
}
