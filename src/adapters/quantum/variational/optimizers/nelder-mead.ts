import { along, type Objective, type Optimizer, type Standing } from './optimizer.ts';

export interface NelderMeadOptions {
  /** Of the simplex in every direction, and of its energies. */
  readonly tolerance: number;
  /** From the start to the other corners of the first simplex. */
  readonly initialStep: number;
}

interface Corner {
  readonly point: readonly number[];
  readonly energy: number;
}

interface NelderMeadState extends Standing {
  /** Best first. */
  readonly corners: readonly Corner[];
  /** The best energy that the last simplex shrank to, once one has. */
  readonly settled?: number;
}

/**
 * The simplex method (Nelder & Mead, doi:10.1093/comjnl/7.4.308) with coefficients that fit the dimension (Gao & Han,
 * doi:10.1007/s10589-010-9329-3). Since a simplex can collapse where there is no minimum, a fresh one is begun at the best point until that
 * brings no more than the tolerance.
 */
export function nelderMead({ tolerance, initialStep }: NelderMeadOptions): Optimizer<NelderMeadState> {
  const fresh = (best: Corner, objective: Objective): Corner[] => [
    best,
    ...best.point.map((_, axis) => measure(along(best.point, initialStep, unit(best.point.length, axis)), objective)),
  ];
  return {
    start(point, objective) {
      return standing(fresh(measure([...point], objective), objective));
    },
    step(state, objective) {
      const corners = moved(state.corners, objective);
      const next = standing(corners, state.settled);
      if (!isSmall(corners, tolerance)) return next;
      if (state.settled !== undefined && state.settled - next.energy <= tolerance)
        return { ...next, end: 'simplex_tolerance' };
      return standing(fresh({ point: next.point, energy: next.energy }, objective), next.energy);
    },
  };
}

const measure = (point: readonly number[], objective: Objective): Corner => ({
  point,
  energy: objective.energy(point),
});

const unit = (length: number, axis: number): number[] => Array.from({ length }, (_, at) => (at === axis ? 1 : 0));

function standing(corners: readonly Corner[], settled?: number): NelderMeadState {
  const sorted = corners.toSorted((a, b) => a.energy - b.energy);
  const [best] = sorted as [Corner, ...Corner[]];
  return { ...best, corners: sorted, ...(settled === undefined ? {} : { settled }) };
}

/** One iteration: the worst corner is reflected through the middle of the others, further or less far as that turns out, or all shrink. */
function moved(corners: readonly Corner[], objective: Objective): readonly Corner[] {
  const n = corners.length - 1;
  const [expansion, contraction, shrinkage] = [
    1 + 2 / Math.max(2, n),
    0.75 - 1 / (2 * Math.max(2, n)),
    1 - 1 / Math.max(2, n),
  ];
  const [best, others, worst] = [corners[0], corners.slice(0, n), corners[n]] as [Corner, readonly Corner[], Corner];
  const middle = best.point.map((_, axis) => others.reduce((sum, { point }) => sum + (point[axis] ?? 0), 0) / n);
  const direction = along(middle, -1, worst.point);
  const tryAt = (factor: number): Corner => measure(along(middle, factor, direction), objective);
  const reflected = tryAt(1);
  if (reflected.energy < best.energy) {
    const expanded = tryAt(expansion);
    return [...others, expanded.energy < reflected.energy ? expanded : reflected];
  }
  if (reflected.energy < (others[n - 1]?.energy ?? Number.POSITIVE_INFINITY)) return [...others, reflected];
  const isOutside = reflected.energy < worst.energy;
  const contracted = tryAt(isOutside ? contraction : -contraction);
  if (contracted.energy < (isOutside ? reflected : worst).energy) return [...others, contracted];
  return [
    best,
    ...corners
      .slice(1)
      .map(({ point }) => measure(along(best.point, shrinkage, along(point, -1, best.point)), objective)),
  ];
}

function isSmall(corners: readonly Corner[], tolerance: number): boolean {
  const [best, ...others] = corners.toSorted((a, b) => a.energy - b.energy) as [Corner, ...Corner[]];
  return others.every(
    ({ point, energy }) =>
      energy - best.energy <= tolerance &&
      point.every((value, axis) => Math.abs(value - (best.point[axis] ?? 0)) <= Math.sqrt(tolerance)),
  );
}
