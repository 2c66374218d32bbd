import { type GateOperation, gateOn } from '../circuit/circuit.ts';
import { adjoint, type Matrix } from '../circuit/complex.ts';
import { gateNamed } from '../circuit/gates.ts';
import { cx, cz, single } from './kak.ts';
import { multiplexed } from './multiplexed.ts';
import { axisOf, gateOf, isPhase, isZero, pauliX, pauliZ } from './single.ts';

/** With more controls than this a rotation is cheaper by halves of them. */
const multiplexedMax = 5;
/** With more than this an `x` is cheaper by borrowed qubits. */
const plainMax = 4;

/**
 * A gate of one qubit where all of the controls are 1, without further qubits; exact, its phase included. Of n controls it takes about
 * 2^(n+1) `cx` up to n = 5, above that O(n²).
 */
export function controlled(of: Matrix, controls: readonly number[], target: number): GateOperation[] {
  if (controls.length === 0) return single(gateOf(of), target);
  const [first = 0] = controls;
  if (controls.length === 1 && same(of, pauliX)) return [cx(first, target)];
  if (controls.length === 1 && same(of, pauliZ)) return [cz(first, target)];
  if (isPhase(of)) return controlledPhase(Math.atan2(of.data[1] ?? 0, of.data[0] ?? 0), controls);
  // About its own axis the gate is diag(e^{i·first}, e^{i·second}): a phase of the whole, which becomes one of the controls, and an rz.
  const axis = axisOf(of);
  const mean = (axis.first + axis.second) / 2;
  const angle = axis.second - axis.first;
  const isHalfTurn = controls.length === 1 && isZero(angle - Math.PI);
  return [
    ...single(gateOf(adjoint(axis.basis)), target),
    ...(isHalfTurn ? [cz(first, target)] : controlledRz(angle, controls, target)),
    ...controlledPhase(isHalfTurn ? axis.first : mean, controls),
    ...single(gateOf(axis.basis), target),
  ];
}

/** `e^{i·angle}` where all of the qubits are 1. */
export function controlledPhase(angle: number, qubits: readonly number[]): GateOperation[] {
  if (isZero(angle)) return [];
  if (qubits.length <= 1) return [gateOn(gateNamed(qubits.length === 0 ? 'gphase' : 'p', angle), qubits)];
  const target = qubits.at(-1) ?? 0;
  const others = qubits.slice(0, -1);
  if (others.length === 1 && isZero(angle - Math.PI)) return [cz(others[0] ?? 0, target)];
  return [...controlledRz(angle, others, target), ...controlledPhase(angle / 2, others)];
}

function controlledRz(angle: number, controls: readonly number[], target: number): GateOperation[] {
  if (isZero(angle / 2)) return [];
  if (controls.length <= multiplexedMax) {
    const angles = new Array<number>(2 ** controls.length).fill(0).with(-1, angle);
    return multiplexed('rz', angles, controls, target);
  }
  // X turns rz around: the four quarters add up where both halves of the controls are 1, and undo each other elsewhere.
  const half = Math.ceil(controls.length / 2);
  const [some, others] = [controls.slice(0, half), controls.slice(half)];
  const turn = (by: number): GateOperation => gateOn(gateNamed('rz', by), [target]);
  const first = controlledX(some, target, others);
  const second = controlledX(others, target, some);
  const quarter = angle / 4;
  return [...first, turn(-quarter), ...second, turn(quarter), ...first, turn(-quarter), ...second, turn(quarter)];
}

/** @param borrowed other qubits, in any state, which it is given back in: at least two less than there are controls */
function controlledX(controls: readonly number[], target: number, borrowed: readonly number[]): GateOperation[] {
  if (controls.length <= plainMax) return controlled(pauliX, controls, target);
  // Each borrowed qubit takes part in what the ones before it hold; done twice, what they held before cancels. Barenco et al., lemma 7.2,
  // doi:10.1103/PhysRevA.52.3457.
  const count = controls.length;
  const at = (list: readonly number[], index: number): number => list[index] ?? 0;
  const rungs = Array.from({ length: count - 3 }, (_, rung) =>
    toffoliLike(at(controls, count - 2 - rung), at(borrowed, count - 4 - rung), at(borrowed, count - 3 - rung)),
  );
  const bottom = toffoliLike(at(controls, 0), at(controls, 1), at(borrowed, 0));
  const chain = [...rungs.flat(), ...bottom, ...[...rungs].reverse().flat()];
  const top = controlled(pauliX, [at(controls, count - 1), at(borrowed, count - 3)], target);
  return [...top, ...chain, ...top, ...chain];
}

/** A Toffoli gate but for the sign of one state, by 3 `cx`: good where it comes twice. Margolus; Maslov, doi:10.1103/PhysRevA.93.022311. */
function toffoliLike(one: number, other: number, target: number): GateOperation[] {
  const turn = (sign: 1 | -1): GateOperation => gateOn(gateNamed('ry', (sign * Math.PI) / 4), [target]);
  return [turn(1), cx(other, target), turn(1), cx(one, target), turn(-1), cx(other, target), turn(-1)];
}

function same(left: Matrix, right: Matrix): boolean {
  return left.data.every((value, at) => Math.abs(value - (right.data[at] ?? 0)) < 1e-12);
}
