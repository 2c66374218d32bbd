import { invalid } from './refusal.ts';

const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads the binary format from `position` up to `end`, both offsets in the whole module.
 * Every method throws MODULE_INVALID with the offset where the bytes break the rules.
 */
export class Cursor {
  readonly bytes: Uint8Array;
  position: number;
  readonly end: number;

  constructor(bytes: Uint8Array, position = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
  }

  get done(): boolean {
    return this.position >= this.end;
  }

  u8(): number {
    if (this.position >= this.end) throw this.#short();
    return this.bytes[this.position++] ?? 0;
  }

  u32(): number {
    const byte = this.u8();
    return byte < 0x80 ? byte : this.#longU32(byte & 0x7f);
  }

  #longU32(low: number): number {
    let result = low;
    for (let shift = 7; ; shift += 7) {
      const byte = this.u8();
      if (shift === 28) {
        if (byte > 0x0f) throw invalid(this.position - 1, 'an unsigned number has more than 32 bits');
        return (result | (byte << 28)) >>> 0;
      }
      result |= (byte & 0x7f) << shift;
      if (byte < 0x80) return result >>> 0;
    }
  }

  /** A signed number of at most `bits` bits, checked and passed over. */
  skipSigned(bits: 32 | 33 | 64): void {
    const last = Math.ceil(bits / 7) - 1;
    for (let index = 0; ; index++) {
      const byte = this.u8();
      if (index < last) {
        if (byte < 0x80) return;
        continue;
      }
      // The bits of the last byte that lie beyond the number must repeat its sign.
      const used = bits - 7 * last;
      const sign = (byte << 25) >> (25 + used - 1);
      if (byte < 0x80 && (sign === 0 || sign === -1)) return;
      throw invalid(this.position - 1, `a signed number has more than ${bits} bits`);
    }
  }

  /** A signed number of at most 33 bits: the form of a block's type. */
  s33(): number {
    const start = this.position;
    this.skipSigned(33);
    let result = 0;
    let scale = 1;
    for (let at = start; at < this.position; at++) {
      result += ((this.bytes[at] ?? 0) & 0x7f) * scale;
      scale *= 128;
    }
    const negative = ((this.bytes[this.position - 1] ?? 0) & 0x40) !== 0;
    return negative ? result - scale : result;
  }

  skip(count: number): void {
    if (count > this.end - this.position) throw this.#short();
    this.position += count;
  }

  /** The number of what follows, each at least `bytesEach` long: so nothing is allocated for what isn't there. */
  count(max: number, bytesEach: number, what: string): number {
    const start = this.position;
    const count = this.u32();
    if (count > max) throw invalid(start, `${count} ${what}, and at most ${max} are allowed`);
    if (count * bytesEach > this.end - this.position)
      throw invalid(start, `${count} ${what} don't fit into what follows`);
    return count;
  }

  name(bytesMax: number): string {
    const start = this.position;
    const length = this.u32();
    if (length > bytesMax) throw invalid(start, `a name of ${length} bytes, and at most ${bytesMax} are allowed`);
    const from = this.position;
    this.skip(length);
    try {
      return strictText.decode(this.bytes.subarray(from, this.position));
    } catch {
      throw invalid(from, "a name isn't valid UTF-8");
    }
  }

  /** A part of what is left, as a cursor of its own; this one goes on behind it. */
  part(length: number): Cursor {
    const from = this.position;
    this.skip(length);
    return new Cursor(this.bytes, from, this.position);
  }

  #short(): Error {
    return invalid(this.position, 'it ends in the middle of something');
  }
}
