import assert from 'node:assert/strict';
import { test } from 'node:test';
import { circuitOfFile } from './quantum.ts';

const read = (value: unknown) => circuitOfFile('circuit.json', JSON.stringify(value));

test('a file of gates may state its qubits and registers', async () => {
  const gates = [{ type: 'Measure', qubit: 0, bits: [1] }];
  const circuit = await read({ qubits: 3, registers: [{ name: 'c', size: 2 }], gates });
  assert.deepEqual([circuit.qubits, circuit.registers], [3, [{ name: 'c', size: 2 }]]);
  assert.equal((await read(gates)).qubits, 1);
});

test('a file that is no circuit is refused, before it takes memory', async () => {
  const cases: [unknown, RegExp][] = [
    [{ foo: 1, gates: [] }, /no field "foo" here/],
    [{ circuit_type: 'ghz', qubits: 3 }, /no field "circuit_type" here/],
    [{}, /there are no gates/],
    ...[-3, 0, 2.5, 1e9, 'abc', null].map((qubits): [unknown, RegExp] => [
      { qubits, gates: [] },
      /params\.qubits must be a whole number from 1 to 4096/,
    ]),
    ...['x', {}, [null], [{ name: 5, size: 1 }]].map((registers): [unknown, RegExp] => [
      { registers, gates: [] },
      /params\.registers.* must (be a list|have a name)/,
    ]),
    [
      { registers: [{ name: 'c', size: 1e9 }], gates: [] },
      /registers\[0\]\.size must be a whole number from 1 to 4096/,
    ],
  ];
  for (const [value, message] of cases)
    await assert.rejects(read(value), { name: 'StepError', code: 'INVALID_PARAMS', message });
});
