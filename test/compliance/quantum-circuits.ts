import { type Control, type GateOperation, gateOn } from '../../src/adapters/quantum/circuit/circuit.ts';
import { type Matrix, multiply } from '../../src/adapters/quantum/circuit/complex.ts';
import {
  type Gate,
  gateNamed,
  gateNames,
  kronecker,
  matrixOf,
  type NamedGate,
  shapeOf,
  unitary,
} from '../../src/adapters/quantum/circuit/gates.ts';
import type { Random } from '../../src/adapters/quantum/simulate/random.ts';

/** Which gates circuits are made of: any with any controls, or those of the Clifford group. */
export type GateSet = 'all' | 'clifford';

export const integer = (random: Random, below: number): number => Math.floor(random.next() * below);

export const pick = <T>(random: Random, from: readonly T[]): T => from[integer(random, from.length)] as T;

/** Some of the qubits 0 to `qubits - 1`, in any order. */
export function someOf(random: Random, qubits: number, count: number): number[] {
  const left = Array.from({ length: qubits }, (_, qubit) => qubit);
  return Array.from({ length: count }, () => left.splice(integer(random, left.length), 1)[0] as number);
}

export function randomCircuit(random: Random, qubits: number, gates: GateSet, length: number): GateOperation[] {
  return Array.from({ length }, () => {
    const fitting = gateNames.filter((name) => shapeOf(name).targets <= qubits && (gates === 'all' || name in steps));
    return randomOperation(random, qubits, gates, pick(random, [...fitting, 'unitary' as const]));
  });
}

/** The gate on random qubits, with random params and, if it may, controls. */
export function randomOperation(
  random: Random,
  qubits: number,
  gates: GateSet,
  name: NamedGate | 'unitary',
): GateOperation {
  if (gates === 'clifford') return randomClifford(random, qubits, name);
  const targets = name === 'unitary' ? 1 + integer(random, Math.min(3, qubits)) : shapeOf(name).targets;
  const gate = name === 'unitary' ? unitary(randomUnitary(random, targets)) : gateNamed(name, ...angles(random, name));
  const controls = random.next() < 0.5 ? 0 : integer(random, Math.min(3, qubits - targets + 1));
  return placed(random, qubits, gate, targets, controls);
}

/** Of the params of each gate that can be in the Clifford group: what they are then multiples of. */
const steps: Partial<Record<NamedGate, readonly number[]>> = {
  ...Object.fromEntries(
    gateNames.filter((name) => shapeOf(name).params.length === 0 && !name.startsWith('t')).map((name) => [name, []]),
  ),
  gphase: [0.1],
  ...Object.fromEntries(['rx', 'ry', 'rz', 'p', 'rxx', 'ryy', 'rzz', 'rzx'].map((name) => [name, [Math.PI / 2]])),
  r: [Math.PI / 2, Math.PI / 2],
  u: [Math.PI / 2, Math.PI / 2, Math.PI / 2],
  xx_plus_yy: [Math.PI, Math.PI / 2],
  xx_minus_yy: [Math.PI, Math.PI / 2],
};

/** Names of the gates that can be in the Clifford group. */
export const cliffordNames: readonly (NamedGate | 'unitary')[] = [...(Object.keys(steps) as NamedGate[]), 'unitary'];

function randomClifford(random: Random, qubits: number, name: NamedGate | 'unitary'): GateOperation {
  if (name === 'unitary') {
    const targets = 1 + integer(random, Math.min(2, qubits));
    const named = gateNames.filter((other) => other in steps && shapeOf(other).targets <= targets);
    const parts = Array.from({ length: 4 }, () => spread(random, cliffordGate(random, pick(random, named)), targets));
    return placed(random, qubits, unitary(parts.reduce(multiply)), targets, 0);
  }
  // With a control it is in the group where it is a Pauli matrix but for a fitting phase.
  if (qubits > 1 && ['x', 'y', 'z'].includes(name) && random.next() < 0.7)
    return placed(random, qubits, gateNamed(name), 1, 1);
  if (name === 'gphase' && random.next() < 0.5)
    return placed(random, qubits, gateNamed(name, (Math.PI / 2) * integer(random, 4)), 0, 1);
  return placed(random, qubits, cliffordGate(random, name), shapeOf(name).targets, 0);
}

const cliffordGate = (random: Random, name: NamedGate): Gate =>
  gateNamed(name, ...(steps[name] ?? []).map((step) => step * (integer(random, 9) - 4)));

/** The matrix of a gate over `targets` qubits, it being on the lowest or the highest. */
function spread(random: Random, gate: Gate, targets: number): Matrix {
  const own = matrixOf(gate);
  const rest = matrixOf(gateNamed('id'));
  let over = own.dimension === 1 ? kronecker(rest, own) : own;
  const isLow = random.next() < 0.5;
  while (over.dimension < 2 ** targets) over = isLow ? kronecker(rest, over) : kronecker(over, rest);
  return over;
}

const angles = (random: Random, name: NamedGate): number[] =>
  shapeOf(name).params.map(() => (random.next() - 0.5) * 4 * Math.PI);

/** By orthonormalizing random columns. */
function randomUnitary(random: Random, targets: number): Matrix {
  const n = 2 ** targets;
  const data = Float64Array.from({ length: 2 * n * n }, () => random.next() - 0.5);
  for (let row = 0; row < n; row += 1) {
    const own = data.subarray(2 * row * n, 2 * (row + 1) * n);
    for (let before = 0; before < row; before += 1) {
      const other = data.subarray(2 * before * n, 2 * (before + 1) * n);
      const [re, im] = inner(other, own);
      for (let at = 0; at < 2 * n; at += 2) {
        const [oRe = 0, oIm = 0] = other.subarray(at, at + 2);
        own[at] = (own[at] ?? 0) - (re * oRe - im * oIm);
        own[at + 1] = (own[at + 1] ?? 0) - (re * oIm + im * oRe);
      }
    }
    const length = Math.hypot(...own);
    own.forEach((value, at) => {
      own[at] = value / length;
    });
  }
  return { dimension: n, data };
}

/** `⟨left|right⟩` of two vectors. */
function inner(left: Float64Array, right: Float64Array): [number, number] {
  let [re, im] = [0, 0];
  for (let at = 0; at < left.length; at += 2) {
    const [aRe = 0, aIm = 0, bRe = 0, bIm = 0] = [left[at], left[at + 1], right[at], right[at + 1]];
    re += aRe * bRe + aIm * bIm;
    im += aRe * bIm - aIm * bRe;
  }
  return [re, im];
}

function placed(random: Random, qubits: number, gate: Gate, targets: number, controls: number): GateOperation {
  const chosen = someOf(random, qubits, targets + controls);
  return gateOn(
    gate,
    chosen.slice(0, targets),
    chosen.slice(targets).map((qubit): Control => ({ qubit, value: random.next() < 0.5 ? 0 : 1 })),
  );
}
