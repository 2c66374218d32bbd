import { StepError } from '../../../../lib/errors.ts';
import type { JSONValue } from '../../../../lib/json.ts';
import {
  type Circuit,
  type Expression,
  type GateOperation,
  gateOn,
  type Operation,
  type Register,
} from '../../circuit/circuit.ts';
import { gateNamed } from '../../circuit/gates.ts';
import { conditionOf, keyOf } from './conditions.ts';
import { controlValues, GateReader, qubitsMax, withControls } from './gates.ts';
import { Node, unsupported } from './node.ts';
import { nestingMax, Parameters } from './numbers.ts';
import { type CirqQubit, compareQubits, qubitOf } from './qubits.ts';

const textLengthMax = 64 * 1024 * 1024;
const operationsMax = 2_000_000;
const bitsMax = 65_536;

export interface CirqOptions {
  /** Values of SymPy symbols, by name. */
  parameters?: Readonly<Record<string, number>>;
}

/**
 * A circuit from Cirq's own JSON (`cirq.to_json`), as text or read already. Qubits are numbered in the order in which Cirq sorts them. In Cirq the
 * first qubit is the most significant bit of an index, here the least: the same state, its indices read from the other end. Each measurement key
 * becomes a register, of which bit 0 is the first qubit that is measured; of a key that is measured more than once it has the bits of every
 * measurement, the first one's first. Conditions on keys as numbers mean what they mean in Cirq.
 * Source: quantumai.google/cirq.
 *
 * @throws StepError INVALID_PARAMS, UNSUPPORTED_GATE with the path and the type, CIRCUIT_TOO_LARGE
 */
export function parseCirq(json: JSONValue, { parameters = {} }: CirqOptions = {}): Circuit {
  const circuit = new Node(typeof json === 'string' ? parsed(json) : json, '');
  if (circuit.type !== 'Circuit' && circuit.type !== 'FrozenCircuit')
    throw circuit.refuse('must be what cirq.to_json(circuit) gives, an object with "cirq_type": "Circuit"');
  const operations = circuit
    .get('moments')
    .items()
    .flatMap((moment) => moment.get('operations').items());
  if (operations.length > operationsMax) throw tooLarge(`a circuit has at most ${operationsMax} operations`);
  const given = new Parameters(parameters);
  const reader = new Reader(qubitNumbers(operations), keysIn(operations), given);
  for (const operation of operations) reader.put(operation);
  given.end();
  return reader.circuit();
}

const tooLarge = (message: string): StepError => new StepError('CIRCUIT_TOO_LARGE', `cirq: ${message}`);

function parsed(text: string): unknown {
  if (text.length > textLengthMax) throw tooLarge(`the text is longer than ${textLengthMax} characters`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new StepError('INVALID_PARAMS', 'cirq: the text is no JSON: give what cirq.to_json(circuit) gives', {
      cause,
    });
  }
}

/** The qubits of all operations, sorted. */
function qubitNumbers(operations: readonly Node[]): ReadonlyMap<string, number> {
  const found = new Map<string, CirqQubit>();
  for (const operation of operations)
    for (const node of qubitsIn(operation, 0)) {
      const qubit = qubitOf(node);
      found.set(qubit.key, qubit);
      if (found.size > qubitsMax) throw tooLarge(`a circuit has at most ${qubitsMax} qubits`);
    }
  if (found.size === 0) throw new StepError('INVALID_PARAMS', 'cirq: the circuit has no qubits');
  return new Map([...found.values()].sort(compareQubits).map(({ key }, at) => [key, at]));
}

function qubitsIn(operation: Node, depth: number): Node[] {
  if (depth > nestingMax) throw operation.refuse(`is nested more than ${nestingMax} deep`);
  if (operation.type === undefined) throw operation.refuse('must be an operation of Cirq');
  const inner = operation.find('sub_operation');
  const single = operation.find('qubit');
  return [
    ...(operation.find('controls')?.items() ?? []),
    ...(inner === undefined ? [] : qubitsIn(inner, depth + 1)),
    ...(operation.find('qubits')?.items() ?? []),
    ...(single === undefined ? [] : [single]),
  ];
}

