import { StepError } from '../../../lib/errors.ts';
import type { ByteSource, HostSettings } from '../types.ts';

/** Bytes of standard error that are kept: the last ones, where a program says why it ends. */
export const stderrBytesMax = 16_384;

/** Standard input: bytes that are there already, or a source of them. */
export class StandardInput {
  readonly #source: Uint8Array | ByteSource;
  #at = 0;
  #ended = false;

  constructor(source: Uint8Array | ByteSource) {
    this.#source = source;
  }

  /** @returns how many bytes it gave; fewer than `into` holds only at the end */
  read(into: Uint8Array): number {
    if (into.length === 0 || this.#ended) return 0;
    let given: number;
    if (typeof this.#source === 'function') given = this.#source(into);
    else {
      given = Math.min(into.length, this.#source.length - this.#at);
      into.set(this.#source.subarray(this.#at, this.#at + given));
      this.#at += given;
    }
    this.#ended = given < into.length;
    return given;
  }

  /** What is known to be there: a source's bytes are not counted before they are read. */
  get ready(): { bytes: number; ended: boolean } {
    if (this.#ended) return { bytes: 0, ended: true };
    if (typeof this.#source === 'function') return { bytes: 1, ended: false };
    const bytes = this.#source.length - this.#at;
    return { bytes, ended: bytes === 0 };
  }
}

/** Standard output: kept, or passed on as it is written. */
export class StandardOutput {
  readonly #max: number;
  readonly #sink: ((bytes: Uint8Array) => void) | undefined;
  #kept = Buffer.alloc(0);
  #length = 0;

  constructor({ outputBytesMax, stdout }: Pick<HostSettings, 'outputBytesMax' | 'stdout'>) {
    this.#max = outputBytesMax;
    this.#sink = stdout;
  }

  /** @param parts views of the module's memory, copied here @throws StepError RESULT_TOO_LARGE before any is taken */
  write(parts: readonly Uint8Array[], bytes: number): void {
    if (bytes === 0) return;
    if (this.#length + bytes > this.#max)
      throw new StepError(
        'RESULT_TOO_LARGE',
        `the module wrote more than the ${this.#max} bytes to standard output that are allowed; write less, or stream it`,
      );
    if (this.#sink !== undefined) {
      this.#length += bytes;
      // Part by part: parts may overlap, and be far more together than the module's memory.
      for (const part of parts) this.#sink(part.slice());
      return;
    }
    if (this.#length + bytes > this.#kept.length) {
      const larger = Buffer.alloc(Math.min(this.#max, Math.max(4096, 2 * this.#kept.length, this.#length + bytes)));
      larger.set(this.#kept.subarray(0, this.#length));
      this.#kept = larger;
    }
    for (const part of parts) {
      this.#kept.set(part, this.#length);
      this.#length += part.length;
    }
  }

  /** What was kept. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#sink === undefined ? new Uint8Array(this.#kept.subarray(0, this.#length)) : new Uint8Array(0);
  }
}

/** The last bytes of what was written. */
export class StandardError {
  #buffer = Buffer.alloc(0);
  #length = 0;
  #isCut = false;

  write(parts: readonly Uint8Array[]): void {
    for (const part of parts) this.#add(part);
  }

  #add(part: Uint8Array): void {
    const tail = part.subarray(Math.max(0, part.length - stderrBytesMax));
    if (this.#length + tail.length > this.#buffer.length) this.#makeRoom();
    this.#buffer.set(tail, this.#length);
    this.#length += tail.length;
    this.#isCut ||= part.length > stderrBytesMax || this.#length > stderrBytesMax;
  }

  /** Twice the size is gathered before it is cut, so that small writes cost no copy of all of it each. */
  #makeRoom(): void {
    if (this.#buffer.length === 0) this.#buffer = Buffer.alloc(2 * stderrBytesMax);
    const start = Math.max(0, this.#length - stderrBytesMax);
    this.#buffer.copyWithin(0, start, this.#length);
    this.#length -= start;
  }

  text(): string {
    let start = Math.max(0, this.#length - stderrBytesMax);
    const last = Math.min(this.#length, start + 3);
    // What is left of a character whose beginning was cut off.
    if (this.#isCut) while (start < last && ((this.#buffer[start] ?? 0) & 0xc0) === 0x80) start += 1;
    return this.#buffer.toString('utf8', start, this.#length);
  }
}
