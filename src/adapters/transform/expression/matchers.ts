import { RE2JS } from '@bufbuild/re2';
import { messageOf } from '../../../lib/errors.ts';
import { Failure, type Frame } from './value.ts';

const PATTERN_LENGTH_MAX = 512;
const CACHED_MAX = 64;

/** Compiled RE2 patterns of one expression. RE2 takes time linear in the text, so no pattern can hang a node. */
export class Matchers {
  readonly #compiled = new Map<string, RE2JS>();

  /** @throws Failure where the pattern is not in RE2's syntax, or is too long */
  test(pattern: string, subject: string, frame: Frame, at: number): boolean {
    const compiled = this.compile(pattern, at);
    // At worst each character meets each instruction of the program.
    frame.spend((subject.length * compiled.re2Input.prog.numInst()) >> 2);
    return compiled.test(subject);
  }

  compile(pattern: string, at: number): RE2JS {
    const known = this.#compiled.get(pattern);
    if (known !== undefined) return known;
    if (pattern.length > PATTERN_LENGTH_MAX)
      throw new Failure(`the pattern is longer than ${PATTERN_LENGTH_MAX} characters`, at);
    let compiled: RE2JS;
    try {
      compiled = RE2JS.compile(pattern);
    } catch (thrown) {
      throw new Failure(`the pattern is not in RE2 syntax: ${messageOf(thrown)}`, at);
    }
    // Patterns that come out of data may be many: forget the oldest.
    const [oldest] = this.#compiled.keys();
    if (this.#compiled.size >= CACHED_MAX && oldest !== undefined) this.#compiled.delete(oldest);
    this.#compiled.set(pattern, compiled);
    return compiled;
  }
}
