import assert from 'node:assert/strict';
import { test } from 'node:test';
import { integer, pick } from '../../../../test/compliance/quantum-circuits.ts';
import { type GateOperation, gateOn } from '../circuit/circuit.ts';
import { gateNamed } from '../circuit/gates.ts';
import { createRandom, type Random } from '../simulate/random.ts';
import type { State } from '../simulate/state.ts';
import { MpsState } from './mps/mps-state.ts';
import { SparseState } from './sparse/sparse-state.ts';
import { StabilizerState } from './stabilizer/stabilizer-state.ts';

const qubits = 48;
const everyQubit = Array.from({ length: qubits }, (_, qubit) => qubit);

/** Clifford gates between near qubits, few of which make amplitudes more: what each method can do. */
function commonCircuit(random: Random): GateOperation[] {
  const place = (reach: number) => integer(random, qubits - reach);
  const branching = Array.from({ length: 8 }, () => gateOn(gateNamed(pick(random, ['h', 'sx', 'h'])), [place(0)]));
  const others = Array.from({ length: 120 }, () => {
    const at = place(3);
    const far = at + 1 + integer(random, 3);
    return pick(random, [
      gateOn(gateNamed('x'), [at], [{ qubit: far, value: 1 as const }]),
      gateOn(gateNamed('x'), [far], [{ qubit: at, value: 0 as const }]),
      gateOn(gateNamed('z'), [far], [{ qubit: at, value: 1 as const }]),
      gateOn(gateNamed(pick(random, ['s', 'x', 'y', 'z'])), [at]),
      gateOn(gateNamed(pick(random, ['swap', 'iswap', 'dcx'])), [at, far]),
    ]);
  });
  const circuit = [...others];
  for (const gate of branching) circuit.splice(integer(random, circuit.length), 0, gate);
  return circuit;
}

test('over 48 qubits tableau, sparse state and matrix product state agree, before and after measurements', () => {
  const rounds = process.env.JSONFLOW_LONG === '1' ? 100 : 6;
  for (let round = 0; round < rounds; round += 1) {
    const random = createRandom(`agree ${round}`);
    const states: State[] = [new StabilizerState(qubits), new SparseState(qubits), new MpsState(qubits)];
    const circuit = commonCircuit(random);
    for (const state of states) state.apply(circuit);
    assertAgree(states, random, `round ${round}`);
    for (let measured = 0; measured < 3; measured += 1) {
      const qubit = integer(random, qubits);
      const bit = random.next() < (states[0]?.probabilityOfOne(qubit) ?? 0) ? 1 : 0;
      for (const state of states) state.collapse(qubit, bit);
    }
    assertAgree(states, random, `round ${round}, measured`);
  }
});

function assertAgree(states: readonly State[], random: Random, what: string): void {
  const assertSame = (values: readonly number[], of: string): void => {
    for (const value of values) assert.ok(Math.abs(value - (values[0] ?? 0)) < 1e-10, `${what}, ${of}: ${values}`);
  };
  for (const qubit of everyQubit) {
    const values = states.map((state) => state.probabilityOfOne(qubit));
    assertSame(values, `qubit ${qubit}`);
  }
  for (let draw = 0; draw < 15; draw += 1) {
    const letters = everyQubit.map(() => pick(random, ['I', 'I', 'I', 'Z', 'X', 'Y'])).join('');
    const values = states.map((state) => state.expectation(letters));
    assertSame(values, letters);
  }
  // What one draws, each can measure.
  for (const source of states)
    for (const outcome of source.sample(everyQubit, 2, random).keys()) {
      const chances = states.map((state) => chanceOf(state, outcome));
      assert.ok((chances[0] ?? 0) > 0);
      assertSame(chances, outcome);
    }
}

/** The probability of all bits together. */
function chanceOf(state: State, outcome: string): number {
  const left = state.clone();
  let chance = 1;
  for (const qubit of everyQubit) {
    const bit = outcome.at(-1 - qubit) === '1' ? 1 : 0;
    const one = left.probabilityOfOne(qubit);
    chance *= bit === 1 ? one : 1 - one;
    if (chance < 1e-9) return 0;
    left.collapse(qubit, bit);
  }
  left.release();
  return chance;
}
