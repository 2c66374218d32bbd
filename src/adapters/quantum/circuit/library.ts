import { StepError } from '../../../lib/errors.ts';
import { createRandom } from '../simulate/random.ts';
import { type Circuit, type GateOperation, gateOn, type Operation } from './circuit.ts';
import { gateNamed } from './gates.ts';

/** The circuits that a step may name by `circuit_type`. Those that give an answer measure it: all of their qubits, unless it says otherwise. */

export const bell = (): Circuit => measured(2, entangled(2));

/** (|0…0⟩ + |1…1⟩)/√2 */
export const ghz = (qubits: number): Circuit => measured(qubits, entangled(qubits));

const entangled = (qubits: number): GateOperation[] => [
  gate('h', [0]),
  ...range(qubits - 1).map((qubit) => controlled('x', qubit, qubit + 1)),
];

/**
 * The quantum Fourier transform of a basis state: amplitude `e^{2πi·value·k/2^qubits}/√2^qubits` at k.
 * @param value the basis state, below 2^qubits
 */
export function qft(qubits: number, { value = 0, inverse = false } = {}): Circuit {
  return measured(qubits, [...basisState(value, range(qubits)), ...fourier(range(qubits), inverse)]);
}

/** @param on the first is the least significant */
function fourier(on: readonly number[], inverse = false): GateOperation[] {
  const gates: GateOperation[] = [];
  for (let high = on.length - 1; high >= 0; high -= 1) {
    gates.push(gate('h', [on[high] ?? 0]));
    for (let low = high - 1; low >= 0; low -= 1)
      gates.push(controlled('p', on[low] ?? 0, on[high] ?? 0, Math.PI / 2 ** (high - low)));
  }
  for (let low = 0; low < Math.floor(on.length / 2); low += 1)
    gates.push(gate('swap', [on[low] ?? 0, on[on.length - 1 - low] ?? 0]));
  if (!inverse) return gates;
  return gates
    .reverse()
    .map((one) => (one.gate.name === 'p' ? { ...one, gate: gateNamed('p', -(one.gate.params[0] ?? 0)) } : one));
}

/**
 * Grover's search, doi:10.1145/237814.
 * @param marked what is searched for, each below 2^qubits
 * @param rounds default the number after which it is found most likely
 */
export function grover(qubits: number, marked: readonly number[], rounds?: number): Circuit {
  const angle = Math.asin(Math.sqrt(marked.length / 2 ** qubits));
  const times = rounds ?? Math.max(0, Math.round(Math.PI / (4 * angle) - 0.5));
  const all = range(qubits);
  const everywhere = all.map((qubit) => gate('h', [qubit]));
  const round = [...marked.flatMap((value) => flipSign(all, value)), ...everywhere, ...flipSign(all, 0), ...everywhere];
  return measured(qubits, [...everywhere, ...range(times).flatMap(() => round)]);
}

/** Of one basis state. */
function flipSign(on: readonly number[], value: number): GateOperation[] {
  const bit = (at: number): 0 | 1 => (Math.floor(value / 2 ** at) % 2 === 1 ? 1 : 0);
  const [first = 0, ...others] = on;
  const flips = bit(0) === 1 ? [] : [gate('x', [first])];
  const controls = others.map((qubit, at) => ({ qubit, value: bit(at + 1) }));
  return [...flips, gateOn(gateNamed('z'), [first], controls), ...flips];
}

/**
 * Phase estimation of `p(2π·phase)` on its eigenstate |1⟩, kept in one more qubit. The measured number is about `phase · 2^bits`.
 * @param bits qubits that hold the answer
 * @param phase in turns
 */
export function phaseEstimation(bits: number, phase: number): Circuit {
  const counting = range(bits);
  const operations = [
    gate('x', [bits]),
    ...counting.map((qubit) => gate('h', [qubit])),
    // The phase is taken within a turn before it is doubled, so that none of its digits are lost.
    ...counting.map((qubit) => controlled('p', qubit, bits, 2 * Math.PI * ((phase * 2 ** qubit) % 1))),
    ...fourier(counting, true),
  ];
  return measured(bits + 1, operations, counting);
}

