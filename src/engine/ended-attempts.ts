import type { Store } from '../ports/store.ts';
import type { RunEvent } from '../protocol/events.ts';
import type { AttemptKey } from '../protocol/messages.ts';

/** Events of a journal that are in memory at once. */
const pageSize = 200;
/** Verdicts remembered. */
const verdictsMax = 10_000;
/** Questions of one node that may wait. */
const questionsMax = 10_000;
/** Runs of one joining node whose journals are read. */
const runsMax = 100;

interface Question {
  key: AttemptKey;
  answer(accepted: boolean): void;
}

/** The questions of one node that wait, by run: one reading answers all about a run. */
interface Asked {
  byRun: Map<string, Question[]>;
  count: number;
}

/**
 * Whether attempts of runs that are not under way were accepted, which only the journal knows. A node may ask about anything, so
 * each has one journal read for it at a time, page by page, and its questions are bounded.
 */
export class EndedAttempts {
  readonly #store: Store;
  readonly #asked = new Map<string, Asked>();
  /** In the order of their use, the oldest first. */
  readonly #verdicts = new Map<string, boolean>();

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Whether the journal has this attempt of this node as an answered one. There is no answer where the node has asked too much, or
   * the journal can't be read: a false one could cost it what it does after the commit. It asks again when it next joins.
   */
  ask(node: string, key: AttemptKey, answer: (accepted: boolean) => void): void {
    const known = this.#recall(verdictName(node, key));
    if (known !== undefined) return answer(known);
    const asked = this.#asked.get(node);
    if (asked !== undefined && asked.count >= questionsMax) return;
    const { run_id, step_id, attempt, epoch } = key;
    const question = { key: { run_id, step_id, attempt, epoch }, answer };
    if (asked === undefined) {
      const first: Asked = { byRun: new Map([[run_id, [question]]]), count: 1 };
      this.#asked.set(node, first);
      void this.#answerAll(node, first);
      return;
    }
    asked.count += 1;
    const ofRun = asked.byRun.get(run_id);
    if (ofRun === undefined) asked.byRun.set(run_id, [question]);
    else ofRun.push(question);
  }

  /** Those of the attempts that the journals of their runs don't have as accepted, as far as these can be read. */
  async notAccepted(keys: readonly AttemptKey[]): Promise<Set<AttemptKey>> {
    const byRun = new Map<string, AttemptKey[]>();
    for (const key of keys) {
      const ofRun = byRun.get(key.run_id);
      if (ofRun !== undefined) ofRun.push(key);
      else if (byRun.size < runsMax) byRun.set(key.run_id, [key]);
    }
    const found = new Set<AttemptKey>();
    for (const [runId, ofRun] of byRun) {
      const read = await this.#read(runId, ofRun).catch(() => undefined);
      for (const key of ofRun) if (read?.accepted.has(attemptName(key)) === false) found.add(key);
    }
    return found;
  }

  async #answerAll(node: string, asked: Asked): Promise<void> {
    for (let next = firstOf(asked.byRun); next !== undefined; next = firstOf(asked.byRun)) {
      const [runId, questions] = next;
      asked.byRun.delete(runId);
      const read = await this.#read(
        runId,
        questions.map(({ key }) => key),
      ).catch(() => undefined);
      asked.count -= questions.length;
      if (read === undefined) continue;
      for (const { key, answer } of questions) {
        const accepted = read.accepted.get(attemptName(key)) === node;
        // Until the run has ended, what was not accepted may still be.
        if (accepted || read.ended) this.#remember(verdictName(node, key), accepted);
        answer(accepted);
      }
    }
    this.#asked.delete(node);
  }

  /** The nodes of those attempts that were accepted, and whether the journal says the last about its run. */
  async #read(runId: string, keys: readonly AttemptKey[]): Promise<{ accepted: Map<string, string>; ended: boolean }> {
    const wanted = new Set(keys.map(attemptName));
    const accepted = new Map<string, string>();
    for (let seq = 0; ; seq += pageSize) {
      const events = await this.#store.read(runId, seq, pageSize);
      for (const event of events) {
        if (!isAnswer(event)) continue;
        const name = attemptName({ step_id: event.step, attempt: event.attempt });
        if (wanted.delete(name)) accepted.set(name, event.node);
      }
      if (events.length < pageSize) return { accepted, ended: events.at(-1)?.kind === 'run.completed' };
      if (wanted.size === 0) return { accepted, ended: false };
    }
  }

  #recall(name: string): boolean | undefined {
    const verdict = this.#verdicts.get(name);
    if (verdict !== undefined) this.#remember(name, verdict);
    return verdict;
  }

  #remember(name: string, verdict: boolean): void {
    this.#verdicts.delete(name);
    this.#verdicts.set(name, verdict);
    const [oldest] = this.#verdicts.keys();
    if (this.#verdicts.size > verdictsMax && oldest !== undefined) this.#verdicts.delete(oldest);
  }
}

const isAnswer = (event: RunEvent) =>
  event.kind === 'step.succeeded' || event.kind === 'step.retrying' || event.kind === 'step.failed';

// Step ids hold neither '#' nor '/'.
const attemptName = ({ step_id, attempt }: Pick<AttemptKey, 'step_id' | 'attempt'>): string => `${step_id}#${attempt}`;
const verdictName = (node: string, key: AttemptKey): string => JSON.stringify([node, key.run_id, attemptName(key)]);

const firstOf = <Key, Value>(map: ReadonlyMap<Key, Value>): [Key, Value] | undefined => {
  for (const entry of map) return entry;
  return undefined;
};
