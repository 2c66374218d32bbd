import { digestOf } from '../../../lib/canonical.ts';
import { StepError } from '../../../lib/errors.ts';
import type { EndReason, Standing } from './optimizers/optimizer.ts';
import type { Problem } from './problem.ts';

/** Raised whenever a checkpoint means something else, the arithmetic included. */
export const checkpointVersion = 1;

/** All that an optimization needs to go on, as plain JSON. */
export interface Checkpoint {
  readonly version: number;
  /** SHA-256 of the problem. */
  readonly problem: string;
  /** Which run of the optimizer, from 0, and how many of its iterations are done. */
  readonly start: number;
  readonly iteration: number;
  /** Of the energy, in all. */
  readonly evaluations: number;
  readonly energies: readonly number[];
  readonly best: {
    readonly point: readonly number[];
    readonly energy: number;
    readonly start: number;
    readonly reason: EndReason | 'iterations_max';
  };
  /** The optimizer's own. */
  readonly state: Standing;
}

export const problemDigest = (problem: Problem): string => digestOf(problem);

/** @throws StepError QUANTUM_CHECKPOINT */
export function checkCheckpoint({ version, problem }: Checkpoint, of: Problem): void {
  if (version !== checkpointVersion || problem !== problemDigest(of))
    throw new StepError(
      'QUANTUM_CHECKPOINT',
      'the checkpoint is of another problem, or of another version of this program; begin anew without it',
    );
}
