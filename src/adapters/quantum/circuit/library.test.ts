import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReferenceState } from '../simulate/reference-state.ts';
import type { Circuit, GateOperation } from './circuit.ts';
import { bell, featureMap, ghz, grover, phaseEstimation, qft, random } from './library.ts';
import { depthOf } from './measure.ts';

function probabilities(circuit: Circuit): number[] {
  const state = new ReferenceState(circuit.qubits);
  state.apply(circuit.operations.filter((operation): operation is GateOperation => operation.kind === 'gate'));
  const amplitudes = state.amplitudes();
  return Array.from(
    { length: 2 ** circuit.qubits },
    (_, k) => (amplitudes[2 * k] ?? 0) ** 2 + (amplitudes[2 * k + 1] ?? 0) ** 2,
  );
}
const near = (actual: number | undefined, expected: number, tolerance = 1e-9): void =>
  assert.ok(Math.abs((actual ?? Number.NaN) - expected) <= tolerance, `${actual}, not ${expected}`);

test('bell and ghz are half nothing, half everything', () => {
  near(probabilities(bell())[0], 0.5);
  near(probabilities(bell())[3], 0.5);
  const five = probabilities(ghz(5));
  near(five[0], 0.5);
  near(five[31], 0.5);
  assert.equal(depthOf(ghz(5)), 6);
});

test('the Fourier transform of a basis state has the phases that its definition says', () => {
  for (const value of [0, 1, 5, 6]) {
    const state = new ReferenceState(3);
    state.apply(
      qft(3, { value }).operations.filter((operation): operation is GateOperation => operation.kind === 'gate'),
    );
    const amplitudes = state.amplitudes();
    for (let k = 0; k < 8; k += 1) {
      near(amplitudes[2 * k], Math.cos((2 * Math.PI * value * k) / 8) / Math.sqrt(8));
      near(amplitudes[2 * k + 1], Math.sin((2 * Math.PI * value * k) / 8) / Math.sqrt(8));
    }
  }
});

test('the inverse transform undoes it', () => {
  const state = new ReferenceState(4);
  const gates = (circuit: Circuit) =>
    circuit.operations.filter((operation): operation is GateOperation => operation.kind === 'gate');
  state.apply([...gates(qft(4, { value: 11 })), ...gates(qft(4, { inverse: true }))]);
  near(state.amplitudes()[22], 1);
});

test("Grover's search finds what is marked as likely as the formula says", () => {
  near(probabilities(grover(3, [5], 2))[5], 0.9453125);
  near(probabilities(grover(5, [19], 4))[19], 0.9991823, 1e-7);
  // sin²((2r+1)·asin √(M/N)) for three marked of 64.
  const found = probabilities(grover(6, [1, 2, 60]));
  const angle = Math.asin(Math.sqrt(3 / 64));
  const rounds = Math.round(Math.PI / (4 * angle) - 0.5);
  near((found[1] ?? 0) + (found[2] ?? 0) + (found[60] ?? 0), Math.sin((2 * rounds + 1) * angle) ** 2);
});

test('phase estimation measures the nearest number', () => {
  const third = probabilities(phaseEstimation(4, 1 / 3));
  // The eigenstate's qubit, the highest, is 1.
  near(third[16 + 5], 0.684895, 1e-6);
  near(probabilities(phaseEstimation(5, 11 / 32))[32 + 11], 1);
});

test('the feature map of one qubit has the phase that its definition says', () => {
  const x = 0.4;
  // ⟨X⟩ after H and a phase 2x is cos 2x.
  const state = new ReferenceState(1);
  state.apply(featureMap([x], 1).operations as GateOperation[]);
  near(state.expectation('X'), Math.cos(2 * x));
});

test('a random circuit follows from its seed', () => {
  assert.deepEqual(random(5, 4, 'a'), random(5, 4, 'a'));
  assert.notDeepEqual(random(5, 4, 'a'), random(5, 4, 'b'));
});