export type Entanglement = 'full' | 'linear' | 'circular';

/**
 * The ZZ feature map, doi:10.1038/s41586-019-0980-2: `H` everywhere, then phases `2x_i` of single qubits and `2(π−x_i)(π−x_j)` of pairs.
 * It measures nothing.
 * @param features one per qubit
 */
export function featureMap(features: readonly number[], reps = 2, entanglement: Entanglement = 'full'): Circuit {
  const all = range(features.length);
  const at = (qubit: number): number => features[qubit] ?? 0;
  const layer = [
    ...all.map((qubit) => gate('h', [qubit])),
    ...all.map((qubit) => gate('p', [qubit], 2 * at(qubit))),
    ...pairs(features.length, entanglement).flatMap(([a, b]) => [
      controlled('x', a, b),
      gate('p', [b], 2 * (Math.PI - at(a)) * (Math.PI - at(b))),
      controlled('x', a, b),
    ]),
  ];
  return { qubits: features.length, registers: [], operations: range(reps).flatMap(() => layer) };
}

export function pairs(qubits: number, entanglement: Entanglement): (readonly [number, number])[] {
  const neighbours = range(qubits - 1).map((qubit) => [qubit, qubit + 1] as const);
  switch (entanglement) {
    case 'linear':
      return neighbours;
    case 'circular':
      return qubits > 2 ? [...neighbours, [qubits - 1, 0]] : neighbours;
    case 'full':
      return range(qubits).flatMap((a) => range(qubits - a - 1).map((more) => [a, a + 1 + more] as const));
  }
}

/** Layers of random `u` gates, each followed by `cx` between random pairs. The same seed gives the same circuit. */
export function random(qubits: number, depth: number, seed: string): Circuit {
  const { next } = createRandom(`circuit ${seed}`);
  const angle = (): number => next() * 2 * Math.PI;
  const operations = range(depth).flatMap(() => {
    const order = range(qubits);
    // Fisher–Yates.
    for (let left = qubits - 1; left > 0; left -= 1) {
      const other = Math.floor(next() * (left + 1));
      [order[left], order[other]] = [order[other] ?? 0, order[left] ?? 0];
    }
    return [
      ...range(qubits).map((qubit) => gate('u', [qubit], angle(), angle(), angle())),
      ...range(Math.floor(qubits / 2)).map((pair) => controlled('x', order[2 * pair] ?? 0, order[2 * pair + 1] ?? 0)),
    ];
  });
  return measured(qubits, operations);
}

const range = (length: number): number[] => Array.from({ length: Math.max(0, length) }, (_, at) => at);

const gate = (
  name: 'h' | 'x' | 'z' | 'p' | 'u' | 'swap',
  targets: readonly number[],
  ...params: number[]
): GateOperation => gateOn(gateNamed(name, ...params), targets);

const controlled = (name: 'x' | 'p', control: number, target: number, ...params: number[]): GateOperation =>
  gateOn(gateNamed(name, ...params), [target], [{ qubit: control, value: 1 }]);

function basisState(value: number, on: readonly number[]): GateOperation[] {
  if (!(Number.isInteger(value) && value >= 0 && value < 2 ** on.length))
    throw new StepError('INVALID_PARAMS', `${value} is no basis state of ${on.length} qubits: 0 to 2^${on.length} - 1`);
  return on.filter((_, at) => Math.floor(value / 2 ** at) % 2 === 1).map((qubit) => gate('x', [qubit]));
}

function measured(qubits: number, operations: readonly Operation[], which = range(qubits)): Circuit {
  return {
    qubits,
    registers: [{ name: 'c', size: which.length }],
    operations: [...operations, ...which.map((qubit, bit): Operation => ({ kind: 'measure', qubit, bit }))],
  };
}
