import { StepError } from '../../../lib/errors.ts';
import type { PauliSum } from '../circuit/pauli.ts';
import { createRandom } from '../simulate/random.ts';
import { type Checkpoint, checkCheckpoint, checkpointVersion, problemDigest } from './checkpoint.ts';
import { Energy } from './energy.ts';
import { groundEnergy, groundQubitsMax } from './ground-energy.ts';
import { cutValue } from './hamiltonian/graphs.ts';
import { Observable } from './hamiltonian/observable.ts';
import { createOptimizer } from './optimizers/create.ts';
import type { EndReason, Objective, Standing } from './optimizers/optimizer.ts';
import { type Prepared, prepare } from './prepare.ts';
import type { Problem } from './problem.ts';
import { type Estimate, ShotEnergy } from './shot-energy.ts';

/** What `quantum_optimize` answers; energies are in hartree for molecules, nuclear repulsion included. */
export interface VariationalResult {
  readonly algorithm: Problem['algorithm'];
  readonly qubits: number;
  readonly best_energy: number;
  /** Standard error of `best_energy`, where it comes from shots: those of a fresh estimate, not the luckiest one met. */
  readonly best_energy_error?: number;
  readonly optimal_parameters: readonly number[];
  readonly parameter_names: readonly string[];
  /** Where the optimizer stood at its start and after each iteration. */
  readonly energy_history: readonly number[];
  readonly iterations: number;
  readonly evaluations: number;
  /** Whether the run that came to the best energy ended by its tolerance. */
  readonly converged: boolean;
  /** Why that run ended. */
  readonly reason: EndReason | 'iterations_max';
  /** The exact lowest energy, for a molecule among states with its electrons. */
  readonly reference_energy?: number;
  readonly nuclear_repulsion?: number;
  readonly hartree_fock_energy?: number;
  /** Where the Hamiltonian is diagonal: the best of what was sampled from the state found. */
  readonly solution?: Solution;
}

interface Solution {
  /** Of the lowest energy among the samples, 16 at most, in ascending order. Qubit 0 is rightmost. */
  readonly best_bitstrings: readonly string[];
  readonly energy: number;
  /** For MaxCut: of these, and on average of all samples. */
  readonly cut_value?: number;
  readonly average_cut?: number;
  readonly samples: number;
}

export interface OptimizeHooks {
  /** Go on from here instead of beginning. */
  readonly from?: Checkpoint;
  /** After the start and after each iteration. The checkpoint is plain JSON, and is not changed later. */
  readonly onIteration?: (checkpoint: Checkpoint) => void;
}

const bitstringsMax = 16;

/**
 * The variational quantum eigensolver or QAOA, synchronously. From any of its checkpoints it goes on to the same result.
 *
 * @throws StepError INVALID_PARAMS where the parameters do not fit the ansatz, or the ansatz the Hamiltonian; QUANTUM_CHECKPOINT where
 * `from` is of another problem; CIRCUIT_TOO_LARGE
 */
export function optimize(problem: Problem, { from, onIteration }: OptimizeHooks = {}): VariationalResult {
  const run = new Run(problem, prepare(problem));
  if (from !== undefined) checkCheckpoint(from, problem);
  let checkpoint = from ?? run.begin();
  if (from === undefined) onIteration?.(checkpoint);
  while (!run.isOver(checkpoint)) {
    checkpoint = run.next(checkpoint);
    onIteration?.(checkpoint);
  }
  return run.result(checkpoint);
}

class Run {
  readonly #problem: Problem;
  readonly #prepared: Prepared;
  readonly #observable: Observable;
  readonly #energy: Energy;
  readonly #shots: ShotEnergy | undefined;
  readonly #optimizer: ReturnType<typeof createOptimizer>;
  readonly #digest: string;
  #evaluations = 0;

  constructor(problem: Problem, prepared: Prepared) {
    this.#problem = problem;
    this.#prepared = prepared;
    this.#observable = new Observable(prepared.hamiltonian);
    if (prepared.ansatz.gates.some(({ kind }) => kind === 'cost') && !this.#observable.isDiagonal)
      throw new StepError(
        'INVALID_PARAMS',
        'params.hamiltonian has terms with X or Y; QAOA takes I and Z only, as MaxCut and Ising have: use the algorithm vqe with the ansatz hardware_efficient',
      );
    if (problem.wantsReference && !this.#observable.isDiagonal && prepared.ansatz.qubits > groundQubitsMax)
      throw new StepError(
        'CIRCUIT_TOO_LARGE',
        `params.reference takes at most ${groundQubitsMax} qubits unless the Hamiltonian is diagonal, and there are ${prepared.ansatz.qubits}; leave it out`,
      );
    this.#energy = new Energy(prepared.ansatz, this.#observable);
    this.#shots = problem.shots === undefined ? undefined : new ShotEnergy(prepared.hamiltonian, problem.shots);
    this.#optimizer = createOptimizer(problem.optimizer, unitOf(prepared.hamiltonian));
    this.#digest = problemDigest(problem);
  }

  begin(): Checkpoint {
    this.#evaluations = 0;
    const state = this.#optimizer.start(this.#prepared.initial, this.#objective(0));
    return this.#checkpoint({ start: 0, iteration: 0, energies: [] }, state);
  }

  isOver({ start, iteration, state }: Checkpoint): boolean {
    return start === this.#problem.starts - 1 && this.#endOf(iteration, state) !== undefined;
  }

  next(from: Checkpoint): Checkpoint {
    this.#evaluations = from.evaluations;
    if (this.#endOf(from.iteration, from.state) === undefined) {
      const state = this.#optimizer.step(from.state, this.#objective(from.start));
      return this.#checkpoint({ ...from, iteration: from.iteration + 1 }, state);
    }
    const start = from.start + 1;
    const point = this.#prepared.randomPoint(start);
    return this.#checkpoint({ ...from, start, iteration: 0 }, this.#optimizer.start(point, this.#objective(start)));
  }

  #endOf(iteration: number, { end }: Standing): Checkpoint['best']['reason'] | undefined {
    return end ?? (iteration >= this.#problem.optimizer.iterationsMax ? 'iterations_max' : undefined);
  }

  #checkpoint(
    before: Pick<Checkpoint, 'start' | 'iteration' | 'energies'> & { best?: Checkpoint['best'] },
    state: Standing,
  ): Checkpoint {
    const { start, iteration } = before;
    const here = {
      point: state.point,
      energy: state.energy,
      start,
      reason: this.#endOf(iteration, state) ?? 'iterations_max',
    };
    return {
      version: checkpointVersion,
      problem: this.#digest,
      start,
      iteration,
      evaluations: this.#evaluations,
      energies: [...before.energies, state.energy],
      best: this.#better(here, before.best),
      state,
    };
  }

  /** Of noisy energies the lowest is luck, so within one start the last counts. Why a start ended is that of its last. */
  #better(here: Checkpoint['best'], best: Checkpoint['best'] | undefined): Checkpoint['best'] {
    if (best === undefined || here.energy <= best.energy) return here;
    if (best.start !== here.start) return best;
    return this.#shots === undefined ? { ...best, reason: here.reason } : here;
  }

