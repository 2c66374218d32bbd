import { JSONFlowError, messageOf } from '../src/lib/errors.ts';
import type { DistributedResult } from '../src/protocol/result.ts';
import { ProcessClock } from './clock.ts';
import type { SeededRandom } from './random.ts';
import type { Job } from './workload.ts';
import type { World } from './world.ts';

export interface Submission {
  job: Job;
  /** What the client was told. */
  runId: string;
  cancelled: boolean;
  /** The result that `wait` gave. */
  result: DistributedResult | undefined;
}

interface SubmitOptions {
  cancelAfterMs: number | undefined;
  /** Two calls at once, as when a proxy repeats a request. */
  twice: boolean;
}

const triesMax = 200;

/** Somebody who uses the coordinator: submits, submits again when in doubt, cancels, waits. Remembers every promise it was made. */
export class Client {
  readonly submissions: Submission[] = [];
  /** Things that it still does or waits for. */
  busy = 0;
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #clock: ProcessClock;

  constructor(world: World, random: SeededRandom) {
    this.#world = world;
    this.#random = random;
    this.#clock = new ProcessClock(world.clock);
  }

  async submit(job: Job, afterMs: number, options: SubmitOptions): Promise<void> {
    this.busy += 1;
    await this.#submit(job, afterMs, options);
    this.busy -= 1;
  }

  async #submit(job: Job, afterMs: number, options: SubmitOptions): Promise<void> {
    await this.#clock.sleep(afterMs);
    const first = this.#submitUntilTold(job);
    const second = options.twice && job.key !== undefined ? this.#submitUntilTold(job) : first;
    const [runId, again] = await Promise.all([first, second]);
    if (runId === undefined) return;
    if (again !== undefined && again !== runId)
      this.#world.report.violation('one run per key', `${job.key} started ${runId} and ${again}`);
    const submission: Submission = { job, runId, cancelled: false, result: undefined };
    this.submissions.push(submission);
    const ending = this.#waitForEnd(submission);
    if (options.cancelAfterMs !== undefined) {
      await this.#clock.sleep(options.cancelAfterMs);
      await this.#cancel(submission);
    }
    await ending;
  }

  /** A client without a key can't know whether a lost call counted, so it does not call again. */
  async #submitUntilTold(job: Job): Promise<string | undefined> {
    const { report, journal } = this.#world;
    for (let tries = 0; tries < triesMax; tries++) {
      const coordinator = this.#world.coordinator;
      if (coordinator?.ready === true)
        try {
          const { run_id } = await coordinator.call((api) =>
            api.submit({
              workflow: job.workflow,
              input: job.input,
              ...(job.key === undefined ? {} : { idempotencyKey: job.key }),
            }),
          );
          report.log(`client: ${job.name} is ${run_id}`);
          if (!journal.runs.has(run_id))
            report.violation('acknowledged means durable', `${run_id} was acknowledged, but it is not on the disk`);
          return run_id;
        } catch (thrown) {
          report.log(`client: ${job.name} got no answer: ${messageOf(thrown)}`);
          if (thrown instanceof JSONFlowError && !goesAway.has(thrown.code))
            report.violation('good work is accepted', `${job.name}: ${thrown.message}`);
          if (job.key === undefined) return undefined;
        }
      await this.#clock.sleep(50 + this.#random.int(0, 200));
    }
    return undefined;
  }

  async #cancel(submission: Submission): Promise<void> {
    const { report, journal } = this.#world;
    const { runId } = submission;
    const coordinator = this.#world.coordinator;
    if (coordinator?.ready !== true) return;
    try {
      const done = await coordinator.call((api) => api.cancel(runId, 'the client wants it'));
      report.log(`client: cancel of ${runId}: ${done}`);
      if (!done) return;
      submission.cancelled = true;
      if (journal.runs.get(runId)?.cancelling !== true)
        report.violation(
          'acknowledged means durable',
          `the cancellation of ${runId} was acknowledged, but it is not on the disk`,
        );
    } catch (thrown) {
      submission.cancelled = true;
      report.log(`client: cancel of ${runId} got no answer: ${messageOf(thrown)}`);
      if (thrown instanceof JSONFlowError && !goesAway.has(thrown.code))
        report.violation('known runs are known', `cancel of ${runId}: ${thrown.message}`);
    }
  }

  async #waitForEnd(submission: Submission): Promise<void> {
    const { runId } = submission;
    for (let tries = 0; tries < triesMax * 10 && submission.result === undefined; tries++) {
      const coordinator = this.#world.coordinator;
      if (coordinator?.ready === true)
        try {
          submission.result = await coordinator.call((api) => api.wait(runId));
          return;
        } catch (thrown) {
          if (thrown instanceof JSONFlowError && !goesAway.has(thrown.code))
            this.#world.report.violation('known runs are known', `waiting for ${runId}: ${thrown.message}`);
        }
      await this.#clock.sleep(100);
    }
  }
}

/** What a coordinator says that stops, or whose disk does. */
const goesAway: ReadonlySet<string> = new Set(['CLOSED', 'STORE_FAILED', 'FENCED']);
