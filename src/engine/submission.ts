import { type Plan, planWorkflow } from '../core/workflow/plan.ts';
import { checkedWorkflow } from '../core/workflow/validate.ts';
import { canonicalize } from '../lib/canonical.ts';
import { JSONFlowError, messageOf } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import type { JSONValue } from '../lib/json.ts';
import { journalVersion, type RunStarted } from '../protocol/events.ts';
import { limits } from '../protocol/limits.ts';
import type { StepTypeManifest } from '../protocol/messages.ts';
import type { Step, Workflow } from '../protocol/workflow.ts';
import type { SubmitRequest } from './api.ts';
import type { Values } from './values.ts';

const plansMax = 200;
/** Length of all workflows remembered, as canonical JSON: a few large ones must not take up the memory. */
const plansLengthMax = 64 * 1024 * 1024;

interface KnownPlan {
  plan: Plan;
  checkedAgainst: unknown;
  length: number;
}

/** What a step needs of a node as its adapter says, by resource name. */
export type Requirements = (step: Step) => Readonly<Record<string, number>> | Promise<Readonly<Record<string, number>>>;

/** Plans of workflows that were checked before, by digest: most runs are runs of a workflow known already. */
export class Plans {
  readonly #plans = new Map<string, KnownPlan>();
  readonly #requirements: Requirements;
  readonly #prepared = new WeakSet<Plan>();
  #length = 0;

  /** @param requirements what adapters say that a step needs of a node. Default nothing. */
  constructor(requirements: Requirements = () => ({})) {
    this.#requirements = requirements;
  }

  /**
   * @param stepTypes the step types that are known; a plan is checked again where these have changed
   * @throws ValidationError
   */
  checked(workflow: unknown, stepTypes: ReadonlyMap<string, StepTypeManifest>): Plan {
    const text = textIfCanonical(workflow);
    const known = text === undefined ? undefined : this.#plans.get(sha256(text));
    if (known !== undefined && known.checkedAgainst === stepTypes) return known.plan;
    const plan = checkedWorkflow(workflow, { stepTypes });
    return this.#remember(plan, stepTypes, text?.length);
  }

  /** The plan of a workflow that was checked when its run began. */
  trusted(workflow: Workflow, digest: string): Plan {
    return this.#plans.get(digest)?.plan ?? this.#remember(planWorkflow(workflow), undefined, undefined);
  }

  /** Finds out what adapters say that the plan's steps need, before the first of its runs. @returns the plan */
  async prepared(plan: Plan): Promise<Plan> {
    if (this.#prepared.has(plan)) return plan;
    for (const planned of plan.steps) {
      const own = await this.#requirements(planned.step);
      if (Object.keys(own).length > 0) planned.requirements = own;
    }
    this.#prepared.add(plan);
    return plan;
  }

  /** What is remembered, and how long it is in total. */
  get size(): { plans: number; length: number } {
    return { plans: this.#plans.size, length: this.#length };
  }

  #remember(plan: Plan, checkedAgainst: unknown, textLength: number | undefined): Plan {
    this.#forget(plan.digest);
    const length = textLength ?? canonicalize(plan.workflow).length;
    this.#plans.set(plan.digest, { plan, checkedAgainst, length });
    this.#length += length;
    for (const oldest of this.#plans.keys()) {
      if (this.#plans.size <= plansMax && this.#length <= plansLengthMax) break;
      this.#forget(oldest);
    }
    return plan;
  }

  #forget(digest: string): void {
    this.#length -= this.#plans.get(digest)?.length ?? 0;
    this.#plans.delete(digest);
  }
}

function textIfCanonical(workflow: unknown): string | undefined {
  if (typeof workflow !== 'object') return undefined;
  try {
    return canonicalize(workflow);
  } catch {
    return undefined;
  }
}

/** The first event of a run: everything that decides what it will do. */
export async function startEvent(
  request: SubmitRequest,
  plan: Plan,
  values: Values,
  at: number,
  pinned?: () => Promise<Record<string, string> | undefined>,
): Promise<RunStarted> {
  const { workflow } = plan;
  const tenant = workflow.tenant_id ?? null;
  if (request.tenantId !== undefined && tenant !== null && tenant !== request.tenantId)
    throw new JSONFlowError(
      'UNAUTHORIZED',
      `the workflow is for tenant ${tenant}, the credential for ${request.tenantId}`,
    );
  checkStartable(plan);
  const input: JSONValue = request.input ?? {};
  let text: string;
  try {
    text = canonicalize(input);
  } catch (thrown) {
    throw new JSONFlowError('INVALID_INPUT', `the run's input can't be used: ${messageOf(thrown)}`, { cause: thrown });
  }
  const input_digest = sha256(text);
  const assets = await pinned?.();
  return {
    kind: 'run.started',
    at,
    version: journalVersion,
    workflow,
    workflow_digest: plan.digest,
    // A copy, so that the caller may change the input afterwards.
    input: await values.keep(text, JSON.parse(text) as JSONValue, input_digest),
    input_digest,
    tenant_id: request.tenantId ?? tenant,
    ...(assets === undefined ? {} : { assets }),
    ...(request.idempotencyKey === undefined ? {} : { idempotency_key: request.idempotencyKey }),
    ...(request.trigger === undefined ? {} : { trigger: request.trigger }),
  };
}

/** What no run of the workflow could ever do. @throws JSONFlowError NOT_AVAILABLE_YET, LIMIT_EXCEEDED */
export function checkStartable(plan: Plan): void {
  refuseWhatComesLater(plan.workflow);
  refuseWhatCannotBeSent(plan);
}

/** Promises that this release can't keep are refused, not ignored. */
function refuseWhatComesLater(workflow: Workflow): void {
  const later = (field: string, what: string): never => {
    throw new JSONFlowError('NOT_AVAILABLE_YET', `${field} asks for ${what}, which this release does not have yet`, {
      hint: `Remove ${field} to run the workflow without it.`,
    });
  };
  if (workflow.consensus?.required === true) later('consensus.required', 'Byzantine consensus');
  for (const [index, step] of workflow.steps.entries())
    if (step.consensus_required === true) later(`steps[${index}].consensus_required`, 'Byzantine consensus');
  if (workflow.isolation !== undefined) later('isolation', 'tenant isolation');
}

function refuseWhatCannotBeSent({ steps }: Plan): void {
  const crowded = steps.find(({ parents }) => parents.length > limits.parentsMax);
  if (crowded !== undefined)
    throw new JSONFlowError(
      'LIMIT_EXCEEDED',
      `step ${crowded.step.id} waits for ${crowded.parents.length} others; at most ${limits.parentsMax} are allowed`,
      { hint: 'Gather them in several steps, and those in one.' },
    );
}
