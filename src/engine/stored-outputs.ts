import { setImmediate as nextTurn } from 'node:timers/promises';
import { canonicalProblem } from '../lib/canonical-scan.ts';
import { EvidenceError } from '../lib/errors.ts';
import type { Store } from '../ports/store.ts';

/** What a blob is, once it was looked at: bytes of a given digest never change. */
interface Looked {
  bytes: number;
  /** Why it is no value; undefined where it is one. */
  problem: string | undefined;
}

/** Blobs whose verdict is remembered. */
const lookedMax = 1_000;

/**
 * Looks at outputs that nodes have stored as blobs before they count. What is not the canonical text of a JSON value would fail
 * its run later, when it is used, or make a bundle that never verifies.
 */
export class StoredOutputs {
  readonly #store: Store;
  readonly #looked = new Map<string, Looked>();
  /** One after the other: each may be large. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /** @throws EvidenceError where the blob is not what it is said to be; what the store throws, which is not its sender's doing */
  async check({ digest, bytes }: { digest: string; bytes: number }): Promise<void> {
    const turn = this.#turn.then(() => this.#looked.get(digest) ?? this.#look(digest));
    this.#turn = turn.catch(() => undefined);
    const looked = await turn;
    if (looked.problem !== undefined) throw new EvidenceError(looked.problem);
    if (looked.bytes !== bytes)
      throw new EvidenceError(`the output is said to have ${bytes} bytes, but it has ${looked.bytes}`);
  }

  async #look(digest: string): Promise<Looked> {
    const bytes = await this.#store.getBlob(digest);
    // Not remembered: it may be stored yet.
    if (bytes === undefined) return { bytes: 0, problem: 'the output is said to be stored, but it is not' };
    // Turn by turn: no blob may keep the coordinator from hearing its nodes.
    const wrong = await canonicalProblem(bytes, nextTurn);
    const problem = wrong === undefined ? undefined : `the stored output is no canonical JSON (RFC 8785): it ${wrong}`;
    const looked = { bytes: bytes.length, problem };
    this.#looked.set(digest, looked);
    const [oldest] = this.#looked.keys();
    if (this.#looked.size > lookedMax && oldest !== undefined) this.#looked.delete(oldest);
    return looked;
  }
}
