import { StepError } from '../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../lib/json.ts';
import type { Circuit, Register } from './circuit/circuit.ts';
import { bell, ghz, grover, phaseEstimation, qft, random } from './circuit/library.ts';
import { parseCirq } from './formats/cirq/parse.ts';
import { readGateList } from './formats/gate-list/read.ts';
import { parseQasm } from './formats/qasm/parse.ts';

const written = ['gates', 'qasm', 'cirq', 'qsharp'] as const;
/** What each circuit that has a name takes, besides `qubits`. */
const own: Readonly<Record<string, readonly string[]>> = {
  bell: [],
  ghz: [],
  qft: ['value', 'inverse'],
  grover: ['marked', 'rounds'],
  qpe: ['phase'],
  random: ['depth', 'circuit_seed'],
  feature_map: ['input', 'features', 'reps', 'entanglement'],
};
/** More marked states than gates could be made for are no search. */
const groverQubitsMax = 24;
const operationsMax = 2_000_000;
/** Layers of a random circuit. */
const depthDefault = 20;
const qubitsMax = 4096;
const registersMax = 256;
const registerBitsMax = 4096;

/**
 * The circuit that params describe. Q# is compiled before, into `compiled`.
 * @throws StepError INVALID_PARAMS, QASM_SYNTAX, UNSUPPORTED_GATE
 */
export function circuitOf(params: JSONObject, compiled?: Circuit): Circuit {
  const type = circuitTypeOf(params);
  const circuit = type === 'custom' ? writtenCircuit(params, compiled) : namedCircuit(type, params);
  checkOperations(circuit.operations.length);
  return circuit;
}

function checkOperations(count: number): void {
  if (count > operationsMax)
    throw new StepError('CIRCUIT_TOO_LARGE', `the circuit has ${count} operations; at most ${operationsMax} are taken`);
}

/** @throws StepError INVALID_PARAMS where params do not belong together */
export function circuitTypeOf(params: JSONObject): string {
  const given = written.filter((name) => params[name] !== undefined);
  const type = typeof params.circuit_type === 'string' ? params.circuit_type : 'custom';
  if (type === 'custom' && given.length !== 1)
    throw new StepError(
      'INVALID_PARAMS',
      given.length === 0
        ? 'there is no circuit: give gates, qasm, cirq or qsharp, or a circuit_type such as "ghz"'
        : `the circuit is given as ${given.join(' and as ')}: give one`,
    );
  if (type !== 'custom' && given.length > 0)
    throw new StepError(
      'INVALID_PARAMS',
      `a ${type} circuit takes no ${given.join(', ')}: that is for circuit_type custom`,
    );
  for (const [other, names] of Object.entries(own))
    for (const name of names)
      if (other !== type && params[name] !== undefined)
        throw new StepError('INVALID_PARAMS', `params.${name} is for circuit_type ${other}, not ${type}`);
  if (params.parameters !== undefined && params.qasm === undefined && params.cirq === undefined)
    throw new StepError(
      'INVALID_PARAMS',
      'params.parameters is for qasm and cirq, which may leave values open: write the numbers in their place',
    );
  if (params.qsharp_operation !== undefined && params.qsharp === undefined)
    throw new StepError('INVALID_PARAMS', 'params.qsharp_operation is for qsharp');
  return type;
}

function writtenCircuit(params: JSONObject, compiled: Circuit | undefined): Circuit {
  const { gates, qasm, cirq, registers } = params;
  const qubits = params.qubits === undefined ? undefined : wholeFrom(1, qubitsMax, params.qubits, 'params.qubits');
  if (gates !== undefined)
    return readGateList(gates, {
      ...(qubits === undefined ? {} : { qubits }),
      ...(registers === undefined ? {} : { registers: registersOf(registers) }),
    });
  if (registers !== undefined)
    throw new StepError('INVALID_PARAMS', 'params.registers is for gates: other languages state their own');
  const parameters = (params.parameters ?? {}) as Record<string, number>;
  const circuit =
    typeof qasm === 'string'
      ? parseQasm(qasm, { parameters })
      : cirq === undefined
        ? compiled
        : parseCirq(cirq, { parameters });
  if (circuit === undefined) throw new StepError('INTERNAL', 'the Q# program was not compiled');
  if (qubits !== undefined && qubits < circuit.qubits)
    throw new StepError('INVALID_PARAMS', `params.qubits is ${qubits}, but the circuit has ${circuit.qubits}`);
  return qubits === undefined ? circuit : { ...circuit, qubits };
}

function registersOf(given: JSONValue): Register[] {
  const path = 'params.registers';
  if (!Array.isArray(given) || given.length > registersMax)
    throw new StepError('INVALID_PARAMS', `${path} must be a list of at most ${registersMax} registers`);
  const names = new Set<string>();
  return given.map((register, index) => {
    const { name, size } = isObject(register) ? (register as JSONObject) : {};
    if (typeof name !== 'string' || name === '')
      throw new StepError(
        'INVALID_PARAMS',
        `${path}[${index}] must have a name and a size, as { "name": "c", "size": 2 }`,
      );
    if (names.has(name)) throw new StepError('INVALID_PARAMS', `${path} names ${JSON.stringify(name)} twice`);
    names.add(name);
    return { name, size: wholeFrom(1, registerBitsMax, size, `${path}[${index}].size`) };
  });
}

