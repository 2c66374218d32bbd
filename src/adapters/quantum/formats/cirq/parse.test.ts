import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { StepError } from '../../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../../lib/json.ts';
import { gateOn } from '../../circuit/circuit.ts';
import { gateNamed } from '../../circuit/gates.ts';
import { parseCirq } from './parse.ts';

const circuit = (...operations: JSONValue[]): JSONObject => ({
  cirq_type: 'Circuit',
  moments: [{ cirq_type: 'Moment', operations }],
});
const line = (x: number): JSONObject => ({ cirq_type: 'LineQubit', x });
const operation = (gate: JSONObject, ...qubits: JSONValue[]): JSONObject => ({
  cirq_type: 'GateOperation',
  gate,
  qubits,
});
const x: JSONObject = { cirq_type: 'XPowGate', exponent: 1, global_shift: 0 };
const measure = (key: string, size: number, others: JSONObject = {}): JSONObject => ({
  cirq_type: 'MeasurementGate',
  num_qubits: size,
  key,
  invert_mask: [],
  ...others,
});
const controlled = (values: JSONValue, on: JSONValue[], sub: JSONValue): JSONObject => ({
  cirq_type: 'ControlledOperation',
  controls: on,
  control_values: values,
  sub_operation: sub,
});

test('qubits are numbered as Cirq sorts them, and registers have the first measured qubit as bit 0', () => {
  const named = (name: string): JSONObject => ({ cirq_type: 'NamedQubit', name });
  const grid: JSONObject = { cirq_type: 'GridQubit', row: 7, col: 0 };
  const all = [named('a10'), named('a2'), line(3), grid];
  const { qubits, operations, registers } = parseCirq(circuit(operation(measure('m', 4), ...all)));
  assert.equal(qubits, 4);
  assert.deepEqual(registers, [{ name: 'm', size: 4 }]);
  assert.deepEqual(
    operations,
    [3, 2, 1, 0].map((qubit, bit) => ({ kind: 'measure', qubit, bit })),
  );
});

test('a measured bit is inverted by flips around its measurement, and keys are compared from their first qubit down', () => {
  const inverted = operation(measure('m', 2, { invert_mask: [false, true] }), line(0), line(1));
  const condition: JSONObject = {
    cirq_type: 'SympyCondition',
    expr: {
      cirq_type: 'sympy.Equality',
      args: [
        { cirq_type: 'sympy.Symbol', name: 'm' },
        { cirq_type: 'sympy.Integer', i: 2 },
      ],
    },
  };
  const when: JSONObject = {
    cirq_type: 'ClassicallyControlledOperation',
    conditions: [condition],
    sub_operation: operation(x, line(0)),
  };
  const flip = gateOn(gateNamed('x'), [1]);
  assert.deepEqual(parseCirq(circuit(inverted, when)).operations, [
    { kind: 'measure', qubit: 0, bit: 0 },
    flip,
    { kind: 'measure', qubit: 1, bit: 1 },
    flip,
    {
      kind: 'branch',
      condition: {
        kind: 'binary',
        operator: '==',
        left: { kind: 'bits', bits: [1, 0] },
        right: { kind: 'integer', value: 2n },
      },
      body: [gateOn(gateNamed('x'), [0])],
      otherwise: [],
    },
  ]);
});

const when = (index: number, name = 'm'): JSONObject => ({
  cirq_type: 'ClassicallyControlledOperation',
  conditions: [{ cirq_type: 'KeyCondition', key: { cirq_type: 'MeasurementKey', name, path: [] }, index }],
  sub_operation: operation(x, line(0)),
});

test('a key that is measured again keeps every measurement, and conditions say which they mean', () => {
  const again = operation(measure('m', 2), line(0), line(1));
  const { registers, operations } = parseCirq(
    circuit(again, operation(measure('n', 1), line(0)), when(-1), again, when(-1), when(0), when(-2)),
  );
  assert.deepEqual(registers, [
    { name: 'm', size: 4 },
    { name: 'n', size: 1 },
  ]);
  const measured = operations.flatMap((one) => (one.kind === 'measure' ? [one.bit] : []));
  assert.deepEqual(measured, [0, 1, 4, 2, 3]);
  const read = operations.flatMap((one) =>
    one.kind === 'branch' && one.condition.kind === 'binary' ? [one.condition.left] : [],
  );
  assert.deepEqual(
    read,
    [
      [1, 0],
      [3, 2],
      [1, 0],
      [1, 0],
    ].map((bits) => ({ kind: 'bits', bits })),
  );
});

const symbol: JSONObject = { cirq_type: 'sympy.Symbol', name: 'theta' };
const rotated = circuit(operation({ cirq_type: 'Rx', rads: symbol }, line(0)));

test('parameters are bound by name', () => {
  assert.deepEqual(parseCirq(rotated, { parameters: { theta: 0.5 } }).operations, [gateOn(gateNamed('rx', 0.5), [0])]);
  assert.throws(() => parseCirq(rotated), {
    code: 'INVALID_PARAMS',
    message: /moments\[0\]\.operations\[0\]\.gate\.rads has the parameter theta, .*parameters\.theta/,
  });
  assert.throws(() => parseCirq(rotated, { parameters: { theta: 1, thta: 1 } }), { message: /did you mean theta/ });
});

