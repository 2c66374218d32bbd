/** What is minimized. Every call counts as one evaluation. */
export interface Objective {
  energy(point: readonly number[]): number;
  gradient(point: readonly number[]): { readonly energy: number; readonly gradient: readonly number[] };
  /** Pseudo-random numbers in [0, 1) that follow from the seed of the problem and the name alone. */
  draws(name: string, count: number): readonly number[];
}

/**
 * A minimizer whose state between two iterations is plain JSON, so that it can be put away and taken up again anywhere: `step` depends on
 * the state and the objective alone.
 */
export interface Optimizer<S extends Standing> {
  start(point: readonly number[], objective: Objective): S;
  step(state: S, objective: Objective): S;
}

export interface Standing {
  readonly point: readonly number[];
  readonly energy: number;
  /** Why there is nothing more to do. */
  readonly end?: EndReason;
}

export type EndReason =
  /** No derivative is above the tolerance. */
  | 'gradient_tolerance'
  /** The simplex is as small as the tolerance, and so are the differences of its energies; a fresh one found nothing better. */
  | 'simplex_tolerance'
  /** Steps have become as small as the tolerance. */
  | 'step_tolerance'
  /** Rounding hides any lower energy along the line of search. */
  | 'no_lower_energy';

export const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);

/** `a + factor · b` */
export const along = (a: readonly number[], factor: number, b: readonly number[]): number[] =>
  a.map((value, at) => value + factor * (b[at] ?? 0));

export const largest = (values: readonly number[]): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
