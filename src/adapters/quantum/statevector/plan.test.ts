import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomCircuit } from '../../../../test/compliance/quantum-circuits.ts';
import { createRandom } from '../simulate/random.ts';
import { Lowering } from './lower.ts';
import { type Lowered, readBy, writtenBy } from './operations.ts';
import { planPasses } from './plan.ts';

function lowered(qubits: number, gates: number): readonly Lowered[] {
  const lowering = new Lowering(qubits);
  for (const gate of randomCircuit(createRandom(`plan ${qubits}`), qubits, 'all', gates)) lowering.add(gate);
  lowering.finish();
  return lowering.operations;
}

test('passes do every operation once, within their block, and in an order that none can tell from the given one', () => {
  for (const qubits of [8, 11, 14]) {
    const operations = lowered(qubits, 300);
    const passes = planPasses(operations, qubits, 7, 3);
    const place = new Map(passes.flatMap((pass) => pass.operations).map((operation, at) => [operation, at]));
    assert.equal(place.size, operations.length);
    for (const pass of passes) {
      assert.equal(pass.qubits.length, 7);
      const block = pass.qubits.reduce((bits, qubit) => bits | (1 << qubit), 0);
      for (const operation of pass.operations) assert.equal(writtenBy(operation) & ~block, 0);
    }
    operations.forEach((later, at) => {
      for (const earlier of operations.slice(0, at)) {
        const [own, other] = [writtenBy(later), writtenBy(earlier)];
        const isBound = (own & (other | readBy(earlier))) !== 0 || (readBy(later) & other) !== 0;
        if (isBound) assert.ok((place.get(earlier) ?? -1) < (place.get(later) ?? -1));
      }
    });
  }
});

test('fewer passes than operations, by far', () => {
  const operations = lowered(20, 600);
  const passes = planPasses(operations, 20, 15, 7);
  assert.ok(passes.length * 10 < operations.length, `${passes.length} passes for ${operations.length} operations`);
});
