// Programs that Qiskit wrote act as Qiskit says that they do. test/vectors/quantum/make_qiskit.py makes them.
import assert from 'node:assert/strict';
import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { parseQasm } from '../../../src/adapters/quantum/formats/qasm/parse.ts';
import { toQasm2, toQasm3 } from '../../../src/adapters/quantum/formats/qasm/write.ts';
import { ReferenceState } from '../../../src/adapters/quantum/simulate/reference-state.ts';
import { assertCounts, assertSameAction, assertSameState } from '../../support/quantum-vectors.ts';

interface Entry {
  readonly name: string;
  readonly program: string;
  readonly parameters?: Record<string, number>;
  readonly state?: readonly number[];
  readonly counts?: Record<string, number>;
}

const entries = JSON.parse(
  readFileSync(new URL('../../vectors/quantum/qiskit.json', import.meta.url), 'utf8'),
) as Entry[];

function check({ name, program, parameters = {}, state, counts }: Entry): void {
  const circuit = parseQasm(program, { parameters });
  if (state !== undefined) {
    const own = new ReferenceState(circuit.qubits);
    own.apply(circuit.operations.filter((operation) => operation.kind === 'gate'));
    assertSameState(own.amplitudes(), Float64Array.from(state), name);
    assertSameAction(parseQasm(toQasm2(circuit)), circuit, name);
    assertSameAction(parseQasm(toQasm3(circuit)), circuit, name);
  }
  if (counts !== undefined) {
    assertCounts(counts, circuit, name);
    assert.deepEqual(parseQasm(toQasm3(circuit)), circuit, name);
  }
}

for (const entry of entries) test(`Qiskit: ${entry.name}`, () => check(entry));

test('random circuits, as many as a file has', { skip: process.env.JSONFLOW_QISKIT === undefined }, async (t) => {
  let count = 0;
  for await (const line of createInterface(createReadStream(process.env.JSONFLOW_QISKIT ?? ''))) {
    check(JSON.parse(line) as Entry);
    count += 1;
  }
  t.diagnostic(`${count} programs`);
});
