// Circuits that Cirq wrote act as Cirq says that they do. test/vectors/quantum/make_cirq.py makes them.
import assert from 'node:assert/strict';
import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { parseCirq } from '../../../src/adapters/quantum/formats/cirq/parse.ts';
import { parseQasm } from '../../../src/adapters/quantum/formats/qasm/parse.ts';
import { ReferenceState } from '../../../src/adapters/quantum/simulate/reference-state.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { assertCounts, assertSameState } from '../../support/quantum-vectors.ts';

interface Entry {
  readonly name: string;
  readonly cirq?: JSONObject;
  readonly program?: string;
  readonly parameters?: Record<string, number>;
  readonly state?: readonly number[];
  readonly counts?: Record<string, number>;
}

const entries = JSON.parse(
  readFileSync(new URL('../../vectors/quantum/cirq.json', import.meta.url), 'utf8'),
) as Entry[];

function check({ name, cirq, program, parameters = {}, state, counts }: Entry): void {
  const circuit = cirq === undefined ? parseQasm(program ?? '') : parseCirq(cirq, { parameters });
  if (state !== undefined) {
    const own = new ReferenceState(circuit.qubits);
    own.apply(circuit.operations.filter((operation) => operation.kind === 'gate'));
    assertSameState(own.amplitudes(), Float64Array.from(state), name, 1e-8);
  }
  if (counts !== undefined) assertCounts(counts, circuit, name);
}

for (const entry of entries) test(`Cirq: ${entry.name}`, () => check(entry));

test('the text of the JSON is read as the JSON is', () => {
  const cirq = entries[0]?.cirq ?? {};
  assert.deepEqual(parseCirq(JSON.stringify(cirq)), parseCirq(cirq));
});

test('random circuits, as many as a file has', { skip: process.env.JSONFLOW_CIRQ === undefined }, async (t) => {
  let count = 0;
  for await (const line of createInterface(createReadStream(process.env.JSONFLOW_CIRQ ?? ''))) {
    check(JSON.parse(line) as Entry);
    count += 1;
  }
  t.diagnostic(`${count} circuits`);
});
