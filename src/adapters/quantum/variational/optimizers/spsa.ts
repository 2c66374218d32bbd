import { along, type Objective, type Optimizer, type Standing } from './optimizer.ts';

export interface SpsaOptions {
  readonly iterationsMax: number;
  /** Ends once ten steps in a row are smaller. */
  readonly tolerance: number;
  /** Of the first iteration, in each parameter, about; shorter where the energy curves more. */
  readonly initialStep: number;
  /** How far from the point the first differences are taken; larger than what noise hides. */
  readonly perturbation: number;
}

interface SpsaState extends Standing {
  readonly iteration: number;
  /** The gain `a`. */
  readonly gain: number;
  /** How much higher an energy may be that only noise raised. */
  readonly allowance: number;
  readonly smallSteps: number;
}

const smallStepsMax = 10;
const calibrations = 10;

/**
 * Simultaneous perturbation stochastic approximation, made for noisy energies: two evaluations per iteration, however many parameters, and
 * a third of where it would go. Gains and their calibration: Spall, "Implementation of the simultaneous perturbation algorithm",
 * doi:10.1109/7.705889.
 */
export function spsa({ iterationsMax, tolerance, initialStep, perturbation }: SpsaOptions): Optimizer<SpsaState> {
  // Spall's advice: a tenth of the iterations.
  const stability = 0.1 * iterationsMax;
  const look = (point: readonly number[], k: number, name: string, objective: Objective) => {
    const width = perturbation / (k + 1) ** 0.101;
    const signs = objective.draws(name, point.length).map((draw) => (draw < 0.5 ? -1 : 1));
    const [up, down] = [objective.energy(along(point, width, signs)), objective.energy(along(point, -width, signs))];
    return { slope: (up - down) / (2 * width), mean: (up + down) / 2, width, signs };
  };
  return {
    start(point, objective) {
      const { energy, allowance } = noiseOf(Array.from({ length: calibrations }, () => objective.energy(point)));
      const looks = Array.from({ length: calibrations }, (_, at) => look(point, 0, `calibration/${at}`, objective));
      const steepness = meanOf(looks.map(({ slope }) => Math.abs(slope)));
      const curvature = meanOf(looks.map(({ mean, width }) => (2 * (mean - energy)) / width ** 2));
      const rate = Math.min(initialStep / Math.max(steepness, 1e-10), curvature > 0 ? 1 / curvature : 1);
      const gain = rate * (stability + 1) ** 0.602;
      return { point: [...point], energy, allowance, iteration: 0, gain, smallSteps: 0 };
    },
    step(state, objective) {
      const { point, iteration, gain, smallSteps } = state;
      const { slope, signs } = look(point, iteration, `iteration/${iteration}`, objective);
      const length = (gain / (iteration + 1 + stability) ** 0.602) * slope;
      const next = along(point, -length, signs);
      const energy = objective.energy(next);
      // A step that leads up by more than noise does is not taken.
      if (energy > state.energy + state.allowance) return { ...state, iteration: iteration + 1 };
      const small = Math.abs(length) < tolerance ? smallSteps + 1 : 0;
      const moved = { ...state, point: next, energy, iteration: iteration + 1, smallSteps: small };
      return small >= smallStepsMax ? { ...moved, end: 'step_tolerance' } : moved;
    },
  };
}

/** The mean of energies at one point, and twice their standard deviation. */
function noiseOf(energies: readonly number[]): { readonly energy: number; readonly allowance: number } {
  const energy = meanOf(energies);
  const variance = energies.reduce((sum, value) => sum + (value - energy) ** 2, 0) / (energies.length - 1);
  return { energy, allowance: 2 * Math.sqrt(variance) };
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
