import { along, largest, type Objective, type Optimizer, type Standing } from './optimizer.ts';

export interface SpsaOptions {
  readonly iterationsMax: number;
  /** Ends once ten steps in a row are smaller. */
  readonly tolerance: number;
  /** Of the first iteration, in each parameter, about. */
  readonly initialStep: number;
  /** How far from the point the first differences are taken; larger than what noise hides. */
  readonly perturbation: number;
}

interface SpsaState extends Standing {
  readonly iteration: number;
  /** The gain `a` that gives the first step its size. */
  readonly gain: number;
  readonly smallSteps: number;
}

const smallStepsMax = 10;
const calibrations = 10;

/**
 * Simultaneous perturbation stochastic approximation, made for noisy energies: two evaluations per iteration, however many parameters, and
 * a third of where it stands. Gains and their calibration: Spall, "Implementation of the simultaneous perturbation algorithm",
 * doi:10.1109/7.705889.
 */
export function spsa({ iterationsMax, tolerance, initialStep, perturbation }: SpsaOptions): Optimizer<SpsaState> {
  // Spall's advice: a tenth of the iterations.
  const stability = 0.1 * iterationsMax;
  const slope = (point: readonly number[], k: number, name: string, objective: Objective) => {
    const width = perturbation / (k + 1) ** 0.101;
    const signs = objective.draws(name, point.length).map((draw) => (draw < 0.5 ? -1 : 1));
    const difference = objective.energy(along(point, width, signs)) - objective.energy(along(point, -width, signs));
    return { value: difference / (2 * width), signs };
  };
  return {
    start(point, objective) {
      let sum = 0;
      for (let round = 0; round < calibrations; round += 1)
        sum += Math.abs(slope(point, 0, `calibration/${round}`, objective).value);
      const steepness = sum / calibrations;
      const gain = (initialStep * (stability + 1) ** 0.602) / (steepness > 1e-10 ? steepness : 1);
      return { point: [...point], energy: objective.energy(point), iteration: 0, gain, smallSteps: 0 };
    },
    step({ point, iteration, gain, smallSteps }, objective) {
      const { value, signs } = slope(point, iteration, `iteration/${iteration}`, objective);
      const rate = gain / (iteration + 1 + stability) ** 0.602;
      const next = along(point, -rate * value, signs);
      const small = largest(along(next, -1, point)) < tolerance ? smallSteps + 1 : 0;
      const state = { point: next, energy: objective.energy(next), iteration: iteration + 1, gain, smallSteps: small };
      return small >= smallStepsMax ? { ...state, end: 'step_tolerance' } : state;
    },
  };
}
