import assert from 'node:assert/strict';
import {
  bitsOf,
  type Circuit,
  type Expression,
  evaluate,
  gateOn,
  type Operation,
} from '../../src/adapters/quantum/circuit/circuit.ts';
import { gateNamed } from '../../src/adapters/quantum/circuit/gates.ts';
import { ReferenceState } from '../../src/adapters/quantum/simulate/reference-state.ts';

/** Two vectors that differ by a phase of the whole at most. */
export function assertSameState(actual: Float64Array, expected: Float64Array, message = '', tolerance = 1e-9): void {
  assert.equal(actual.length, expected.length, message);
  let [re, im] = [0, 0];
  for (let at = 0; at < actual.length; at += 2) {
    const [aRe = 0, aIm = 0, bRe = 0, bIm = 0] = [actual[at], actual[at + 1], expected[at], expected[at + 1]];
    re += aRe * bRe + aIm * bIm;
    im += aRe * bIm - aIm * bRe;
  }
  assert.ok(Math.abs(Math.hypot(re, im) - 1) < tolerance, `overlap ${Math.hypot(re, im)}: ${message}`);
}

/** Two circuits of gates do the same to a state in which every amplitude is another. */
export function assertSameAction(actual: Circuit, expected: Circuit, message: string): void {
  assert.equal(actual.qubits, expected.qubits, message);
  assertSameState(after(actual), after(expected), message);
}

function after({ qubits, operations }: Circuit): Float64Array {
  const data = Float64Array.from({ length: 2 ** (qubits + 1) }, (_, at) => Math.sin(at * at + 1));
  const norm = Math.hypot(...data);
  const state = new ReferenceState(
    qubits,
    data.map((value) => value / norm),
  );
  state.apply(operations.filter((operation) => operation.kind === 'gate'));
  return state.amplitudes();
}

/** How probable each text of bits is at the end, by following every outcome. Keys as Qiskit's counts. */
export function probabilitiesOf({ qubits, registers, operations }: Circuit): Map<string, number> {
  const found = new Map<string, number>();
  const follow = (
    rest: readonly Operation[],
    state: ReferenceState,
    bits: readonly (0 | 1)[],
    weight: number,
  ): void => {
    const [operation, ...others] = rest;
    if (weight < 1e-9) return;
    if (operation === undefined) {
      const key = textOf(registers, bits);
      found.set(key, (found.get(key) ?? 0) + weight);
      return;
    }
    const measured = (qubit: number, onto: (bit: 0 | 1, state: ReferenceState) => readonly (0 | 1)[]): void => {
      const one = state.probabilityOfOne(qubit);
      for (const [bit, probability] of [
        [0, 1 - one],
        [1, one],
      ] as const) {
        if (probability < 1e-12) continue;
        const branch = state.clone();
        branch.collapse(qubit, bit);
        follow(others, branch, onto(bit, branch), weight * probability);
      }
    };
    const isTrue = (condition: Expression): boolean => evaluate(condition, (bit) => bits[bit] ?? 0) !== 0n;
    switch (operation.kind) {
      case 'gate':
        state.apply([operation]);
        return follow(others, state, bits, weight);
      case 'barrier':
        return follow(others, state, bits, weight);
      case 'measure':
        return measured(operation.qubit, (bit) => bits.with(operation.bit, bit));
      case 'reset':
        return measured(operation.qubit, (bit, branch) => {
          if (bit === 1) branch.apply([gateOn(gateNamed('x'), [operation.qubit])]);
          return bits;
        });
      case 'branch':
        return follow(
          [...(isTrue(operation.condition) ? operation.body : operation.otherwise), ...others],
          state,
          bits,
          weight,
        );
      case 'loop':
        return follow(
          isTrue(operation.condition) ? [...operation.body, operation, ...others] : others,
          state,
          bits,
          weight,
        );
    }
  };
  follow(operations, new ReferenceState(qubits), Array(bitsOf({ registers })).fill(0), 1);
  return found;
}

function textOf(registers: Circuit['registers'], bits: readonly (0 | 1)[]): string {
  let first = 0;
  return registers.reduce((text, { size }) => {
    const own = bits
      .slice(first, first + size)
      .toReversed()
      .join('');
    first += size;
    return text === '' ? own : `${own} ${text}`;
  }, '');
}

/** Counts that a simulator found are what these probabilities make likely: none is more than five standard errors off. */
export function assertCounts(counts: Readonly<Record<string, number>>, circuit: Circuit, message: string): void {
  const probabilities = probabilitiesOf(circuit);
  const shots = Object.values(counts).reduce((sum, count) => sum + count, 0);
  for (const key of new Set([...probabilities.keys(), ...Object.keys(counts)])) {
    const p = probabilities.get(key) ?? 0;
    const error = Math.abs((counts[key] ?? 0) - p * shots);
    assert.ok(
      error <= 5 * Math.sqrt(p * (1 - p) * shots) + 1e-6 * shots,
      `${message}: ${key} ${counts[key]} of ${shots}, not ${p}`,
    );
  }
}
