import { digestOf } from '../../lib/canonical.ts';
import { JSONFlowError, messageOf } from '../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../lib/json.ts';
import { SizeBudget } from '../../lib/size-budget.ts';
import { limits } from '../../protocol/limits.ts';
import type { Bundle, Envelope, ReceiptPredicate, RunPredicate } from '../../protocol/receipt.ts';
import type { Plan, PlannedStep } from '../workflow/plan.ts';
import { resolveParams } from '../workflow/references.ts';
import { counted, type Findings, short } from './findings.ts';
import { merkleRootOf, receiptLeaf, resultLeafOf, resultRootOf } from './roots.ts';
import { nullDigest } from './statement.ts';

export interface DecodedReceipt {
  /** `receipts[<index>]` */
  where: string;
  index: number;
  envelope: Envelope;
  /** Of the canonical envelope. */
  digest: string;
  predicate: ReceiptPredicate;
}

/** Thrown by a lookup where an output stands in the bundle as its digest alone. */
const notCarried = Symbol('output not carried');

/** Input of a step, as far as the bundle lets us recompute it. */
type Recomputed =
  | { kind: 'digest'; digest: string }
  | { kind: 'not carried' }
  | { kind: 'unresolvable'; why: string }
  /** All inputs together are larger than what is recomputed. */
  | { kind: 'too much' };

/** Of all inputs together, as `SizeBudget` counts. A small bundle may state huge inputs: each step repeats its parents' outputs. */
const inputsBytesMax = 32 * limits.blobBytesMax;

/** The receipts of one run against its workflow and its run statement. Each check returns what it found in order. */
export class RunEvidence {
  readonly #bundle: Bundle;
  readonly #plan: Plan;
  readonly #run: RunPredicate;
  readonly #receipts: readonly DecodedReceipt[];
  readonly #findings: Findings;
  /** First success of each step. */
  readonly #success = new Map<string, DecodedReceipt>();
  readonly #failed = new Set<string>();
  #inputsLeft: number;

