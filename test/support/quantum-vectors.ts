import assert from 'node:assert/strict';
import type { Circuit } from '../../src/adapters/quantum/circuit/circuit.ts';
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
