import { StepError } from '../../../../lib/errors.ts';
import type { JSONValue } from '../../../../lib/json.ts';
import { closest } from '../../../../lib/suggest.ts';
import {
  type Circuit,
  type Control,
  type Expression,
  gateOn,
  type Operation,
  type Register,
} from '../../circuit/circuit.ts';
import { type Matrix, unitarityError } from '../../circuit/complex.ts';
import { type Gate, gateNamed, inverseOf, powerOf, shapeOf, unitary } from '../../circuit/gates.ts';
import { Fields, refuse } from './fields.ts';
import { type ListedGate, listedGates, normalName, otherTypes } from './names.ts';

const operationsMax = 2_000_000;
const nestingMax = 64;
export const qubitsMax = 4096;
const unitaryQubitsMax = 6;
const unitarityTolerance = 1e-8;

export interface GateListOptions {
  /** Default one more than the highest that is used. */
  qubits?: number;
  /** Default one, `c`, of as many bits as are measured. */
  registers?: readonly Register[];
}

/**
 * A circuit written as a list of gates, such as `[{ type: 'H', qubit: 0 }, { type: 'CNOT', control: 0, target: 1 }]`.
 * docs/adapters/quantum.md has all of it.
 *
 * @throws StepError INVALID_PARAMS, UNSUPPORTED_GATE with the path of the entry
 */
export function readGateList(list: JSONValue, options: GateListOptions = {}): Circuit {
  const reader = new Reader(options);
  const operations = reader.list(list, 'gates', 0);
  const qubits = options.qubits ?? Math.max(1, reader.highestQubit + 1);
  if (reader.highestQubit >= qubits)
    throw refuse(reader.highestAt, `names qubit ${reader.highestQubit}, but there are ${qubits}: 0 to ${qubits - 1}`);
  return { qubits, ...reader.bits(operations) };
}

class Reader {
  highestQubit = -1;
  highestAt = '';
  #count = 0;
  /** Measured qubits whose bit is not stated. */
  readonly #unplaced = new Set<number>();
  #stated = false;
  #highestBit = -1;
  readonly #registers: readonly Register[] | undefined;

  constructor({ registers }: GateListOptions) {
    this.#registers = registers;
  }

