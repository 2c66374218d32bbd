import type { JSONValue } from '../../../lib/json.ts';

import { type Fields, refuse } from '../formats/gate-list/fields.ts';
import { entanglements, rotationAxes } from './ansatz/hardware-efficient.ts';
import { type MoleculeChoice, type MoleculeName, molecules } from './chemistry/molecule.ts';
import { fieldsOf, numberIn, oneOf, optionalNumber } from './fields.ts';
import { isingHamiltonian, maxCutHamiltonian } from './hamiltonian/graphs.ts';
import { parsePauliSum } from './hamiltonian/parse.ts';
import { parseGraph, parseIsing } from './hamiltonian/parse-graph.ts';
import type { AnsatzChoice, OptimizerChoice, Problem, System } from './problem.ts';
import { checkQubits, qubitsMax } from './requirements.ts';

const shotsMax = 10_000_000;
const samplesDefault = 1024;
const parametersMax = 10_000;

/** Of the parameters of every optimizer. */
const iterationsMaxMax = 10_000;
/** Of all starts: checkpoints hold an energy of each. */
const iterationsOfAllMax = 100_000;

/**
 * The params of `quantum_optimize`, checked. docs/adapters/quantum.md has all of them.
 *
 * @param seed for all that is left to chance
 * @throws StepError INVALID_PARAMS with the path of what is wrong
 */
export function parseProblem(json: JSONValue, seed: string): Problem {
  const fields = fieldsOf(json, 'params', 'algorithm', '{ "algorithm": "vqe", "molecule": "H2" }');
  const algorithm = oneOf(fields.take('algorithm') ?? 'vqe', fields.at('algorithm'), ['vqe', 'qaoa']);
  const system = parseSystem(fields);
  const shots = fields.take('shots');
  const problem: Problem = {
    algorithm,
    system,
    ansatz: parseAnsatz(fields, algorithm, system),
    optimizer: parseOptimizer(fields, shots !== undefined),
    initial: parseInitial(fields.take('initial_parameters'), fields.at('initial_parameters')),
    starts: optionalNumber(fields, 'starts', 1, { min: 1, max: 100, whole: true }),
    ...(shots === undefined
      ? {}
      : { shots: numberIn(shots, fields.at('shots'), { min: 1, max: shotsMax, whole: true }) }),
    samples: optionalNumber(fields, 'samples', samplesDefault, { min: 1, max: shotsMax, whole: true }),
    seed,
    wantsReference: parseBoolean(fields.take('reference'), fields.at('reference')),
  };
  // Who calls has looked at it.
  fields.take('seed');
  fields.end('an optimization');
  if (problem.starts * problem.optimizer.iterationsMax > iterationsOfAllMax)
    throw refuse(
      fields.at('starts'),
      `with ${problem.optimizer.iterationsMax} iterations each make more than ${iterationsOfAllMax}; lower optimizer.iterations_max`,
    );
  if (shots !== undefined && problem.starts > 1)
    throw refuse(
      fields.at('starts'),
      'takes exact energies, since those from shots are too noisy to choose by; leave out shots',
    );
  return problem;
}

const systemNames = ['hamiltonian', 'molecule', 'maxcut', 'ising'] as const;

function parseSystem(fields: Fields): System {
  const found = systemNames.flatMap((name) => {
    const value = fields.take(name);
    return value === undefined ? [] : [{ name, value, path: fields.at(name) }];
  });
  const [one, other] = found;
  if (one === undefined || other !== undefined)
    throw refuse(
      fields.path,
      `must have one of ${systemNames.join(', ')}${other ? `, and has ${one?.name} and ${other.name}` : ''}`,
    );
  const qubits = fields.take('qubits');
  if (qubits !== undefined && one.name !== 'hamiltonian')
    throw refuse(fields.at('qubits'), `goes with hamiltonian; ${one.name} says itself how many there are`);
  switch (one.name) {
    case 'hamiltonian': {
      const range = { min: 1, max: qubitsMax, whole: true } as const;
      const count = qubits === undefined ? undefined : numberIn(qubits, fields.at('qubits'), range);
      const hamiltonian = parsePauliSum(one.value, one.path, count);
      checkQubits(hamiltonian.qubits, one.path);
      return { kind: 'pauli', hamiltonian };
    }
    case 'molecule':
      return { kind: 'molecule', molecule: parseMolecule(one.value, one.path) };
    case 'maxcut': {
      const graph = parseGraph(one.value, one.path);
      checkQubits(graph.nodes, one.path);
      return { kind: 'maxcut', graph, hamiltonian: maxCutHamiltonian(graph) };
    }
    case 'ising': {
      const ising = parseIsing(one.value, one.path);
      checkQubits(ising.fields.length, one.path);
      return { kind: 'pauli', hamiltonian: isingHamiltonian(ising) };
    }
  }
}

function parseMolecule(json: JSONValue, path: string): MoleculeChoice {
  const fields = fieldsOf(json, path, 'name', '{ "name": "H2", "distance": 0.735 }');
  const name = oneOf(fields.take('name'), fields.at('name'), Object.keys(molecules) as MoleculeName[]);
  const known = molecules[name];
  const choice: MoleculeChoice = {
    name,
    // Nearer, the basis is almost linearly dependent; further, Hartree–Fock is no start.
    distance: optionalNumber(fields, 'distance', known.distance, { min: 0.2, max: 5 }),
    mapping: oneOf(fields.take('mapping') ?? known.mapping, fields.at('mapping'), ['jordan_wigner', 'parity']),
  };
  fields.end('a molecule');
  return choice;
}

