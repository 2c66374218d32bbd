import { along, dot, largest, type Objective, type Optimizer, type Standing } from './optimizer.ts';

export interface LbfgsOptions {
  /** Ends once no derivative is larger. */
  readonly tolerance: number;
  /** Steps whose curvature is remembered. */
  readonly memory: number;
}

interface LbfgsState extends Standing {
  readonly gradient: readonly number[];
  /** Changes of the point and of the gradient, oldest first. */
  readonly steps: readonly { readonly point: readonly number[]; readonly gradient: readonly number[] }[];
}

/** The longest change of a parameter in the first trial of an iteration: energies are periodic, far steps are no guide. */
const stepMax = 0.5;
const nudge = 0.01;

/** Limited-memory BFGS (Liu & Nocedal, doi:10.1007/BF01589116; Nocedal & Wright, "Numerical Optimization", algorithm 7.5). */
export function lbfgs({ tolerance, memory }: LbfgsOptions): Optimizer<LbfgsState> {
  const ended = (state: LbfgsState): LbfgsState =>
    largest(state.gradient) <= tolerance ? { ...state, end: 'gradient_tolerance' } : state;
  return {
    start(point, objective) {
      return { point: [...point], ...objective.gradient(point), steps: [] };
    },
    step(state, objective) {
      if (largest(state.gradient) <= tolerance) {
        // Only where it starts: that may be a maximum or a saddle, and beside it there is a slope.
        const beside = along(state.point, nudge, objective.draws('nudge', state.point.length));
        return ended({ point: beside, ...objective.gradient(beside), steps: [] });
      }
      const direction = descent(state);
      const first = Math.min(state.steps.length === 0 ? 1 / largest(state.gradient) : 1, stepMax / largest(direction));
      const found = lineSearch(state, direction, first, objective);
      if (found === undefined) {
        // The remembered curvature may mislead: once more without it.
        return state.steps.length > 0 ? { ...state, steps: [] } : { ...state, end: 'no_lower_energy' };
      }
      const change = {
        point: along(found.point, -1, state.point),
        gradient: along(found.gradient, -1, state.gradient),
      };
      const isConvex = dot(change.point, change.gradient) > 1e-12 * dot(change.gradient, change.gradient);
      return ended({ ...found, steps: isConvex ? [...state.steps, change].slice(-memory) : state.steps });
    },
  };
}

/** The two loops over the remembered steps. */
function descent({ gradient, steps }: LbfgsState): number[] {
  let direction = gradient.map((value) => -value);
  const newestFirst = steps.toReversed().map((step) => ({ ...step, rho: 1 / dot(step.point, step.gradient) }));
  const alphas = newestFirst.map(({ point, gradient: change, rho }) => {
    const alpha = rho * dot(point, direction);
    direction = along(direction, -alpha, change);
    return alpha;
  });
  const last = steps.at(-1);
  if (last !== undefined) {
    const scale = dot(last.point, last.gradient) / dot(last.gradient, last.gradient);
    direction = direction.map((value) => value * scale);
  }
  newestFirst.toReversed().forEach(({ point, gradient: change, rho }, at) => {
    const beta = rho * dot(change, direction);
    direction = along(direction, (alphas.at(-1 - at) ?? 0) - beta, point);
  });
  return direction;
}

interface Trial {
  readonly length: number;
  readonly point: readonly number[];
  readonly energy: number;
  readonly gradient: readonly number[];
  /** Derivative along the direction. */
  readonly slope: number;
}

const trialsMax = 30;
const sufficient = 1e-4;
const flatness = 0.9;

/**
 * A point along the direction that fulfils the strong Wolfe conditions (Nocedal & Wright, algorithms 3.5 and 3.6), or, when trials run out,
 * the lowest that was met. @returns undefined where none is lower
 */
function lineSearch(
  from: LbfgsState,
  direction: readonly number[],
  first: number,
  objective: Objective,
): Omit<LbfgsState, 'steps'> | undefined {
  const slope = dot(from.gradient, direction);
  if (!(slope < 0)) return undefined;
  const tryAt = (length: number): Trial => {
    const point = along(from.point, length, direction);
    const { energy, gradient } = objective.gradient(point);
    return { length, point, energy, gradient, slope: dot(gradient, direction) };
  };
  // `low` is the lowest that decreased enough; the minimum lies between it and `high`, once there is one.
  let low: Trial = { ...from, length: 0, slope };
  let high: Trial | undefined;
  let length = first;
  for (let trials = 0; trials < trialsMax; trials += 1) {
    const trial = tryAt(length);
    if (trial.energy > from.energy + sufficient * length * slope || trial.energy >= low.energy) high = trial;
    else {
      if (Math.abs(trial.slope) <= -flatness * slope) return resultOf(trial);
      if (high === undefined ? trial.slope > 0 : trial.slope * (high.length - low.length) >= 0) high = low;
      low = trial;
    }
    length = high === undefined ? 2 * low.length : between(low, high);
    if (high !== undefined && Math.abs(high.length - low.length) < 1e-14 * Math.max(1, low.length)) break;
  }
  return low.energy < from.energy ? resultOf(low) : undefined;
}

const resultOf = ({ point, energy, gradient }: Trial): Omit<LbfgsState, 'steps'> => ({ point, energy, gradient });

/** The minimum of the parabola through both energies and the slope at `low`, kept away from the ends. */
function between(low: Trial, high: Trial): number {
  const width = high.length - low.length;
  const curvature = high.energy - low.energy - low.slope * width;
  const share = curvature > 0 ? (-low.slope * width) / (2 * curvature) : 0.5;
  return low.length + Math.min(0.9, Math.max(0.1, share)) * width;
}