function wholeFrom(minimum: number, maximum: number, value: JSONValue | undefined, path: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= minimum && value <= maximum) return value;
  throw new StepError('INVALID_PARAMS', `${path} must be a whole number from ${minimum} to ${maximum}`);
}

function namedCircuit(type: string, params: JSONObject): Circuit {
  checkOperations(leastOperations(type, params));
  switch (type) {
    case 'bell':
      if ((wholeOf(params, 'qubits') ?? 2) !== 2)
        throw new StepError('INVALID_PARAMS', 'a bell circuit has 2 qubits; more are a ghz circuit');
      return bell();
    case 'ghz':
      return ghz(needed(params, type, 1));
    case 'qft':
      return qft(needed(params, type, 1), { value: wholeOf(params, 'value') ?? 0, inverse: params.inverse === true });
    case 'grover': {
      const qubits = needed(params, type, 1, groverQubitsMax);
      return grover(qubits, markedOf(params.marked, qubits), wholeOf(params, 'rounds'));
    }
    case 'qpe':
      if (typeof params.phase !== 'number')
        throw new StepError(
          'INVALID_PARAMS',
          'a qpe circuit needs params.phase, the phase that it estimates, in turns',
        );
      return phaseEstimation(needed(params, type, 1, 50), params.phase);
    case 'random':
      return random(
        needed(params, type, 1),
        wholeOf(params, 'depth') ?? depthDefault,
        String(params.circuit_seed ?? params.seed ?? ''),
      );
    default:
      throw new StepError('INVALID_PARAMS', `a ${type} circuit can't be run as it is`);
  }
}

/** How many operations the circuit has at least, so that one of too many is not made first. */
function leastOperations(type: string, params: JSONObject): number {
  const qubits = wholeOf(params, 'qubits') ?? 0;
  switch (type) {
    case 'qft':
      return (qubits * (qubits + 1)) / 2;
    case 'random':
      return (wholeOf(params, 'depth') ?? depthDefault) * qubits;
    case 'grover':
      return (
        (wholeOf(params, 'rounds') ?? 0) * (2 * qubits + (Array.isArray(params.marked) ? params.marked.length : 1))
      );
    default:
      return 0;
  }
}

function needed(params: JSONObject, type: string, minimum: number, maximum = 4096): number {
  const qubits = wholeOf(params, 'qubits');
  if (qubits === undefined) throw new StepError('INVALID_PARAMS', `a ${type} circuit needs params.qubits`);
  if (qubits < minimum || qubits > maximum)
    throw new StepError('INVALID_PARAMS', `a ${type} circuit has ${minimum} to ${maximum} qubits, not ${qubits}`);
  return qubits;
}

function markedOf(given: JSONValue | undefined, qubits: number): number[] {
  const list = given === undefined ? ['1'.repeat(qubits)] : Array.isArray(given) ? given : [given];
  const marked = list.map((one) => {
    const value = typeof one === 'string' ? Number.parseInt(one, 2) : Number(one);
    if (value >= 2 ** qubits)
      throw new StepError('INVALID_PARAMS', `params.marked has ${String(one)}, which is no state of ${qubits} qubits`);
    return value;
  });
  return [...new Set(marked)];
}

const wholeOf = (params: JSONObject, name: string): number | undefined =>
  typeof params[name] === 'number' ? params[name] : undefined;

const plainTextMax = 4 * 1024;
/** Values in a gate list: gates lie within others, and each may name many qubits. */
const plainValuesMax = 5000;
const plainQubitsMax = 64;
const plainOperationsMax = 20_000;

/** Whether reading the circuit takes no time to speak of: a short program may stand for millions of gates. */
export function isPlain(params: JSONObject): boolean {
  const { gates, qasm, cirq, qsharp, circuit_type: type, qubits } = params;
  if (gates !== undefined) return valuesIn(gates, plainValuesMax) <= plainValuesMax;
  if (typeof qasm === 'string')
    return qasm.length <= plainTextMax && !/\b(for|while|gate|def|pow|ctrl|negctrl)\b|\[\s*[\d_]{3,}/.test(qasm);
  if (cirq !== undefined) return typeof cirq === 'string' && cirq.length <= plainTextMax;
  if (qsharp !== undefined) return false;
  if (typeof qubits !== 'number' || qubits > plainQubitsMax) return type === 'bell';
  if (type === 'grover') return qubits <= 8 && leastOperations(type, params) <= plainOperationsMax;
  return type !== 'random' || leastOperations(type, params) <= 1000;
}

/** How many values a value holds; counting ends above `most`. */
export function valuesIn(value: JSONValue, most: number): number {
  const left: JSONValue[] = [value];
  let count = 0;
  for (let next = left.pop(); next !== undefined && count <= most; next = left.pop()) {
    count += 1;
    if (typeof next !== 'object' || next === null) continue;
    for (const inner of Object.values(next)) if (left.length <= most) left.push(inner);
  }
  return count;
}
