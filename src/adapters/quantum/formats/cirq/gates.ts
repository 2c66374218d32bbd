import { StepError } from '../../../../lib/errors.ts';
import { type Control, type GateOperation, gateOn } from '../../circuit/circuit.ts';
import { type Matrix, unitarityError } from '../../circuit/complex.ts';
import { type Gate, gateNamed, type NamedGate, powerOf, unitary } from '../../circuit/gates.ts';
import { type Node, unsupported } from './node.ts';
import { complexOf, nestingMax, numberOf, type Parameters } from './numbers.ts';

const unitaryQubitsMax = 6;
export const qubitsMax = 4096;
const entriesMax = 1_000_000;
const unitarityTolerance = 1e-8;
const noise = /Channel$|^(AmplitudeDamp|AsymmetricDepolariz|BitFlip|Depolariz|PhaseDamp|PhaseFlip|Kraus|MixedUnitary)/;

/** Reads the gates of one circuit. All phases are kept, as those of gates that get controls matter. */
export class GateReader {
  readonly #parameters: Parameters;

  constructor(parameters: Parameters) {
    this.#parameters = parameters;
  }

  /** @param qubits those of the circuit, in the gate's order */
  read(gate: Node, qubits: readonly number[], depth = 0): GateOperation[] {
    if (depth > nestingMax) throw gate.refuse(`is nested more than ${nestingMax} deep`);
    const on = (count: number): readonly number[] => {
      if (qubits.length !== count)
        throw gate.refuse(`is a ${gate.type}, which acts on ${count} qubits, not ${qubits.length}`);
      return qubits;
    };
    const number = (name: string): number => {
      const field = gate.find(name);
      return field === undefined ? 0 : numberOf(field, this.#parameters);
    };
    const one = (name: NamedGate, ...params: number[]): GateOperation => gateOn(gateNamed(name, ...params), on(1));
    const two = (name: NamedGate, ...params: number[]): GateOperation => gateOn(gateNamed(name, ...params), on(2));
    switch (gate.type) {
      case 'IdentityGate':
        return qubits.map((qubit) => gateOn(gateNamed('id'), [qubit]));
      case 'Rx':
        return [one('rx', number('rads'))];
      case 'Ry':
        return [one('ry', number('rads'))];
      case 'Rz':
        return [one('rz', number('rads'))];
      case 'PhasedXPowGate':
        return [
          one('r', Math.PI * number('exponent'), Math.PI * number('phase_exponent')),
          phase(Math.PI * number('exponent') * (0.5 + number('global_shift'))),
        ];
      case 'PhasedXZGate': {
        const [x, z, axis] = [number('x_exponent'), number('z_exponent'), number('axis_phase_exponent')];
        return [one('r', Math.PI * x, Math.PI * axis), phase((Math.PI * x) / 2), one('p', Math.PI * z)];
      }
      case 'FSimGate':
        return [two('xx_plus_yy', 2 * number('theta'), 0), controlled(gateNamed('p', -number('phi')), on(2), 1)];
      case 'PhasedFSimGate':
        return phasedFSim(number, on(2));
      case 'PhasedISwapPowGate':
        return [
          two('xx_plus_yy', -Math.PI * number('exponent'), 2 * Math.PI * number('phase_exponent')),
          phase(Math.PI * number('exponent') * number('global_shift')),
        ];
      case 'cirq.MSGate':
        return [two('rxx', 2 * number('rads'))];
      case 'CSwapGate':
        return [controlled(gateNamed('swap'), on(3), 1)];
      case 'GlobalPhaseGate': {
        const [re, im] = complexOf(gate.get('coefficient'));
        if (Math.abs(Math.hypot(re, im) - 1) > unitarityTolerance) throw gate.refuse('is not unitary');
        return [phase(Math.atan2(im, re))];
      }
      case 'MatrixGate':
        return [gateOn(unitary(this.#matrix(gate, qubits.length)), qubits.toReversed())];
      case 'DiagonalGate':
      case 'TwoQubitDiagonalGate':
      case 'ThreeQubitDiagonalGate':
        return [gateOn(unitary(this.#diagonal(gate, qubits.length)), qubits.toReversed())];
      case 'ParallelGate':
      case 'ParallelGateFamily':
        return qubits.flatMap((qubit) => this.read(gate.get('sub_gate'), [qubit], depth + 1));
      case 'ControlledGate':
        return this.#controlled(gate, qubits, depth);
      default:
        return this.#power(gate, qubits, number);
    }
  }

  /** Gates with an exponent and a global shift, of which most are. */
  #power(gate: Node, qubits: readonly number[], number: (name: string) => number): GateOperation[] {
    const type = gate.type ?? '';
    const known = Object.hasOwn(powers, type) ? powers[type] : undefined;
    if (known === undefined)
      throw unsupported(
        gate.path,
        noise.test(type)
          ? `is a ${type}: noise is given as params.noise, not within the circuit`
          : `is a ${JSON.stringify(type.slice(0, 64))}, which is not known here: cirq.decompose gives gates that are`,
      );
    const [of, controls, targets] = known;
    if (qubits.length !== controls + targets)
      throw gate.refuse(`is a ${type}, which acts on ${controls + targets} qubits, not ${qubits.length}`);
    const [exponent, shift] = [number('exponent'), number('global_shift')];
    const rotation = shift === rotationShift && Object.hasOwn(rotations, type) ? rotations[type] : undefined;
    if (rotation !== undefined) return [gateOn(gateNamed(rotation, Math.PI * exponent), qubits)];
    const parts = of(exponent).map((part) =>
      'name' in part
        ? controlled(part, qubits, controls)
        : controlled(gateNamed('gphase', part.phase), qubits.slice(0, controls), controls),
    );
    return shift === 0 ? parts : [...parts, phase(Math.PI * exponent * shift)];
  }

  #controlled(gate: Node, qubits: readonly number[], depth: number): GateOperation[] {
    const values = controlValues(
      gate,
      gate.find('num_controls')?.whole() ?? gate.find('control_qid_shape')?.items().length,
    );
    const count = values[0]?.length ?? 0;
    const inner = this.read(gate.get('sub_gate'), qubits.slice(count), depth + 1);
    return withControls(inner, qubits.slice(0, count), values);
  }

  #matrix(gate: Node, qubits: number): Matrix {
    const rows = gate
      .get('matrix')
      .items()
      .map((row) => row.items());
    const dimension = 2 ** qubits;
    if (qubits < 1 || qubits > unitaryQubitsMax)
      throw gate.refuse(`acts on ${qubits} qubits: a matrix has 1 to ${unitaryQubitsMax}`);
    if (rows.length !== dimension || rows.some((row) => row.length !== dimension))
      throw gate.refuse(`must have a matrix of ${dimension} rows of ${dimension} numbers`);
    const data = Float64Array.from(rows.flatMap((row) => row.flatMap((entry) => complexOf(entry))));
    const error = unitarityError({ dimension, data });
    if (!(error <= unitarityTolerance))
      throw gate.refuse(`is not unitary: U†U differs from 1 by ${error.toPrecision(2)}`);
    return { dimension, data };
  }

  #diagonal(gate: Node, qubits: number): Matrix {
    const angles = gate
      .get('diag_angles_radians')
      .items()
      .map((angle) => numberOf(angle, this.#parameters));
    const dimension = 2 ** qubits;
    if (qubits < 1 || qubits > unitaryQubitsMax || angles.length !== dimension)
      throw gate.refuse(`must have ${dimension} angles, and acts on 1 to ${unitaryQubitsMax} qubits`);
    const data = new Float64Array(2 * dimension * dimension);
    angles.forEach((angle, at) => {
      data[2 * at * (dimension + 1)] = Math.cos(angle);
      data[2 * at * (dimension + 1) + 1] = Math.sin(angle);
    });
    return { dimension, data };
  }
}

type Part = Gate | { readonly phase: number };
type Power = readonly [of: (exponent: number) => readonly Part[], controls: number, targets: number];

/** With this global shift a power of a Pauli matrix is a rotation. */
const rotationShift = -0.5;
const rotations: Readonly<Record<string, NamedGate>> = {
  XPowGate: 'rx',
  YPowGate: 'ry',
  ZPowGate: 'rz',
  XXPowGate: 'rxx',
  YYPowGate: 'ryy',
  ZZPowGate: 'rzz',
};

/** A power of a matrix that is its own inverse: `e^{iπt/2}` times a rotation by πt. */
const involution =
  (rotation: NamedGate, names: Readonly<Record<number, NamedGate>> = {}) =>
  (exponent: number): Part[] => {
    const name = names[turned(exponent)];
    if (name !== undefined) return [gateNamed(name)];
    return [gateNamed(rotation, Math.PI * exponent), { phase: (Math.PI * exponent) / 2 }];
  };

/** The exponent within (-1, 1], for gates with a period of 2. */
function turned(exponent: number): number {
  const within = exponent - 2 * Math.round(exponent / 2);
  return within === -1 ? 1 : within;
}

const ofX = involution('rx', { 1: 'x', 0.5: 'sx', [-0.5]: 'sxdg' });
const ofY = involution('ry', { 1: 'y' });
const namesOfZ: Readonly<Record<number, NamedGate>> = { 1: 'z', 0.5: 's', [-0.5]: 'sdg', 0.25: 't', [-0.25]: 'tdg' };
const ofZ = (exponent: number): Part[] => {
  const name = namesOfZ[turned(exponent)];
  return [name === undefined ? gateNamed('p', Math.PI * exponent) : gateNamed(name)];
};
const ofItsOwnInverse =
  (name: 'h' | 'swap') =>
  (exponent: number): Part[] => {
    const gate = turned(exponent) === 1 ? gateNamed(name) : powerOf(gateNamed(name), exponent);
    return gate === undefined ? [] : [gate];
  };
const ofIswap = (exponent: number): Part[] => {
  if (exponent === 1) return [gateNamed('iswap')];
  return [exponent === -1 ? gateNamed('iswapdg') : gateNamed('xx_plus_yy', -Math.PI * exponent, 0)];
};

const powers: Readonly<Record<string, Power>> = {
  XPowGate: [ofX, 0, 1],
  YPowGate: [ofY, 0, 1],
  ZPowGate: [ofZ, 0, 1],
  _PauliX: [ofX, 0, 1],
  _PauliY: [ofY, 0, 1],
  _PauliZ: [ofZ, 0, 1],
  HPowGate: [ofItsOwnInverse('h'), 0, 1],
  CXPowGate: [ofX, 1, 1],
  CYPowGate: [ofY, 1, 1],
  CZPowGate: [ofZ, 1, 1],
  CCXPowGate: [ofX, 2, 1],
  CCYPowGate: [ofY, 2, 1],
  CCZPowGate: [ofZ, 2, 1],
  XXPowGate: [involution('rxx'), 0, 2],
  YYPowGate: [involution('ryy'), 0, 2],
  ZZPowGate: [involution('rzz'), 0, 2],
  SwapPowGate: [ofItsOwnInverse('swap'), 0, 2],
  ISwapPowGate: [ofIswap, 0, 2],
};

const phase = (angle: number): GateOperation => gateOn(gateNamed('gphase', angle), []);

const controlled = (gate: Gate, qubits: readonly number[], controls: number): GateOperation =>
  gateOn(
    gate,
    qubits.slice(controls),
    qubits.slice(0, controls).map((qubit) => ({ qubit, value: 1 })),
  );

/** Excitations are kept: phases around an exchange. The first qubit is the most significant of Cirq's matrix. */
function phasedFSim(number: (name: string) => number, qubits: readonly number[]): GateOperation[] {
  const [theta, zeta, chi] = [number('theta'), number('zeta'), number('chi')];
  const [gamma, phi] = [number('gamma'), number('phi')];
  const [first = 0, second = 0] = qubits;
  return [
    gateOn(gateNamed('rz', -(zeta + chi) / 2), [second]),
    gateOn(gateNamed('rz', (zeta + chi) / 2), [first]),
    gateOn(gateNamed('xx_plus_yy', 2 * theta, 0), qubits),
    gateOn(gateNamed('rz', -(zeta - chi) / 2), [second]),
    gateOn(gateNamed('rz', (zeta - chi) / 2), [first]),
    gateOn(gateNamed('p', -gamma), [first]),
    gateOn(gateNamed('p', -gamma), [second]),
    controlled(gateNamed('p', -phi), qubits, 1),
  ];
}

/** Values of the controls that turn an operation on, undefined where either does. */
type Row = readonly (0 | 1 | undefined)[];

/** Each of the rows that turn a controlled operation on, no two of them at once. @param count of controls, where it is known elsewhere */
export function controlValues(of: Node, count: number | undefined): Row[] {
  const given = of.find('control_values');
  if (given === undefined || given.value === null) return [Array<1>(count ?? 1).fill(1)];
  const lists = (given.type === undefined ? given : given.get('data')).items().map((list) => list.items().map(bitOf));
  const rows: Row[] =
    given.type === 'SumOfProducts'
      ? [...new Map(lists.map((row) => [row.join(), row])).values()]
      : [lists.map((values) => (values.includes(0) && values.includes(1) ? undefined : values[0]))];
  const size = count ?? rows[0]?.length ?? 0;
  if (size < 1 || size > qubitsMax || rows.length === 0 || rows.some((row) => row.length !== size))
    throw given.refuse(`must have a value for each of the ${size} controls`);
  if (given.type !== 'SumOfProducts' && lists.some((values) => values.length === 0))
    throw given.refuse('has no value for a control');
  return rows;
}

function bitOf(node: Node): 0 | 1 {
  const value = node.whole();
  if (value !== 0 && value !== 1) throw node.refuse('must be 0 or 1: qubits have two levels');
  return value;
}

/** @throws StepError CIRCUIT_TOO_LARGE */
export function withControls(
  operations: readonly GateOperation[],
  qubits: readonly number[],
  rows: readonly Row[],
): GateOperation[] {
  if (operations.length * rows.length * qubits.length > entriesMax)
    throw new StepError('CIRCUIT_TOO_LARGE', 'cirq: a controlled operation is too large');
  return rows.flatMap((row) => {
    const controls = row.flatMap((value, at): Control[] =>
      value === undefined ? [] : [{ qubit: qubits[at] ?? 0, value }],
    );
    return operations.map((operation) => ({ ...operation, controls: [...controls, ...operation.controls] }));
  });
}
