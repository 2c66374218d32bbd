import type { AdapterContext } from '../src/ports/adapter.ts';
import type { JournalWatch } from './journal.ts';
import type { Reporter } from './report.ts';

/** Watches what adapters see: which attempts run, which checkpoints count, and when they may act on a commit. */
export class Effects {
  readonly #journal: JournalWatch;
  readonly #report: Reporter;
  /** The last phase that an adapter was told is safe, by run and step. */
  readonly #safePhase = new Map<string, number>();
  readonly #committed = new Set<string>();
  /** Nodes whose messages were falsified: what is refused of them is not their loss. */
  readonly liars = new Set<string>();
  /** Whether the process that an attempt ran in is still there, and means to stay. */
  readonly #ranIn = new Map<string, () => boolean>();

  constructor(journal: JournalWatch, report: Reporter) {
    this.#journal = journal;
    this.#report = report;
  }

  started(node: string, { run_id, step_id, attempt, last_checkpoint }: AdapterContext, isThere: () => boolean): void {
    const name = `${run_id}/${step_id}#${attempt}`;
    this.#ranIn.set(name, isThere);
    this.#report.log(`${node}: starts ${name}`);
    if (this.#journal.attempt(run_id, step_id, attempt)?.node !== node)
      this.#report.violation('persist, then send', `${node} runs ${name}, which the disk does not have`);
    const safe = this.#safePhase.get(`${run_id}/${step_id}`) ?? 0;
    const from = typeof last_checkpoint === 'number' ? last_checkpoint : 0;
    if (from < safe)
      this.#report.violation('a checkpoint stays', `${name} starts from phase ${from}, though ${safe} was safe`);
  }

  checkpointed(node: string, { run_id, step_id, attempt }: AdapterContext, phase: number): void {
    const name = `${run_id}/${step_id}`;
    // Where the frequency skips a state, the call resolves at once and promises nothing.
    if (!this.#keepsAll(run_id)) return;
    const kept = this.#journal.attempt(run_id, step_id, attempt)?.checkpoints ?? [];
    if (kept.some((value) => value >= phase))
      this.#safePhase.set(name, Math.max(phase, this.#safePhase.get(name) ?? 0));
    else
      this.#report.violation(
        'a checkpoint is safe when it says so',
        `${node}: phase ${phase} of ${name}#${attempt} is not on the disk`,
      );
  }

  committed(node: string, { run_id, step_id, attempt }: AdapterContext): void {
    const name = `${run_id}/${step_id}#${attempt}`;
    this.#report.log(`${node}: commits ${name}`);
    if (this.#committed.has(name)) this.#report.violation('one commit', `afterCommit of ${name} was called twice`);
    this.#committed.add(name);
    const record = this.#journal.attempt(run_id, step_id, attempt);
    if (record?.end !== 'step.succeeded' || record.node !== node)
      this.#report.violation(
        'commit what counts',
        `afterCommit of ${name} on ${node} was called, but the disk has no success of it`,
      );
  }

  /** Where the process that made a result lives on, it must have heard that the result counts. */
  checkCommits(): void {
    for (const [runId, { steps }] of this.#journal.runs)
      for (const [step, { attempts }] of steps)
        for (const [attempt, { end, node }] of attempts) {
          const name = `${runId}/${step}#${attempt}`;
          if (this.liars.has(node)) continue;
          if (end === 'step.succeeded' && this.#ranIn.get(name)?.() === true && !this.#committed.has(name))
            this.#report.violation('what counts is committed', `${node} never heard that ${name} counts`);
        }
  }

  #keepsAll(runId: string): boolean {
    const workflow = this.#journal.runs.get(runId)?.started.workflow;
    const { failover_strategy, checkpoint_frequency = 'per_step' } = workflow?.fault_tolerance ?? {};
    return failover_strategy === 'checkpoint' && checkpoint_frequency === 'per_step';
  }
}