const deep = (levels: number): JSONObject =>
  levels === 0 ? operation(x, line(0)) : { cirq_type: 'TaggedOperation', sub_operation: deep(levels - 1), tags: [] };
const wide = (levels: number): JSONObject =>
  levels === 0
    ? operation(x, line(0))
    : controlled(
        {
          cirq_type: 'SumOfProducts',
          data: Array.from({ length: 32 }, (_, row) => [...row.toString(2).padStart(5, '0')].map(Number)),
        },
        [1, 2, 3, 4, 5].map((at) => line(10 * levels + at)),
        wide(levels - 1),
      );

const refusals: [code: string, message: RegExp, json: JSONValue][] = [
  ['INVALID_PARAMS', /no JSON/, '{'],
  ['INVALID_PARAMS', /"cirq_type": "Circuit"/, { gates: [] }],
  ['INVALID_PARAMS', /no qubits/, circuit()],
  ['INVALID_PARAMS', /the circuit has no moments/, { cirq_type: 'Circuit' }],
  ['INVALID_PARAMS', /moments\[0\]\.operations\[0\] must be an operation/, circuit(1)],
  [
    'INVALID_PARAMS',
    /same qubit twice/,
    circuit(operation({ cirq_type: 'SwapPowGate', exponent: 1 }, line(0), line(0))),
  ],
  ['INVALID_PARAMS', /same qubit twice/, circuit(controlled([[1]], [line(0)], operation(x, line(0))))],
  ['INVALID_PARAMS', /acts on 1 qubits, not 2/, circuit(operation(x, line(0), line(1)))],
  [
    'INVALID_PARAMS',
    /not unitary/,
    circuit(
      operation(
        {
          cirq_type: 'MatrixGate',
          matrix: [
            [1, 0],
            [1, 1],
          ],
        },
        line(0),
      ),
    ),
  ],
  ['INVALID_PARAMS', /2 rows of 2/, circuit(operation({ cirq_type: 'MatrixGate', matrix: [[1, 0]] }, line(0)))],
  ['INVALID_PARAMS', /0 or 1/, circuit(controlled([[2]], [line(1)], operation(x, line(0))))],
  [
    'INVALID_PARAMS',
    /a value for each of the 1 controls/,
    circuit(controlled([[1], [1]], [line(1)], operation(x, line(0)))),
  ],
  [
    'INVALID_PARAMS',
    /was 2 before|were 2 before/,
    circuit(operation(measure('m', 2), line(0), line(1)), operation(measure('m', 1), line(0))),
  ],
  ['INVALID_PARAMS', /needs the measurement "m"/, circuit(when(-1))],
  [
    'INVALID_PARAMS',
    /needs measurement 1 of "m", of which 1 were made/,
    circuit(operation(measure('m', 1), line(0)), when(1)),
  ],
  ['INVALID_PARAMS', /needs measurement -2 of "m"/, circuit(operation(measure('m', 1), line(0)), when(-2))],
  ['INVALID_PARAMS', /nested/, circuit(deep(100))],
  ['UNSUPPORTED_GATE', /gate is a "MyGate"/, circuit(operation({ cirq_type: 'MyGate' }, line(0)))],
  ['UNSUPPORTED_GATE', /toString/, circuit(operation({ cirq_type: 'toString' }, line(0)))],
  ['UNSUPPORTED_GATE', /params\.noise/, circuit(operation({ cirq_type: 'DepolarizingChannel', p: 0.1 }, line(0)))],
  [
    'UNSUPPORTED_GATE',
    /is a CircuitOperation.*unroll/,
    circuit({ cirq_type: 'CircuitOperation' }, operation(x, line(0))),
  ],
  ['UNSUPPORTED_GATE', /is a LineQid/, circuit(operation(x, { cirq_type: 'LineQid', x: 0, dimension: 3 }))],
  ['CIRCUIT_TOO_LARGE', /controlled operation/, circuit(wide(6))],
];
for (const [code, message, json] of refusals)
  test(`refused, ${code}: ${message.source}`, () => {
    assert.throws(() => parseCirq(json), { name: 'StepError', code, message });
  });

const entries = JSON.parse(
  readFileSync(new URL('../../../../../test/vectors/quantum/cirq.json', import.meta.url), 'utf8'),
) as { cirq?: JSONObject }[];
const texts = entries.flatMap(({ cirq }) => (cirq === undefined ? [] : [JSON.stringify(cirq)]));
const runs = process.env.JSONFLOW_LONG === '1' ? 50_000 : 400;

test('whatever value is put in place of another, the JSON is read or refused, never a crash', () => {
  const others = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom('XPowGate', 'sympy.Symbol', 'Circuit', 'MatrixGate', -1, 1e300),
  );
  fc.assert(
    fc.property(fc.constantFrom(...texts), fc.nat(), others, (text, place, other) => {
      let seen = 0;
      const count = [...text.matchAll(/[:[,]/g)].length;
      const changed: unknown = JSON.parse(text, (_, value: unknown) => {
        seen += 1;
        return seen === place % count ? other : value;
      });
      try {
        parseCirq(changed as JSONValue);
      } catch (thrown) {
        assert.ok(thrown instanceof StepError, thrown instanceof Error ? thrown.stack : String(thrown));
      }
    }),
    { numRuns: runs },
  );
});
