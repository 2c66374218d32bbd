import { assert } from '../../lib/assert.ts';
import { digestOf } from '../../lib/canonical.ts';
import type { Step, Workflow } from '../../protocol/workflow.ts';
import { findReferences } from './references.ts';

export interface PlannedStep {
  /** Place in the workflow's list of steps. */
  index: number;
  step: Step;
  /** SHA-256 of the step's canonical JSON. */
  digest: string;
  /** Indexes of the steps that must succeed first: declared parents and those referred to, ascending, each once. */
  parents: number[];
  /** Indexes of the steps that wait for this one, ascending, each once. */
  children: number[];
  /** What its adapter says that it needs of a node, by resource name; what the step itself says counts more. */
  requirements?: Readonly<Record<string, number>>;
}

/** A workflow as a graph. Nothing changes it once it is made. */
export interface Plan {
  workflow: Workflow;
  /** SHA-256 of the workflow's canonical JSON. */
  digest: string;
  steps: PlannedStep[];
  byId: Map<string, PlannedStep>;
  /** Indexes in an order in which parents come before children; among the free ones, the order of the workflow's layers. */
  order: number[];
}

/**
 * The graph of a workflow that has passed validation. Takes time in proportion to steps and edges.
 *
 * @throws JSONFlowError INTERNAL where the workflow was not validated
 */
export function planWorkflow(workflow: Workflow): Plan {
  const byId = new Map<string, PlannedStep>();
  const steps = workflow.steps.map((step, index): PlannedStep => {
    const planned = { index, step, digest: digestOf(step), parents: [], children: [] };
    assert(!byId.has(step.id), `step "${step.id}" is planned once`);
    byId.set(step.id, planned);
    return planned;
  });
  for (const planned of steps) {
    const parents = new Set<number>();
    for (const id of parentIds(planned.step)) {
      const parent = byId.get(id);
      assert(parent !== undefined && parent !== planned, `step "${planned.step.id}" has the parent "${id}"`);
      parents.add(parent.index);
    }
    planned.parents = [...parents].sort((a, b) => a - b);
    for (const parent of planned.parents) steps[parent]?.children.push(planned.index);
  }
  return { workflow, digest: digestOf(workflow), steps, byId, order: topologicalOrder(steps) };
}

/** Ids of the steps that a step waits for; an id may come more than once. */
function parentIds(step: Pick<Step, 'params' | 'parent_step_ids'>): string[] {
  const ids = [...(step.parent_step_ids ?? [])];
  for (const { stepId } of findReferences(step.params)) if (stepId !== null) ids.push(stepId);
  return ids;
}

/** Kahn's algorithm; the growing order is its own queue. */
function topologicalOrder(steps: readonly PlannedStep[]): number[] {
  const waitingFor = steps.map((planned) => planned.parents.length);
  const order: number[] = [];
  for (const planned of steps) if (planned.parents.length === 0) order.push(planned.index);
  for (let next = 0; next < order.length; next++) {
    for (const child of steps[order[next] ?? 0]?.children ?? []) {
      const left = (waitingFor[child] ?? 0) - 1;
      waitingFor[child] = left;
      if (left === 0) order.push(child);
    }
  }
  assert(order.length === steps.length, 'a planned workflow has no cycle');
  return order;
}
