import { bitsOf, type Circuit, type Expression, type Operation } from '../circuit/circuit.ts';
import type { Gate } from '../circuit/gates.ts';
import { bitsIn, qubitsIn } from '../circuit/wires.ts';
import { angleText } from './angle.ts';

/** What is drawn on one qubit. */
export type Mark =
  | { readonly kind: 'box'; readonly label: string }
  | { readonly kind: 'control'; readonly value: 0 | 1 }
  | { readonly kind: 'plus' }
  | { readonly kind: 'cross' }
  | { readonly kind: 'measure'; readonly bit: string }
  | { readonly kind: 'barrier' };

/** One operation: its marks by qubit, and the qubits that a line joins, from the lowest to the highest. */
export interface Item {
  readonly marks: ReadonlyMap<number, Mark>;
  readonly low: number;
  readonly high: number;
  /** Classical bits that are read or written: who reads one stands to the right of who wrote it. */
  readonly bits: readonly number[];
}

/** What happens at the same time. */
export interface Layout {
  readonly qubits: number;
  readonly columns: readonly (readonly Item[])[];
}

/** Each operation in the earliest column in which nothing is in its way. */
export function layoutOf(circuit: Circuit): Layout {
  const free = new Array<number>(circuit.qubits).fill(0);
  const freeBits = new Array<number>(bitsOf(circuit)).fill(0);
  const columns: Item[][] = [];
  for (const item of itemsOf(circuit)) {
    let column = item.bits.reduce((most, bit) => Math.max(most, freeBits[bit] ?? 0), 0);
    for (let qubit = item.low; qubit <= item.high; qubit += 1) column = Math.max(column, free[qubit] ?? 0);
    for (let qubit = item.low; qubit <= item.high; qubit += 1) free[qubit] = column + 1;
    for (const bit of item.bits) freeBits[bit] = column + 1;
    const items = columns[column];
    if (items === undefined) columns[column] = [item];
    else items.push(item);
  }
  return { qubits: circuit.qubits, columns };
}

function* itemsOf(circuit: Circuit): Generator<Item> {
  const bitName = bitNames(circuit);
  for (const operation of circuit.operations) {
    const item = itemOf(operation, circuit, bitName);
    if (item !== undefined) yield item;
  }
}

function itemOf(operation: Operation, circuit: Circuit, bitName: (bit: number) => string): Item | undefined {
  switch (operation.kind) {
    case 'gate': {
      const { gate, targets, controls } = operation;
      const marks = new Map<number, Mark>(controls.map(({ qubit, value }) => [qubit, { kind: 'control', value }]));
      for (const [index, qubit] of targets.entries())
        marks.set(qubit, targetMark(gate, index, targets.length, controls.length));
      return spanning(marks);
    }
    case 'measure':
      return spanning(new Map([[operation.qubit, { kind: 'measure', bit: bitName(operation.bit) }]]), [operation.bit]);
    case 'reset':
      return spanning(new Map([[operation.qubit, { kind: 'box', label: '|0⟩' }]]));
    case 'barrier':
      return spanning(
        new Map(
          (operation.qubits.length === 0 ? all(circuit) : operation.qubits).map((qubit) => [
            qubit,
            { kind: 'barrier' },
          ]),
        ),
      );
    case 'branch':
    case 'loop': {
      const inner = operation.kind === 'loop' ? operation.body : [...operation.body, ...operation.otherwise];
      const word = operation.kind === 'loop' ? 'while' : 'if';
      const names = summary(inner);
      const label = `${word} ${conditionText(operation.condition, bitName)}: ${names}`;
      return spanning(new Map(qubitsIn(operation).map((qubit) => [qubit, { kind: 'box', label }])), bitsIn(operation));
    }
  }
}

function targetMark(gate: Gate, index: number, count: number, controls: number): Mark {
  if (gate.name === 'x' && controls > 0) return { kind: 'plus' };
  if (gate.name === 'z' && controls > 0) return { kind: 'control', value: 1 };
  if (gate.name === 'swap') return { kind: 'cross' };
  const place = count > 1 ? `:${index}` : '';
  return { kind: 'box', label: `${gateText(gate)}${place}` };
}

const shown: Readonly<Record<string, string>> = { sdg: 'S†', tdg: 'T†', sx: '√X', sxdg: '√X†', unitary: 'U', id: 'I' };

/** Such as `RX(π/2)`. */
function gateText(gate: Gate): string {
  const name = shown[gate.name] ?? gate.name.toUpperCase();
  return gate.params.length === 0 ? name : `${name}(${gate.params.map(angleText).join(',')})`;
}

function spanning(marks: ReadonlyMap<number, Mark>, bits: readonly number[] = []): Item | undefined {
  const qubits = [...marks.keys()];
  const [first] = qubits;
  // A phase of the whole lies on no qubit.
  if (first === undefined) return undefined;
  const low = qubits.reduce((least, qubit) => Math.min(least, qubit), first);
  const high = qubits.reduce((most, qubit) => Math.max(most, qubit), first);
  return { marks, low, high, bits };
}

const namesMax = 3;

function summary(operations: readonly Operation[]): string {
  const names = operations.slice(0, namesMax).map((operation) => {
    if (operation.kind !== 'gate') return operation.kind === 'branch' ? 'if' : operation.kind;
    return 'C'.repeat(operation.controls.length) + gateText(operation.gate);
  });
  return operations.length > namesMax ? `${names.join(' ')} …` : names.join(' ');
}

function conditionText(expression: Expression, bitName: (bit: number) => string): string {
  switch (expression.kind) {
    case 'integer':
      return `${expression.value}`;
    case 'bits':
      return expression.bits.map(bitName).toReversed().join('');
    case 'not':
      return `!${conditionText(expression.of, bitName)}`;
    case 'binary':
      return `${conditionText(expression.left, bitName)}${expression.operator === '==' ? '=' : expression.operator}${conditionText(expression.right, bitName)}`;
  }
}

/** `c0`, `c1`, … */
function bitNames(circuit: Circuit): (bit: number) => string {
  const names = new Array<string>(bitsOf(circuit));
  let first = 0;
  for (const { name, size } of circuit.registers) {
    // A name may be any text, and a picture may not hold what is no character of XML.
    const shownName = name.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\ufffd');
    for (let at = 0; at < size; at += 1) names[first + at] = `${shownName}${at}`;
    first += size;
  }
  return (bit) => names[bit] ?? `${bit}`;
}

const all = ({ qubits }: Circuit): number[] => Array.from({ length: qubits }, (_, qubit) => qubit);