/** A measurement key: its register, and how much of it is measured so far. */
interface Key {
  /** Qubits of one measurement. */
  readonly size: number;
  readonly firstBit: number;
  readonly measurements: number;
  measured: number;
}

/** The keys of all measurements, in the order in which each comes first. */
function keysIn(operations: readonly Node[]): ReadonlyMap<string, Key> {
  const sizes = new Map<string, { size: number; measurements: number }>();
  let bits = 0;
  for (const operation of operations) {
    let inner = operation;
    for (let outer = inner.find('sub_operation'); outer !== undefined; outer = inner.find('sub_operation'))
      inner = outer;
    const gate = inner.find('gate');
    if (gate?.type !== 'MeasurementGate') continue;
    const name = keyOf(gate.get('key'));
    const size = inner.get('qubits').items().length;
    const known = sizes.get(name) ?? { size, measurements: 0 };
    if (known.size !== size) throw gate.refuse(`measures ${size} qubits as ${name}, which were ${known.size} before`);
    sizes.set(name, { size, measurements: known.measurements + 1 });
    bits += size;
    if (bits > bitsMax) throw tooLarge(`a circuit has at most ${bitsMax} classical bits`);
  }
  let firstBit = 0;
  const keys = new Map<string, Key>();
  for (const [name, { size, measurements }] of sizes) {
    keys.set(name, { size, firstBit, measurements, measured: 0 });
    firstBit += size * measurements;
  }
  return keys;
}

/** Of one of its measurements, the first qubit's first. */
const bitsOf = ({ size, firstBit }: Key, measurement: number): readonly number[] =>
  Array.from({ length: size }, (_, at) => firstBit + measurement * size + at);

class Reader {
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #gates: GateReader;
  readonly #keys: ReadonlyMap<string, Key>;
  readonly #operations: Operation[] = [];

  constructor(numbers: ReadonlyMap<string, number>, keys: ReadonlyMap<string, Key>, parameters: Parameters) {
    this.#numbers = numbers;
    this.#keys = keys;
    this.#gates = new GateReader(parameters);
  }

  circuit(): Circuit {
    const registers = [...this.#keys].map(
      ([name, { size, measurements }]): Register => ({ name, size: size * measurements }),
    );
    return { qubits: this.#numbers.size, registers, operations: this.#operations };
  }

  put(operation: Node): void {
    for (const one of this.#operation(operation, 0)) {
      // A phase of the whole, which nothing shows.
      const isPhase = one.kind === 'gate' && one.gate.name === 'gphase' && one.controls.length === 0;
      if (!isPhase) this.#operations.push(one);
    }
    if (this.#operations.length > operationsMax) throw tooLarge(`a circuit has at most ${operationsMax} operations`);
  }

  #operation(operation: Node, depth: number): Operation[] {
    if (depth > nestingMax) throw operation.refuse(`is nested more than ${nestingMax} deep`);
    switch (operation.type) {
      case 'TaggedOperation':
        return this.#operation(operation.get('sub_operation'), depth + 1);
      case 'ClassicallyControlledOperation': {
        const condition = this.#condition(operation);
        const body = this.#operation(operation.get('sub_operation'), depth + 1);
        return [{ kind: 'branch', condition, body, otherwise: [] }];
      }
      case 'GateOperation':
        return this.#gateOperation(operation.get('gate'), this.#qubits(operation.get('qubits')));
      case 'ControlledOperation':
      case 'SingleQubitPauliStringGateOperation':
        return this.#unitary(operation, depth);
      case undefined:
        throw operation.refuse('must be an operation of Cirq');
      default:
        throw unsupported(
          operation.path,
          `is a ${operation.type.slice(0, 64)}: cirq.unroll_circuit_op and cirq.decompose give gates that are known`,
        );
    }
  }

  #unitary(operation: Node, depth: number): GateOperation[] {
    if (depth > nestingMax) throw operation.refuse(`is nested more than ${nestingMax} deep`);
    switch (operation.type) {
      case 'GateOperation':
        return this.#gates.read(operation.get('gate'), this.#qubits(operation.get('qubits')));
      case 'SingleQubitPauliStringGateOperation':
        return this.#gates.read(operation.get('pauli'), [this.#qubit(operation.get('qubit'))]);
      case 'TaggedOperation':
        return this.#unitary(operation.get('sub_operation'), depth + 1);
      case 'ControlledOperation': {
        const controls = this.#qubits(operation.get('controls'));
        const inner = this.#unitary(operation.get('sub_operation'), depth + 1);
        if (
          inner.some(({ targets, controls: others }) =>
            [...targets, ...others.map(({ qubit }) => qubit)].some((qubit) => controls.includes(qubit)),
          )
        )
          throw operation.refuse('has the same qubit twice');
        return withControls(inner, controls, controlValues(operation, controls.length));
      }
      default:
        throw unsupported(operation.path, `is a ${operation.type?.slice(0, 64)}, which can not be controlled`);
    }
  }