  list(list: JSONValue, path: string, depth: number): Operation[] {
    if (!Array.isArray(list)) throw refuse(path, 'must be a list of gates');
    if (depth > nestingMax) throw refuse(path, `is nested more than ${nestingMax} deep`);
    return list.flatMap((entry, index) => {
      this.#count += 1;
      if (this.#count > operationsMax) throw refuse(path, `has more than ${operationsMax} operations in all`);
      return this.#entry(new Fields(entry, `${path}[${index}]`), depth);
    });
  }

  /** Gives measurements without a bit the place of their qubit among those that are measured. */
  bits(operations: readonly Operation[]): { registers: readonly Register[]; operations: readonly Operation[] } {
    if (this.#unplaced.size > 0 && (this.#stated || this.#registers !== undefined))
      throw new StepError(
        'INVALID_PARAMS',
        'some measurements state their bits and some do not: state all, as { "type": "Measure", "qubits": [0, 1], "bits": [0, 1] }, or none',
      );
    if (this.#unplaced.size === 0) {
      const registers = this.#registers ?? (this.#highestBit < 0 ? [] : [{ name: 'c', size: this.#highestBit + 1 }]);
      return { registers, operations };
    }
    const places = new Map([...this.#unplaced].sort((a, b) => a - b).map((qubit, bit) => [qubit, bit]));
    const size = Math.max(places.size, this.#highestBit + 1);
    return { registers: [{ name: 'c', size }], operations: placed(operations, places) };
  }

  #entry(fields: Fields, depth: number): Operation[] {
    const type = fields.first('type', 'gate', 'name');
    if (type === undefined) throw refuse(fields.path, 'has no type, such as "H"');
    if (typeof type.value !== 'string') throw refuse(fields.at(type.name), 'must be a text, such as "H"');
    switch (normalName(type.value)) {
      case 'M':
      case 'MEASURE':
        return this.#conditional(fields, 'a measurement', this.#measure(fields), depth);
      case 'RESET': {
        const qubits = this.#qubits(fields, 'qubit', 'qubits', 'target', 'targets');
        return this.#conditional(
          fields,
          'a reset',
          qubits.map((qubit): Operation => ({ kind: 'reset', qubit })),
          depth,
        );
      }
      case 'BARRIER': {
        const qubits = this.#qubits(fields, 'qubit', 'qubits');
        fields.end('a barrier');
        return [{ kind: 'barrier', qubits }];
      }
      case 'IF': {
        const condition = this.#condition(fields.take('condition'), fields.at('condition'));
        const named = fields.first('gates', 'then');
        const body = this.list(named?.value ?? [], fields.at(named?.name ?? 'gates'), depth + 1);
        const otherwise = this.list(fields.take('else') ?? [], fields.at('else'), depth + 1);
        fields.end('an If');
        return [{ kind: 'branch', condition, body, otherwise }];
      }
      default:
        return this.#conditional(fields, `a ${type.value}`, this.#gate(fields, type.value), depth);
    }
  }

  /** Any entry may have a condition of its own. */
  #conditional(fields: Fields, what: string, operations: readonly Operation[], depth: number): Operation[] {
    const given = fields.take('condition');
    const condition = given === undefined ? undefined : this.#condition(given, fields.at('condition'));
    fields.end(what);
    if (condition === undefined) return [...operations];
    if (depth >= nestingMax) throw refuse(fields.path, `is nested more than ${nestingMax} deep`);
    return [{ kind: 'branch', condition, body: operations, otherwise: [] }];
  }

  #measure(fields: Fields): Operation[] {
    const qubits = this.#qubits(fields, 'qubit', 'qubits', 'target', 'targets');
    const named = fields.first('bit', 'bits');
    if (named === undefined) {
      for (const qubit of qubits) this.#unplaced.add(qubit);
      // Its place is known at the end.
      return qubits.map((qubit) => ({ kind: 'measure', qubit, bit: -1 }));
    }
    const bits = fields.wholes(named.name) ?? [];
    if (bits.length !== qubits.length)
      throw refuse(fields.at(named.name), `must name as many bits as qubits: ${qubits.length}, not ${bits.length}`);
    this.#stated = true;
    return qubits.map((qubit, index) => ({
      kind: 'measure',
      qubit,
      bit: this.#bit(bits[index] ?? 0, fields.at(named.name)),
    }));
  }

  #gate(fields: Fields, type: string): Operation[] {
    const listed = normalName(type) === 'UNITARY' ? undefined : listedGates.get(normalName(type));
    if (listed === undefined && normalName(type) !== 'UNITARY') throw unknownGate(fields.at('type'), type);
    const plain =
      listed === undefined ? unitary(matrixFrom(fields.take('matrix'), fields.at('matrix'))) : named(listed, fields);
    const gate = this.#modified(plain, fields);
    const needed = listed === undefined ? Math.log2(matrixSize(plain)) : shapeOf(listed.gate).targets;
    const { controls, groups } = this.#places(fields, type, needed, listed);
    return groups.map((targets) => {
      const used = [...targets, ...controls.map(({ qubit }) => qubit)];
      if (new Set(used).size !== used.length) throw refuse(fields.path, `has the same qubit twice: ${used.join(', ')}`);
      return gateOn(gate, targets, controls);
    });
  }

