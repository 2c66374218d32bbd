import type { Scheduler } from '../core/scheduler/scheduler.ts';
import type { Clock } from '../ports/clock.ts';

export interface HopelessStep {
  run: string;
  step: number;
  /** What each node lacks. */
  why: string;
}

/** Watches for steps that no connected node could ever run, and gives them up once a node that can has had time to join. */
export class UnschedulableWatch {
  readonly #scheduler: Scheduler;
  readonly #clock: Clock;
  readonly #afterMs: number;
  readonly #giveUp: (step: HopelessStep) => void;
  /** Since when a run has waited with a demand that nobody meets. */
  #since = new Map<string, number>();
  #stopTimer: (() => void) | undefined;

  constructor(deps: { scheduler: Scheduler; clock: Clock }, afterMs: number, giveUp: (step: HopelessStep) => void) {
    this.#scheduler = deps.scheduler;
    this.#clock = deps.clock;
    this.#afterMs = afterMs;
    this.#giveUp = giveUp;
  }

  /** To be called whenever steps or nodes have come or gone; cheap where there is nothing to do. */
  check(): void {
    if (this.#stopTimer !== undefined || this.#scheduler.unschedulable().next().done === true) return;
    this.#look();
  }

  stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#since.clear();
  }

  #look(): void {
    const now = this.#clock.now();
    const since = new Map<string, number>();
    const over: HopelessStep[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const { shape, runs, why } of this.#scheduler.unschedulable()) {
      for (const run of runs) {
        const key = `${run} ${shape}`;
        const start = this.#since.get(key) ?? now;
        if (now - start >= this.#afterMs)
          for (const { step, demand } of this.#scheduler.readySteps(run)) {
            if (demand.shape === shape) over.push({ run, step, why });
          }
        else {
          since.set(key, start);
          next = Math.min(next, start + this.#afterMs);
        }
      }
    }
    this.#since = since;
    for (const step of over) this.#giveUp(step);
    if (next === Number.POSITIVE_INFINITY) return;
    this.#stopTimer = this.#clock.timer(next - now, () => {
      this.#stopTimer = undefined;
      this.#look();
    });
  }
}