  constructor(
    bundle: Bundle,
    plan: Plan,
    run: RunPredicate,
    receipts: readonly DecodedReceipt[],
    findings: Findings,
    inputsMax = inputsBytesMax,
  ) {
    this.#inputsLeft = inputsMax;
    this.#bundle = bundle;
    this.#plan = plan;
    this.#run = run;
    this.#receipts = receipts;
    this.#findings = findings;
    for (const receipt of receipts) {
      const { step_id, status } = receipt.predicate;
      if (status === 'failed') this.#failed.add(step_id);
      else if (!this.#success.has(step_id)) this.#success.set(step_id, receipt);
    }
  }

  /** The run statement speaks of this workflow, this input, this tenant. */
  checkRun(): string {
    const { run_id, workflow, input } = this.#bundle;
    const run = this.#run;
    this.#equal('run_statement', 'run', run.run_id, run_id);
    this.#equal('run_statement', 'workflow digest', run.workflow_digest, digestOf(workflow));
    this.#equal('run_statement', 'workflow name', run.workflow, this.#plan.workflow.workflow);
    this.#equal('run_statement', 'input digest', run.input_digest, digestOf(input));
    const tenant = this.#plan.workflow.tenant_id;
    if (tenant !== undefined) this.#equal('run_statement', 'tenant', run.tenant_id, tenant);
    return `${run_id} of "${run.workflow}"`;
  }

  /** Every receipt belongs to this run and to a step as the workflow states it. */
  checkReceipts(): string {
    const run = this.#run;
    for (const { where, predicate } of this.#receipts) {
      this.#equal(where, 'run', predicate.run_id, run.run_id);
      this.#equal(where, 'tenant', predicate.tenant_id, run.tenant_id);
      this.#equal(where, 'workflow digest', predicate.workflow_digest, run.workflow_digest);
      if (predicate.epoch > run.epoch)
        this.#findings.bad(where, `epoch ${predicate.epoch} is later than the run's last, ${run.epoch}`);
      const planned = this.#plan.byId.get(predicate.step_id);
      if (planned === undefined) {
        this.#findings.bad(where, `the workflow has no step "${predicate.step_id}"`);
        continue;
      }
      this.#equal(where, 'step type', predicate.step_type, planned.step.type);
      this.#equal(where, 'step digest', predicate.step_digest, planned.digest);
    }
    return `${counted(this.#receipts.length, 'receipt')} of this run and its steps`;
  }

  /** Attempts count up, a success is the last word, nothing stands twice. */
  checkOrder(): string {
    const last = new Map<string, ReceiptPredicate>();
    const seen = new Set<string>();
    for (const { where, digest, predicate } of this.#receipts) {
      const { step_id, attempt, epoch } = predicate;
      const before = last.get(step_id);
      if (seen.has(digest)) this.#findings.bad(where, `the receipt of step "${step_id}" stands twice`);
      else if (before !== undefined) {
        if (before.status === 'success') this.#findings.bad(where, `step "${step_id}" has a receipt after its success`);
        if (attempt <= before.attempt)
          this.#findings.bad(where, `attempt ${attempt} of step "${step_id}" follows attempt ${before.attempt}`);
        if (epoch < before.epoch)
          this.#findings.bad(where, `epoch ${epoch} of step "${step_id}" follows epoch ${before.epoch}`);
      }
      seen.add(digest);
      last.set(step_id, predicate);
    }
    return 'attempts count up, and nothing stands twice';
  }

  /** Every receipt names the successes of exactly its step's parents, and stands after them. */
  checkParents(): string {
    let links = 0;
    for (const receipt of this.#receipts) {
      const { where, index, predicate } = receipt;
      const planned = this.#plan.byId.get(predicate.step_id);
      if (planned === undefined) continue;
      const stated = new Map(predicate.parents.map(({ step_id, receipt_digest }) => [step_id, receipt_digest]));
      for (const parentId of this.#parentIds(planned)) {
        const parent = this.#success.get(parentId);
        const digest = stated.get(parentId);
        stated.delete(parentId);
        links++;
        if (digest === undefined) this.#findings.bad(where, `the receipt does not name the parent "${parentId}"`);
        else if (digest !== parent?.digest)
          this.#findings.bad(where, `the receipt names another receipt of "${parentId}" than the one in this bundle`);
        else if (parent.index > index) this.#findings.bad(where, `the receipt stands before that of "${parentId}"`);
      }
      for (const stranger of stated.keys())
        this.#findings.bad(where, `"${stranger}" is not a parent of "${predicate.step_id}"`);
    }
    return `${counted(links, 'link')} between receipts`;
  }

  /** Exactly the steps that succeeded have an output, and it is the one that was signed. */
  checkOutputs(): string {
    const { outputs } = this.#bundle;
    let carried = 0;
    for (const step of Object.keys(outputs)) {
      const stored = outputs[step];
      const success = this.#success.get(step);
      const where = `outputs[${JSON.stringify(step)}]`;
      if (stored === undefined || success === undefined) {
        this.#findings.bad(where, `no receipt says that step "${step}" succeeded`);
        continue;
      }
      if ('value' in stored) carried++;
      const digest = 'value' in stored ? digestOf(stored.value) : stored.digest;
      this.#equal(where, 'output digest', digest, success.predicate.output_digest);
    }
    for (const [step, { where }] of this.#success)
      if (!Object.hasOwn(outputs, step)) this.#findings.bad(where, `the bundle lacks the output of step "${step}"`);
    return `${counted(carried, 'output')} match, ${this.#success.size - carried} carried as digests alone`;
  }

  /** Input digests follow from params, run input and the parents' outputs, wherever the bundle carries these. */
  checkInputs(): string {
    const inputs = new Map<string, Recomputed>();
    let recomputed = 0;
    let skipped = 0;
    for (const { where, predicate } of this.#receipts) {
      const planned = this.#plan.byId.get(predicate.step_id);
      if (planned === undefined) continue;
      const input = inputs.get(predicate.step_id) ?? this.#recomputeInput(planned);
      inputs.set(predicate.step_id, input);
      if (input.kind === 'too much') {
        this.#findings.bad(where, 'the inputs are too large together to be recomputed from here on');
        break;
      }
      // Params are an object, so the digest of null can only mean that the attempt failed before they were resolved.
      const failedBefore = predicate.status === 'failed' && predicate.input_digest === nullDigest;
      if (failedBefore || input.kind === 'not carried') skipped++;
      else if (input.kind === 'digest') {
        recomputed++;
        this.#equal(where, 'input digest', predicate.input_digest, input.digest);
      } else this.#findings.bad(where, `the input can't have been resolved: ${input.why}`);
    }
    return `${recomputed} recomputed, ${skipped} not (values carried as digests, or failed before)`;
  }

  /** Every step of the workflow succeeded, finally failed, or is stated not to have run. */
  checkSteps(): string {
    const notRun = new Set<string>();
    let previous = -1;
    for (const [place, { step_id }] of this.#run.not_run.entries()) {
      const where = `run_statement.not_run[${place}]`;
      const index = this.#plan.byId.get(step_id)?.index;
      if (index === undefined) this.#findings.bad(where, `the workflow has no step "${step_id}"`);
      else if (index <= previous) this.#findings.bad(where, `step "${step_id}" is out of order or stands twice`);
      else previous = index;
      if (this.#success.has(step_id)) this.#findings.bad(where, `step "${step_id}" succeeded`);
      notRun.add(step_id);
    }
    let failed = 0;
    for (const { step } of this.#plan.steps) {
      if (this.#success.has(step.id) || notRun.has(step.id)) continue;
      if (this.#failed.has(step.id)) failed++;
      else this.#findings.bad('receipts', `step "${step.id}" has no receipt, and is not stated as not run`);
    }
    return `${this.#success.size} succeeded, ${failed} failed, ${notRun.size} not run`;
  }

  /** The status says what the receipts say. */
  checkStatus(): string {
    const { status, error, not_run } = this.#run;
    const where = 'run_statement';
    const all = this.#plan.steps.every(({ step }) => this.#success.has(step.id));
    if (all !== (status === 'completed'))
      this.#findings.bad(where, `the run is stated as ${status}, but ${all ? 'every' : 'not every'} step succeeded`);
    if (status === 'completed' && error !== undefined) this.#findings.bad(where, 'a completed run states an error');
    if (status === 'failed' && error === undefined) this.#findings.bad(where, 'a failed run states no error');
    const blamed = error?.step_id;
    if (blamed !== undefined) {
      const finallyFailed = this.#failed.has(blamed) && !this.#success.has(blamed);
      if (!finallyFailed || not_run.some(({ step_id }) => step_id === blamed))
        this.#findings.bad(where, `the error blames step "${blamed}", which did not finally fail`);
    }
    return status;
  }

  checkMerkleRoot(): string {
    const { receipts } = this.#bundle;
    this.#equal('run_statement', 'tree size', this.#run.tree_size, receipts.length);
    this.#equal('run_statement', 'Merkle root', this.#run.merkle_root, merkleRootOf(receipts.map(receiptLeaf)));
    return short(this.#run.merkle_root);
  }

  checkResultRoot(): string {
    const leaves = this.#plan.steps.flatMap(({ step }) => {
      const success = this.#success.get(step.id);
      return success === undefined ? [] : [resultLeafOf(success.predicate)];
    });
    this.#equal('run_statement', 'result root', this.#run.result_root, resultRootOf(leaves));
    return short(this.#run.result_root);
  }

  #parentIds(planned: PlannedStep): string[] {
    return planned.parents.flatMap((index) => this.#plan.steps[index]?.step.id ?? []);
  }

  #recomputeInput({ step }: PlannedStep): Recomputed {
    const { outputs, input } = this.#bundle;
    const output = (stepId: string): JSONValue | undefined => {
      const stored = Object.hasOwn(outputs, stepId) ? outputs[stepId] : undefined;
      if (stored !== undefined && !('value' in stored)) throw notCarried;
      return stored?.value;
    };
    const budget = new SizeBudget(Math.min(limits.blobBytesMax, this.#inputsLeft));
    const granted = budget.left;
    try {
      const params = resolveParams((step.params ?? {}) as JSONObject, { output, input }, budget);
      return { kind: 'digest', digest: digestOf(params) };
    } catch (thrown) {
      if (thrown === notCarried) return { kind: 'not carried' };
      if (budget.left < 0 && granted < limits.blobBytesMax) return { kind: 'too much' };
      if (thrown instanceof JSONFlowError) return { kind: 'unresolvable', why: messageOf(thrown) };
      throw thrown;
    } finally {
      this.#inputsLeft -= granted - Math.max(budget.left, 0);
    }
  }

  #equal(where: string, what: string, stated: string | number | null, expected: string | number | null): void {
    if (stated !== expected) this.#findings.bad(where, `the ${what} is ${stated}, but should be ${expected}`);
  }
}
