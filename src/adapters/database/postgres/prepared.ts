import { sha256 } from '../../../lib/hash.ts';
import type { Prepared } from './exchange.ts';

const preparedMax = 100;
/** Longer statements are not kept prepared. */
const preparedTextMax = 256 * 1024;

/** The statements that a connection keeps prepared: 100 at most, the last ones used. */
export class PreparedStatements {
  /** By text, the least recently used first. */
  readonly #known = new Map<string, Prepared>();
  readonly #forgotten: string[] = [];

  get(text: string): Prepared | undefined {
    const known = this.#known.get(text);
    if (known === undefined) return undefined;
    this.#known.delete(text);
    this.#known.set(text, known);
    return known;
  }

  /** Those without a name are replaced by the next, and not kept. */
  add(prepared: Prepared): void {
    if (prepared.name === '') return;
    this.#known.set(prepared.text, prepared);
    if (this.#known.size <= preparedMax) return;
    const [oldest] = this.#known.values();
    if (oldest === undefined) return;
    this.#known.delete(oldest.text);
    this.forget([oldest]);
  }

  /** The server may have them, but nobody here will ask for them. */
  forget(statements: readonly Prepared[]): void {
    this.#forgotten.push(...statements.flatMap(({ name }) => (name === '' ? [] : [name])));
  }

  /** Names of statements that the server is to close. */
  takeForgotten(): string[] {
    return this.#forgotten.splice(0);
  }
}

/** A statement as it is before the server has told about it. */
export function unprepared(text: string, reuse: boolean): Prepared {
  const name = reuse && text.length <= preparedTextMax ? `jf_${sha256(text).slice(0, 32)}` : '';
  return { name, text, parameters: [], fields: [], row: () => ({}) };
}
