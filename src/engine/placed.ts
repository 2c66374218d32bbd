import type { ActiveRun } from './active-run.ts';

export interface PlacedStep {
  run: ActiveRun;
  step: number;
}

/** Which steps are on which node, so that the loss of a node costs only what ran there. */
export class Placed {
  readonly #nodes = new Map<string, Map<string, PlacedStep>>();

  add(node: string, run: ActiveRun, step: number): void {
    const steps = this.#nodes.get(node) ?? new Map<string, PlacedStep>();
    this.#nodes.set(node, steps.set(keyOf(run, step), { run, step }));
  }

  delete(node: string, run: ActiveRun, step: number): void {
    const steps = this.#nodes.get(node);
    steps?.delete(keyOf(run, step));
    if (steps?.size === 0) this.#nodes.delete(node);
  }

  *on(node: string): Generator<PlacedStep> {
    yield* this.#nodes.get(node)?.values() ?? [];
  }
}

const keyOf = (run: ActiveRun, step: number): string => `${run.state.runId}/${step}`;
