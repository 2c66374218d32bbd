import { canonicalDepthMax, isSoundNumber } from './canonical.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Bytes that are looked at between two pauses. */
const SLICE_BYTES = 1024 * 1024;
/** The longest canonical number has 25 characters; this leaves room to see that a longer one is none. */
const NUMBER_LENGTH_MAX = 32;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What must be true of the byte that comes next. */
type Expects = 'value' | 'first element' | 'first key' | 'key' | 'after';

/**
 * Whether bytes are the canonical JSON (RFC 8785, within I-JSON) of some value: what `canonicalize` would write. Takes one pass
 * and memory for the keys alone, and pauses so that large texts don't hold up everything else.
 *
 * @param pause called about once a MiB
 * @returns what is wrong and where, as the end of a sentence; undefined where nothing is
 */
export async function canonicalProblem(bytes: Uint8Array, pause: () => Promise<void>): Promise<string | undefined> {
  const scan = new CanonicalScan(bytes);
  for (let end = SLICE_BYTES; ; end += SLICE_BYTES) {
    const verdict = scan.run(Math.min(end, bytes.length));
    if (verdict !== undefined) return verdict.problem;
    await pause();
  }
}

class CanonicalScan {
  readonly #bytes: Buffer;
  #at = 0;
  #expects: Expects = 'value';
  /** The last key of each open object; undefined for a list. */
  readonly #open: (string | undefined)[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Goes on to about `end`. Undefined where it got there without a verdict. */
  run(end: number): { problem: string | undefined } | undefined {
    while (this.#at < end || (this.#at >= this.#bytes.length && end >= this.#bytes.length)) {
      const before = this.#at;
      if (this.#expects === 'after' && this.#open.length === 0)
        return { problem: before === this.#bytes.length ? undefined : `has more than one value, at offset ${before}` };
      const wrong = this.#token();
      if (wrong !== undefined) return { problem: `${wrong}, at offset ${before}` };
    }
    return undefined;
  }

  #token(): string | undefined {
    const byte = this.#bytes[this.#at];
    switch (this.#expects) {
      case 'value':
        return this.#value(byte);
      case 'first element':
        return byte === CLOSE_LIST ? this.#close() : this.#value(byte);
      case 'first key':
        return byte === CLOSE_OBJECT ? this.#close() : this.#key(byte, undefined);
      case 'key':
        return this.#key(byte, this.#open.at(-1));
      case 'after':
        return this.#after(byte);
    }
  }

  #value(byte: number | undefined): string | undefined {
    if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      if (this.#open.length === canonicalDepthMax) return `is nested deeper than ${canonicalDepthMax}`;
      this.#open.push(byte === OPEN_OBJECT ? '' : undefined);
      this.#expects = byte === OPEN_OBJECT ? 'first key' : 'first element';
      this.#at += 1;
      return undefined;
    }
    this.#expects = 'after';
    if (byte === QUOTE) return typeof this.#string() === 'string' ? undefined : 'has a string that is not canonical';
    for (const word of ['true', 'false', 'null'])
      if (this.#bytes.toString('latin1', this.#at, this.#at + word.length) === word) {
        this.#at += word.length;
        return undefined;
      }
    return this.#number();
  }

  #number(): string | undefined {
    const start = this.#at;
    let end = start;
    while (end - start < NUMBER_LENGTH_MAX && isOfNumber(this.#bytes[end])) end++;
    const text = this.#bytes.toString('latin1', start, end);
    const value = Number(text);
    this.#at = end;
    return text !== '' && isSoundNumber(value) && String(value) === text && !Object.is(value, -0)
      ? undefined
      : 'has something that is neither a value nor a canonical number';
  }

  #key(byte: number | undefined, before: string | undefined): string | undefined {
    const key = byte === QUOTE ? this.#string() : undefined;
    if (key === undefined || this.#bytes[this.#at] !== COLON) return 'has no canonical key';
    if (before !== undefined && key <= before) return 'has keys that are not in order, or twice';
    this.#open[this.#open.length - 1] = key;
    this.#at += 1;
    this.#expects = 'value';
    return undefined;
  }

  #after(byte: number | undefined): string | undefined {
    const isObject = this.#open.at(-1) !== undefined;
    if (byte === (isObject ? CLOSE_OBJECT : CLOSE_LIST)) return this.#close();
    if (byte !== COMMA) return 'is not JSON, or has white space';
    this.#at += 1;
    this.#expects = isObject ? 'key' : 'value';
    return undefined;
  }

  #close(): undefined {
    this.#open.pop();
    this.#at += 1;
    this.#expects = 'after';
  }

  /** The string that begins here, once it was passed; undefined where it is not as `JSON.stringify` writes it. */
  #string(): string | undefined {
    const start = this.#at;
    let end = this.#bytes.indexOf(QUOTE, start + 1);
    let escaped = false;
    while (end >= 0 && this.#isEscaped(end, start)) {
      escaped = true;
      end = this.#bytes.indexOf(QUOTE, end + 1);
    }
    if (end < 0) return undefined;
    this.#at = end + 1;
    return stringOf(this.#bytes.subarray(start, end + 1), escaped);
  }

  #isEscaped(quote: number, start: number): boolean {
    let backslashes = 0;
    while (quote - 1 - backslashes > start && this.#bytes[quote - 1 - backslashes] === BACKSLASH) backslashes++;
    return backslashes % 2 === 1;
  }
}

function stringOf(quoted: Buffer, escaped: boolean): string | undefined {
  try {
    const text = decoder.decode(quoted);
    if (!escaped && isPlain(quoted)) return text.slice(1, -1);
    const value = JSON.parse(text) as string;
    return value.isWellFormed() && JSON.stringify(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether there is nothing to escape. */
function isPlain(quoted: Buffer): boolean {
  for (let i = 0; i < quoted.length; i++) {
    const byte = quoted[i] as number;
    if (byte < 0x20 || byte === BACKSLASH) return false;
  }
  return true;
}

/** Digits, `+`, `-`, `.` and `e`. */
const isOfNumber = (byte: number | undefined): boolean =>
  byte !== undefined &&
  ((byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2d || byte === 0x2e || byte === 0x65);