  #gateOperation(gate: Node, qubits: readonly number[]): Operation[] {
    switch (gate.type) {
      case 'MeasurementGate':
        return this.#measure(gate, qubits);
      case 'ResetChannel':
        return qubits.map((qubit) => ({ kind: 'reset', qubit }));
      case 'WaitGate':
        return [];
      default:
        return this.#gates.read(gate, qubits);
    }
  }

  #measure(gate: Node, qubits: readonly number[]): Operation[] {
    const key = this.#keys.get(keyOf(gate.get('key')));
    if (key === undefined) throw gate.refuse('is measured where nothing can be');
    const bits = bitsOf(key, key.measured);
    key.measured += 1;
    const confused = gate.find('confusion_map')?.value;
    if (Array.isArray(confused) && confused.length > 0)
      throw unsupported(gate.path, 'has a confusion_map: readout errors are given as params.noise');
    const inverted =
      gate
        .find('invert_mask')
        ?.items()
        .map(({ value }) => value === true) ?? [];
    return qubits.flatMap((qubit, at): Operation[] => {
      const measure: Operation = { kind: 'measure', qubit, bit: bits[at] ?? 0 };
      if (inverted[at] !== true) return [measure];
      const flip = gateOn(gateNamed('x'), [qubit]);
      return [flip, measure, flip];
    });
  }

  /** All of its conditions together. */
  #condition(operation: Node): Expression {
    const read = (name: string, at: Node, index: number): readonly number[] => {
      const key = this.#keys.get(name);
      const measured = key?.measured ?? 0;
      const which = index < 0 ? measured + index : index;
      if (key === undefined || which < 0 || which >= measured)
        throw at.refuse(
          measured === 0
            ? `needs the measurement ${JSON.stringify(name)}, which was not made before`
            : `needs measurement ${index} of ${JSON.stringify(name)}, of which ${measured} were made before`,
        );
      return bitsOf(key, which);
    };
    const [first, ...others] = operation
      .get('conditions')
      .items()
      .map((one) => conditionOf(one, read));
    if (first === undefined) throw operation.refuse('has no conditions');
    return others.reduce<Expression>((left, right) => ({ kind: 'binary', operator: '&&', left, right }), first);
  }

  #qubits(nodes: Node): number[] {
    const qubits = nodes.items().map((node) => this.#qubit(node));
    if (new Set(qubits).size !== qubits.length) throw nodes.refuse('has the same qubit twice');
    return qubits;
  }

  #qubit(node: Node): number {
    return this.#numbers.get(qubitOf(node).key) ?? 0;
  }
}
