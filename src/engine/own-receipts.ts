import { pae, toEnvelope } from '../core/receipt/dsse.ts';
import { nullDigest, receiptPayload, runPayload } from '../core/receipt/statement.ts';
import { concludeRun } from '../core/run/result.ts';
import { clip } from '../lib/clip.ts';
import { isoTime } from '../lib/time.ts';
import type { Clock } from '../ports/clock.ts';
import type { Signer } from '../ports/signer.ts';
import type { RunEventOf } from '../protocol/events.ts';
import { limits } from '../protocol/limits.ts';
import { type Envelope, payloadType, type StepFailure } from '../protocol/receipt.ts';
import { productVersion } from '../protocol/version.ts';
import { type ActiveRun, plannedAt } from './active-run.ts';
import { parentReceipts } from './dispatcher.ts';

/** What the coordinator itself signs: that a step failed which no node could answer for, and how a run ended. */
export class OwnReceipts {
  readonly #node: { id: string; key_id: string };
  readonly #epoch: number;
  readonly #signer: Signer;
  readonly #clock: Clock;

  constructor(nodeId: string, epoch: number, deps: { signer: Signer; clock: Clock }) {
    this.#node = { id: nodeId, key_id: deps.signer.keyId };
    this.#epoch = epoch;
    this.#signer = deps.signer;
    this.#clock = deps.clock;
  }

  /** @param attempt the one that failed, or the next where none was under way */
  async failure(
    run: ActiveRun,
    step: number,
    attempt: number,
    stated: StepFailure,
    inputDigest: string = nullDigest,
  ): Promise<RunEventOf<'step.failed'>> {
    const { plan, runId, started } = run.state;
    const planned = plannedAt(plan, step);
    const now = this.#clock.now();
    const error = { ...stated, message: clip(stated.message, limits.errorLengthMax) };
    const envelope = await this.#sign(
      receiptPayload({
        run_id: runId,
        step_id: planned.step.id,
        step_type: planned.step.type,
        attempt,
        epoch: this.#epoch,
        tenant_id: started.tenant_id,
        workflow_digest: plan.digest,
        step_digest: planned.digest,
        input_digest: inputDigest,
        output_digest: nullDigest,
        parents: parentReceipts(run, step),
        adapter: { id: 'coordinator', version: productVersion },
        node: this.#node,
        started_at: isoTime(now),
        finished_at: isoTime(now),
        status: 'failed',
        error,
        deterministic: false,
        resources: {},
      }),
    );
    return { kind: 'step.failed', at: now, step: planned.step.id, attempt, node: this.#node.id, error, envelope };
  }

  /** The last event of a settled run. */
  async conclusion(run: ActiveRun): Promise<RunEventOf<'run.completed'>> {
    const at = this.#clock.now();
    const predicate = concludeRun(run.state, this.#node, this.#epoch, at);
    const run_statement = await this.#sign(runPayload(predicate));
    const { status, merkle_root, result_root, error } = predicate;
    return {
      kind: 'run.completed',
      at,
      status,
      run_statement,
      merkle_root,
      result_root,
      ...(error === undefined ? {} : { error }),
    };
  }

  async #sign(payload: string): Promise<Envelope> {
    return toEnvelope(payload, this.#signer.keyId, await this.#signer.sign(pae(payloadType, payload)));
  }
}