  #objective(start: number): Objective {
    const { seed } = this.#problem;
    return {
      energy: (point) => {
        this.#evaluations += 1;
        if (this.#shots === undefined) return this.#energy.at(point);
        return this.#estimate(this.#shots, point, `evaluation/${this.#evaluations}`).energy;
      },
      gradient: (point) => {
        this.#evaluations += 1;
        return this.#energy.gradientAt(point);
      },
      draws: (name, count) => {
        const random = createRandom(`${seed}/start/${start}/${name}`);
        return Array.from({ length: count }, () => random.next());
      },
    };
  }

  #estimate(shots: ShotEnergy, point: readonly number[], name: string): Estimate {
    return shots.estimate(this.#energy.stateAt(point), createRandom(`${this.#problem.seed}/${name}`));
  }

  result({ best, energies, evaluations, start }: Checkpoint): VariationalResult {
    const { algorithm } = this.#problem;
    const { molecule, ansatz } = this.#prepared;
    const fresh = this.#shots === undefined ? undefined : this.#estimate(this.#shots, best.point, 'final');
    const reference = this.#reference();
    const solution = this.#observable.isDiagonal ? this.#solution(best.point) : undefined;
    return {
      algorithm,
      qubits: ansatz.qubits,
      best_energy: plain(fresh?.energy ?? best.energy),
      ...(fresh === undefined ? {} : { best_energy_error: fresh.error }),
      optimal_parameters: best.point.map((value, at) => plain(value * (ansatz.units?.[at] ?? 1))),
      parameter_names: ansatz.names,
      energy_history: energies.map(plain),
      iterations: energies.length - 1 - start,
      evaluations,
      converged: best.reason !== 'iterations_max' && best.reason !== 'no_lower_energy',
      reason: best.reason,
      ...(reference === undefined ? {} : { reference_energy: reference }),
      ...(molecule === undefined
        ? {}
        : { nuclear_repulsion: molecule.nuclear, hartree_fock_energy: molecule.hartreeFock }),
      ...(solution === undefined ? {} : { solution }),
    };
  }

  #reference(): number | undefined {
    const { wantsReference, seed } = this.#problem;
    if (!wantsReference) return undefined;
    const holds = this.#prepared.molecule?.holdsElectrons ?? (() => true);
    return plain(groundEnergy(this.#observable, createRandom(`${seed}/reference`), holds));
  }

  #solution(point: readonly number[]): Solution {
    const { samples, seed, system } = this.#problem;
    const counts = [...this.#energy.stateAt(point).sample(samples, createRandom(`${seed}/samples`))];
    const energyOf = (index: number): number => this.#observable.diagonal[index] ?? 0;
    const energy = counts.reduce((lowest, [index]) => Math.min(lowest, energyOf(index)), Number.POSITIVE_INFINITY);
    // Sums of the same numbers in another order differ by rounding.
    const best = counts.map(([index]) => index).filter((index) => energyOf(index) <= energy + 1e-9 * Math.abs(energy));
    const bits = (index: number): string => index.toString(2).padStart(this.#observable.qubits, '0');
    const solution = { best_bitstrings: best.slice(0, bitstringsMax).map(bits), energy: plain(energy), samples };
    if (system.kind !== 'maxcut') return solution;
    const cuts = counts.reduce((sum, [index, count]) => sum + count * cutValue(system.graph, index), 0);
    return { ...solution, cut_value: cutValue(system.graph, best[0] ?? 0), average_cut: cuts / samples };
  }
}

/** The largest coefficient, where that is below 1: a tolerance that is fine for large energies would end at once for small ones. */
function unitOf({ terms }: PauliSum): number {
  const largest = terms.reduce(
    (most, { letters, coefficient }) => (/[^I]/.test(letters) ? Math.max(most, Math.abs(coefficient)) : most),
    0,
  );
  return largest > 0 ? Math.min(1, largest) : 1;
}

/** Without a minus at zero, which JSON does not keep. */
const plain = (value: number): number => value + 0;