  /** Which qubits the gate acts on, once for each group. */
  #places(
    fields: Fields,
    type: string,
    needed: number,
    listed: ListedGate | undefined,
  ): { controls: Control[]; groups: number[][] } {
    const given = fields.first('control', 'controls');
    const stated = given === undefined ? [] : this.#checked(fields.wholes(given.name) ?? [], fields.at(given.name));
    const on =
      needed === 0 && fields.first('qubit', 'qubits', 'target', 'targets') === undefined
        ? []
        : this.#qubits(fields, 'qubit', 'qubits', 'target', 'targets');
    // A list of all qubits of a controlled gate begins with its controls.
    const inName =
      stated.length > 0 ? 0 : listed?.anyControls ? Math.max(1, on.length - needed) : (listed?.controls ?? 0);
    const all = [...stated, ...on.slice(0, inName)];
    if (all.length < (listed?.controls ?? 0) || (stated.length === 0 && inName > 0 && on.length <= inName))
      throw refuse(
        fields.path,
        `is a ${type}, which has ${listed?.controls} control${listed?.controls === 1 ? '' : 's'}, as "control": 0, "target": 1`,
      );
    const values = fields.first('control_value', 'control_values');
    const wanted = values === undefined ? all.map(() => 1) : (fields.wholes(values.name) ?? []);
    if (values !== undefined && (wanted.length !== all.length || wanted.some((value) => value > 1)))
      throw refuse(fields.at(values.name), `must be a 0 or 1 for each of the ${all.length} controls`);
    const targets = on.slice(inName);
    const groups = needed === 1 ? targets.map((target) => [target]) : [targets];
    if (groups.length === 0 || groups.some((group) => group.length !== needed))
      throw refuse(
        fields.path,
        `is a ${type}, which acts on ${needed} qubit${needed === 1 ? '' : 's'}, not ${targets.length}`,
      );
    return { controls: all.map((qubit, index) => ({ qubit, value: wanted[index] === 0 ? 0 : 1 })), groups };
  }

  #modified(gate: Gate, fields: Fields): Gate {
    const inverse = fields.take('inverse');
    if (inverse !== undefined && typeof inverse !== 'boolean')
      throw refuse(fields.at('inverse'), 'must be true or false');
    const power = fields.number('power');
    const turned = inverse === true ? inverseOf(gate) : gate;
    if (power === undefined) return turned;
    const powered = powerOf(turned, power);
    if (powered === undefined)
      throw refuse(
        fields.at('power'),
        `can't be ${power} for a gate of several qubits that is not its own inverse: whole numbers up to 4096 can`,
      );
    return powered;
  }

  #condition(value: JSONValue | undefined, path: string): Expression {
    if (value === undefined) throw refuse(path, 'is missing, such as { "bit": 0, "equals": 1 }');
    const fields = new Fields(value, path);
    const named = fields.first('bit', 'bits', 'register');
    const equals = fields.take('equals') ?? 1;
    fields.end('a condition');
    if (named === undefined) throw refuse(path, 'names no bit, as { "bit": 0, "equals": 1 } does');
    const bits =
      named.name === 'register'
        ? this.#registerBits(named.value, fields.at('register'))
        : (fields.wholes(named.name) ?? []).map((bit) => this.#bit(bit, fields.at(named.name)));
    const isWhole = typeof equals === 'number' && Number.isSafeInteger(equals) && equals >= 0;
    const isText = typeof equals === 'string' && /^[01]+$/.test(equals);
    if (!isWhole && !isText)
      throw refuse(fields.at('equals'), 'must be a whole number from 0, or a text of bits such as "01"');
    this.#stated = true;
    return {
      kind: 'binary',
      operator: '==',
      left: { kind: 'bits', bits },
      right: { kind: 'integer', value: BigInt(isText ? `0b${equals}` : equals) },
    };
  }

  #registerBits(name: JSONValue, path: string): number[] {
    let first = 0;
    for (const register of this.#registers ?? []) {
      if (register.name === name) return Array.from({ length: register.size }, (_, at) => first + at);
      first += register.size;
    }
    const names = (this.#registers ?? []).map((register) => register.name);
    throw refuse(
      path,
      `is no register${names.length > 0 ? `: there are ${names.join(', ')}` : '; name them in "registers"'}`,
    );
  }

  #bit(bit: number, path: string): number {
    const size = this.#registers?.reduce((sum, register) => sum + register.size, 0) ?? qubitsMax;
    if (bit >= size) throw refuse(path, `names bit ${bit}, but there are ${size}`);
    this.#highestBit = Math.max(this.#highestBit, bit);
    return bit;
  }

  #qubits(fields: Fields, ...names: readonly string[]): number[] {
    const named = fields.first(...names);
    if (named === undefined) throw refuse(fields.path, 'names no qubit, as "qubit": 0 does');
    return this.#checked(fields.wholes(named.name) ?? [], fields.at(named.name));
  }

  #checked(qubits: readonly number[], path: string): number[] {
    const highest = qubits.reduce((most, qubit) => Math.max(most, qubit), -1);
    if (highest >= qubitsMax) throw refuse(path, `names qubit ${highest}: a circuit has ${qubitsMax} at most`);
    if (highest > this.highestQubit) [this.highestQubit, this.highestAt] = [highest, path];
    return [...qubits];
  }
}