const ansatzTypes = ['hardware_efficient', 'uccsd', 'qaoa'] as const;

function parseAnsatz(params: Fields, algorithm: Problem['algorithm'], system: System): AnsatzChoice {
  const natural = algorithm === 'qaoa' ? 'qaoa' : system.kind === 'molecule' ? 'uccsd' : 'hardware_efficient';
  const fields = fieldsOf(params.take('ansatz') ?? {}, params.at('ansatz'), 'type', '{ "type": "hardware_efficient" }');
  const type = oneOf(fields.take('type') ?? natural, fields.at('type'), ansatzTypes);
  if (algorithm === 'qaoa' && type !== 'qaoa')
    throw refuse(fields.at('type'), `must be qaoa where the algorithm is; for ${type} take the algorithm vqe`);
  const outside = params.take('layers');
  const inside = fields.take('layers');
  if (outside !== undefined && inside !== undefined)
    throw refuse(params.at('layers'), `says the same as ${fields.at('layers')}; leave one out`);
  const path = outside === undefined ? fields.at('layers') : params.at('layers');
  const given = outside ?? inside ?? (type === 'hardware_efficient' ? 2 : 1);
  const layers = numberIn(given, path, { min: type === 'hardware_efficient' ? 0 : 1, max: 100, whole: true });
  const choice: AnsatzChoice =
    type === 'hardware_efficient'
      ? {
          type,
          layers,
          entanglement: oneOf(fields.take('entanglement') ?? 'linear', fields.at('entanglement'), entanglements),
          rotations: parseRotations(fields.take('rotations'), fields.at('rotations')),
        }
      : { type, layers };
  fields.end(`the ansatz ${type}`);
  return choice;
}

function parseRotations(json: JSONValue | undefined, path: string): (typeof rotationAxes)[number][] {
  if (json === undefined) return ['ry', 'rz'];
  if (!Array.isArray(json) || json.length === 0 || json.length > 3)
    throw refuse(path, `must be a list of one to three of ${rotationAxes.join(', ')}`);
  return json.map((value, at) => oneOf(value, `${path}[${at}]`, rotationAxes));
}

const optimizerTypes = ['nelder_mead', 'spsa', 'lbfgs'] as const;

function parseOptimizer(params: Fields, isNoisy: boolean): OptimizerChoice {
  const example = '{ "type": "lbfgs", "iterations_max": 100 }';
  const fields = fieldsOf(params.take('optimizer') ?? {}, params.at('optimizer'), 'type', example);
  const type = oneOf(fields.take('type') ?? (isNoisy ? 'spsa' : 'lbfgs'), fields.at('type'), optimizerTypes);
  if (type === 'lbfgs' && isNoisy)
    throw refuse(
      fields.at('type'),
      'needs exact energies, since their gradients are exact; with shots take spsa or nelder_mead',
    );
  const choice = parseOptions(fields, type, isNoisy);
  fields.end(`the optimizer ${type}`);
  return choice;
}

function parseOptions(fields: Fields, type: OptimizerChoice['type'], isNoisy: boolean): OptimizerChoice {
  const common = (iterations: number, tolerance: number): Pick<OptimizerChoice, 'iterationsMax' | 'tolerance'> => ({
    iterationsMax: optionalNumber(fields, 'iterations_max', iterations, { min: 1, max: iterationsMaxMax, whole: true }),
    tolerance: optionalNumber(fields, 'tolerance', tolerance, { min: 1e-12, max: 1 }),
  });
  const step = (fallback: number): number =>
    optionalNumber(fields, 'initial_step', fallback, { min: 1e-4, max: Math.PI });
  switch (type) {
    case 'nelder_mead':
      return { type, ...common(5000, isNoisy ? 1e-3 : 1e-8), initialStep: step(0.5) };
    case 'spsa':
      return {
        type,
        ...common(500, 1e-5),
        initialStep: step(0.1),
        perturbation: optionalNumber(fields, 'perturbation', 0.1, { min: 1e-4, max: 1 }),
      };
    case 'lbfgs':
      return {
        type,
        ...common(500, 1e-6),
        memory: optionalNumber(fields, 'memory', 10, { min: 1, max: 100, whole: true }),
      };
  }
}

function parseInitial(json: JSONValue | undefined, path: string): Problem['initial'] {
  if (json === undefined || json === 'default' || json === 'random') return json ?? 'default';
  if (!Array.isArray(json) || json.length > parametersMax)
    throw refuse(path, `must be "default", "random" or a list of at most ${parametersMax} numbers`);
  return json.map((value, at) => numberIn(value, `${path}[${at}]`, { min: -1e15, max: 1e15 }));
}

function parseBoolean(json: JSONValue | undefined, path: string): boolean {
  if (json === undefined || typeof json === 'boolean') return json ?? false;
  throw refuse(path, 'must be true or false');
}
