import type { RunState } from '../core/run/state.ts';
import { type Demand, demandOf } from '../core/scheduler/demand.ts';
import type { Plan, PlannedStep } from '../core/workflow/plan.ts';
import type { JSONObject, JSONValue } from '../lib/json.ts';
import { findPointers } from '../lib/secrets.ts';
import type { RunEvent } from '../protocol/events.ts';

/** A run that is being worked on: its folded state, and what is under way on its behalf. */
export interface ActiveRun {
  readonly state: RunState;
  readonly input: JSONValue;
  /** Applied to the state, not yet handed to the store. */
  pending: RunEvent[];
  /** To be done once the pending events are durable. */
  effects: (() => void)[];
  /** Timers by what they are for. */
  readonly timers: Map<string, () => void>;
  /** Steps that the coordinator is about to fail itself. */
  readonly failing: Set<number>;
  /** The run statement is being signed: nothing more may happen. */
  concluding: boolean;
}

export const activeRun = (state: RunState, input: JSONValue): ActiveRun => ({
  state,
  input,
  pending: [],
  effects: [],
  timers: new Map(),
  failing: new Set(),
  concluding: false,
});

/** What follows from a step alone; worked out once per plan, since runs of one workflow share it. */
interface StepFacts {
  demand: Demand;
  /** Where its params hold vault pointers. */
  pointers: (string | number)[][];
}

const facts = new WeakMap<PlannedStep, StepFacts>();

/** What follows from a step as planned, found out once. */
export function factsOf(plan: Plan, index: number): StepFacts {
  const planned = plannedAt(plan, index);
  const known = facts.get(planned);
  if (known !== undefined) return known;
  const made = {
    demand: demandOf(planned.step, plan.workflow, planned.requirements),
    pointers: findPointers(paramsOf(planned)),
  };
  facts.set(planned, made);
  return made;
}

export const demandFor = (plan: Plan, index: number): Demand => factsOf(plan, index).demand;

/** @throws RangeError where the plan has no such step */
export function plannedAt(plan: Plan, index: number): PlannedStep {
  const planned = plan.steps[index];
  if (planned === undefined) throw new RangeError(`no step ${index} in a plan of ${plan.steps.length}`);
  return planned;
}

/** Keeps what stops a timer of the run; one of that name before is stopped. */
export function setTimer(run: ActiveRun, name: string, stop: () => void): void {
  run.timers.get(name)?.();
  run.timers.set(name, stop);
}

/** Stops the timer of that name, if there is one. */
export function clearTimer(run: ActiveRun, name: string): void {
  run.timers.get(name)?.();
  run.timers.delete(name);
}

export const paramsOf = (planned: PlannedStep): JSONObject => (planned.step.params ?? {}) as JSONObject;
