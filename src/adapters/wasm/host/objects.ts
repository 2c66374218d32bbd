import { StepError } from '../../../lib/errors.ts';

const objectsMax = 1024;
/** wasm-bindgen's own indices end before: undefined, null and the like. */
const indexMin = 132;

/** Objects of JavaScript that a module of wasm-bindgen holds by an index: texts, of which the host keeps what it would show. */
export class HostObjects {
  readonly #texts = new Map<number, string>();
  #next = indexMin;

  /** @returns its index @throws StepError MEMORY_LIMIT */
  add(text: string): number {
    if (this.#texts.size >= objectsMax)
      throw new StepError('MEMORY_LIMIT', `the module holds ${objectsMax} objects of JavaScript; it must drop some`);
    const index = this.#next;
    this.#next += 1;
    this.#texts.set(index, text);
    return index;
  }

  text(index: number): string | undefined {
    return this.#texts.get(index);
  }

  drop(index: number): void {
    this.#texts.delete(index);
  }
}
