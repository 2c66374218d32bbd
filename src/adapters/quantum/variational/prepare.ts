import { StepError } from '../../../lib/errors.ts';
import type { PauliSum } from '../circuit/pauli.ts';
import { createRandom } from '../simulate/random.ts';
import type { Ansatz } from './ansatz/ansatz.ts';
import { hardwareEfficient } from './ansatz/hardware-efficient.ts';
import { qaoa } from './ansatz/qaoa.ts';
import { uccsd } from './ansatz/uccsd.ts';
import { buildMolecule, type Molecule } from './chemistry/molecule.ts';
import type { Problem } from './problem.ts';

/** A problem with everything in it built. */
export interface Prepared {
  readonly hamiltonian: PauliSum;
  readonly molecule?: Molecule;
  readonly ansatz: Ansatz;
  /** In the ansatz's own units, as all points within. */
  readonly initial: readonly number[];
  /** Uniform in [−π, π), by the number of the start. */
  readonly randomPoint: (start: number) => number[];
}

/** A simplex of more would be large to keep and slow to move. */
const simplexParametersMax = 100;

/** @throws StepError INVALID_PARAMS */
export function prepare(problem: Problem): Prepared {
  const { system } = problem;
  const molecule = system.kind === 'molecule' ? buildMolecule(system.molecule) : undefined;
  const hamiltonian = system.kind === 'molecule' ? (molecule as Molecule).hamiltonian : system.hamiltonian;
  const ansatz = buildAnsatz(problem, hamiltonian, molecule);
  checkParameters(problem, ansatz);
  const randomPoint = (start: number): number[] => {
    const random = createRandom(`${problem.seed}/start/${start}`);
    return ansatz.names.map(() => (2 * random.next() - 1) * Math.PI);
  };
  return {
    hamiltonian,
    ...(molecule === undefined ? {} : { molecule }),
    ansatz,
    initial: startOf(problem.initial, ansatz) ?? randomPoint(0),
    randomPoint,
  };
}

function startOf(initial: Problem['initial'], ansatz: Ansatz): readonly number[] | undefined {
  if (initial === 'random') return undefined;
  return initial === 'default' ? ansatz.initial : initial.map((value, at) => value / (ansatz.units?.[at] ?? 1));
}

function buildAnsatz({ ansatz }: Problem, hamiltonian: PauliSum, molecule: Molecule | undefined): Ansatz {
  switch (ansatz.type) {
    case 'hardware_efficient':
      return hardwareEfficient(hamiltonian.qubits, ansatz);
    case 'qaoa':
      return qaoa(hamiltonian, ansatz.layers);
    case 'uccsd':
      if (molecule === undefined)
        throw new StepError(
          'INVALID_PARAMS',
          'params.ansatz uccsd is made of excitations of a molecule; name one in params.molecule, or take hardware_efficient',
        );
      return uccsd(molecule, ansatz.layers);
  }
}

function checkParameters({ initial, optimizer }: Problem, { names }: Ansatz): void {
  if (typeof initial !== 'string' && initial.length !== names.length)
    throw new StepError(
      'INVALID_PARAMS',
      `params.initial_parameters has ${initial.length} numbers, and the ansatz takes ${names.length}: ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}`,
    );
  if (optimizer.type === 'nelder_mead' && names.length > simplexParametersMax)
    throw new StepError(
      'INVALID_PARAMS',
      `params.optimizer nelder_mead takes at most ${simplexParametersMax} parameters, and the ansatz has ${names.length}; take lbfgs, or spsa with shots`,
    );
}