function named(listed: ListedGate, fields: Fields): Gate {
  const names = listed.params?.names ?? shapeOf(listed.gate).params;
  const list = fields.take('params');
  const angle = names.length === 1 ? fields.number('angle') : undefined;
  const single = names.map((name) => fields.number(name));
  const given = Array.isArray(list) ? list : list === undefined ? undefined : [list];
  if (given !== undefined && (angle !== undefined || single.some((value) => value !== undefined)))
    throw refuse(fields.at('params'), 'stands beside the same params by name');
  const values = given ?? single.map((value, at) => value ?? (at === 0 ? angle : undefined));
  if (values.length !== names.length || !values.every((value) => Number.isFinite(value)))
    throw refuse(
      fields.path,
      names.length === 0
        ? 'takes no params'
        : `needs ${names.join(', ')} in radians, or "params": [${names.join(', ')}]`,
    );
  const numbers = values as number[];
  return gateNamed(listed.gate, ...(listed.params?.of(numbers) ?? numbers));
}

function unknownGate(path: string, type: string): StepError {
  const names = [...listedGates.keys(), ...otherTypes];
  const meant = closest(normalName(type), names);
  return new StepError(
    'UNSUPPORTED_GATE',
    `${path}: there is no gate ${JSON.stringify(type.slice(0, 64))}${meant === undefined ? `. There are ${names.join(', ')}` : `; did you mean ${meant}?`}`,
  );
}

const matrixSize = (gate: Gate): number => (gate.name === 'unitary' ? gate.matrix.dimension : Number.NaN);

/** Rows of numbers, a complex one as [re, im]. */
function matrixFrom(rows: JSONValue | undefined, path: string): Matrix {
  const dimension = Array.isArray(rows) ? rows.length : 0;
  const qubits = Math.log2(dimension);
  if (!Array.isArray(rows) || !Number.isInteger(qubits) || qubits < 1 || qubits > unitaryQubitsMax)
    throw refuse(
      path,
      `must be a matrix of 2, 4, … or ${2 ** unitaryQubitsMax} rows of numbers, a complex one as [re, im]`,
    );
  const data = new Float64Array(2 * dimension * dimension);
  rows.forEach((row, r) => {
    if (!Array.isArray(row) || row.length !== dimension)
      throw refuse(`${path}[${r}]`, `must be a list of ${dimension} numbers`);
    row.forEach((entry, c) => {
      const [re, im] = Array.isArray(entry) && entry.length === 2 ? entry : [entry, 0];
      if (typeof re !== 'number' || typeof im !== 'number')
        throw refuse(`${path}[${r}][${c}]`, 'must be a number or [re, im]');
      data[2 * (r * dimension + c)] = re;
      data[2 * (r * dimension + c) + 1] = im;
    });
  });
  const error = unitarityError({ dimension, data });
  if (!(error <= unitarityTolerance))
    throw refuse(
      path,
      `is not unitary: U†U differs from 1 by ${error.toPrecision(2)} (allowed: ${unitarityTolerance})`,
    );
  return { dimension, data };
}

function placed(operations: readonly Operation[], places: ReadonlyMap<number, number>): Operation[] {
  return operations.map((operation) => {
    switch (operation.kind) {
      case 'measure':
        return { ...operation, bit: places.get(operation.qubit) ?? operation.bit };
      case 'branch':
        return { ...operation, body: placed(operation.body, places), otherwise: placed(operation.otherwise, places) };
      case 'loop':
        return { ...operation, body: placed(operation.body, places) };
      default:
        return operation;
    }
  });
}
