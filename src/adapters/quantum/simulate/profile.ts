import type { GateOperation } from '../circuit/circuit.ts';
import { isClifford } from '../methods/stabilizer/clifford.ts';
import { kindOf } from './matrix-kind.ts';
import { type Program, qubitsOf, reachOf, type Step } from './program.ts';

/** What decides which methods can run a program, and at what cost. All bounds hold whatever the angles and outcomes are. */
export interface Profile {
  readonly qubits: number;
  /** Those of bodies count once. */
  readonly gates: number;
  /** The first gate that a stabilizer tableau can't do. */
  readonly notClifford: GateOperation | undefined;
  readonly noise: 'none' | 'pauli' | 'mixture' | 'kraus';
  /** Ways that chance may go, measurements and resets; infinite where a loop makes chances. */
  readonly measuredWays: number;
  /** The same with the errors of noise. */
  readonly ways: number;
  /** Places where an error may come; those of bodies count once. */
  readonly noises: number;
  /** Mean number of errors of one run. */
  readonly errorsMean: number;
  /** No more than 2 to the power of this many amplitudes differ from 0. */
  readonly sparseBits: number;
  /** No cut between neighbours needs a bond larger than 2 to the power of this. */
  readonly bondBits: number;
}

interface Sums {
  gates: number;
  notClifford: GateOperation | undefined;
  noise: Profile['noise'];
  measuredWays: number;
  errorWays: number;
  noises: number;
  errorsMean: number;
  sparseBits: number;
  /** Bits of bond that begin and end at each cut. */
  readonly bonds: Float64Array;
}

export function profileOf({ qubits, steps }: Program): Profile {
  const sums: Sums = {
    gates: 0,
    notClifford: undefined,
    noise: 'none',
    measuredWays: 1,
    errorWays: 1,
    noises: 0,
    errorsMean: 0,
    sparseBits: 0,
    bonds: new Float64Array(qubits + 1),
  };
  look(steps, sums);
  const { bonds, measuredWays, errorWays, ...rest } = sums;
  return {
    ...rest,
    qubits,
    measuredWays,
    ways: measuredWays * errorWays,
    sparseBits: Math.min(rest.sparseBits, qubits),
    bondBits: bondBitsOf(bonds, qubits),
  };
}

function look(steps: readonly Step[], sums: Sums): void {
  for (const step of steps)
    switch (step.kind) {
      case 'gate':
        lookAtGate(step, sums);
        break;
      case 'measure':
        sums.measuredWays *= step.misread === undefined ? 2 : 4;
        break;
      case 'reset':
        sums.measuredWays *= 2;
        break;
      case 'noise': {
        const { cases, isMixture, isPauli } = step.form;
        const noise = isPauli ? 'pauli' : isMixture ? 'mixture' : 'kraus';
        if (noiseOrder.indexOf(noise) > noiseOrder.indexOf(sums.noise)) sums.noise = noise;
        sums.noises += 1;
        sums.errorWays *= cases.length;
        const likeliest = cases.reduce((most, { weight }) => Math.max(most, weight[0]?.coefficient ?? 0), 0);
        sums.errorsMean += 1 - likeliest;
        // Its operators may mix all that they act on.
        if (!isPauli) addEntangler(sums, step.qubits, step.qubits.length, 2);
        break;
      }
      case 'branch':
        look(step.body, sums);
        look(step.otherwise, sums);
        break;
      case 'loop':
        sums.measuredWays = Number.POSITIVE_INFINITY;
        look(step.body, sums);
        // Each round may do it again.
        addEntangler(sums, [...reachOf(step.body).qubits], manyBits, manyBits);
        break;
    }
}

const manyBits = 2 ** 20;

const noiseOrder: readonly Profile['noise'][] = ['none', 'pauli', 'mixture', 'kraus'];

function lookAtGate(operation: GateOperation, sums: Sums): void {
  sums.gates += 1;
  if (sums.notClifford === undefined && !isClifford(operation)) sums.notClifford = operation;
  const { gate, targets } = operation;
  const rank = targets.length <= 1 || lowRank.has(gate.name) ? 1 : 2;
  addEntangler(sums, qubitsOf(operation), Math.log2(kindOf(operation).spread), rank);
}

/** Gates over two qubits that are a sum of two products. */
const lowRank: ReadonlySet<string> = new Set(['rxx', 'ryy', 'rzz', 'rzx', 'ecr']);

/** @param rank bits of bond per qubit on the smaller side of a cut; 1 at most for a gate with one target, whatever its controls */
function addEntangler(sums: Sums, qubits: readonly number[], spread: number, rank: number): void {
  sums.sparseBits += spread;
  if (qubits.length < 2) return;
  const bits = rank === 1 ? 1 : rank * Math.floor(qubits.length / 2);
  const [low, high] = [Math.min(...qubits), Math.max(...qubits)];
  sums.bonds[low] = (sums.bonds[low] ?? 0) + bits;
  sums.bonds[high] = (sums.bonds[high] ?? 0) - bits;
}

function bondBitsOf(changes: Float64Array, qubits: number): number {
  let [bits, most] = [0, 0];
  for (let cut = 0; cut < qubits - 1; cut += 1) {
    bits += changes[cut] ?? 0;
    most = Math.max(most, Math.min(bits, cut + 1, qubits - 1 - cut));
  }
  return most;
}
