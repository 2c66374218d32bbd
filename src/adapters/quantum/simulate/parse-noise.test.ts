import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StepError } from '../../../lib/errors.ts';
import type { JSONValue } from '../../../lib/json.ts';
import { adjoint, combine, identity, multiply } from '../circuit/complex.ts';
import { parseNoiseModel } from './parse-noise.ts';

const root = Math.SQRT1_2;

const channels: readonly JSONValue[] = [
  { channel: 'depolarizing', probability: 0.01, gates: ['cx', 'CNOT', 'ccx'] },
  { channel: 'amplitude_damping', gamma: 0.1, excited_population: 0.2, gate_qubits: 1 },
  { channel: 'phase_damping', lambda: 0.3, qubits: [0, 2] },
  { channel: 'bit_flip', probability: 1, after: 'reset' },
  { channel: 'pauli', probabilities: { I: 0.5, X: 0.25, Z: 0.25 }, after: 'measure' },
  { channel: 'pauli', probabilities: { XX: 0.25, IZ: 0.25 } },
  { channel: 'thermal_relaxation', t1: 50, t2: 70, time: 1, gates: 'H' },
  {
    channel: 'kraus',
    operators: [
      [
        [root, 0],
        [0, root],
      ],
      [
        [0, [0, -root]],
        [[0, root], 0],
      ],
    ],
  },
];

test('all channels are read; operators keep probability', () => {
  const { rules } = parseNoiseModel({ channels: [...channels] });
  assert.deepEqual(rules[0]?.gates, ['cx', 'cx', 'ccx']);
  assert.deepEqual(rules[6]?.gates, ['h']);
  assert.equal(rules[1]?.gateQubits, 1);
  assert.deepEqual(rules[4]?.channel, {
    kind: 'pauli',
    qubits: 1,
    terms: [
      { letters: 'X', probability: 0.25 },
      { letters: 'Z', probability: 0.25 },
    ],
  });
  for (const { channel } of rules) {
    if (channel.kind !== 'kraus') continue;
    const sum = channel.operators
      .map((operator) => multiply(adjoint(operator), operator))
      .reduce((left, right) => combine([1, 0], left, [1, 0], right));
    for (const [at, entry] of sum.data.entries()) assert.ok(Math.abs(entry - (identity(2).data[at] ?? 0)) < 1e-12);
  }
});

test('readout errors: one for all, or a list of which the last counts', () => {
  assert.deepEqual(parseNoiseModel({ readout: { probability: 0.1 } }).readout, [
    { oneGivenZero: 0.1, zeroGivenOne: 0.1 },
  ]);
  assert.deepEqual(
    parseNoiseModel({
      readout: [
        { one_given_zero: 0.1, zero_given_one: 0 },
        { probability: 0, qubits: [1] },
      ],
    }).readout,
    [
      { oneGivenZero: 0.1, zeroGivenOne: 0 },
      { oneGivenZero: 0, zeroGivenOne: 0, qubits: [1] },
    ],
  );
});

const one = (channel: JSONValue): JSONValue => ({ channels: [channel] });

for (const [json, message] of [
  [[], /^noise must be an object/],
  [{ chanels: [] }, /^noise\.chanels .*did you mean channels/],
  [{ channels: {} }, /^noise\.channels must be a list/],
  [one({ channel: 'depolarising', probability: 0.1 }), /^noise\.channels\[0\]\.channel .*did you mean depolarizing/],
  [one({ channel: 'toString' }), /^noise\.channels\[0\]\.channel is no channel/],
  [one({ channel: 'bit_flip' }), /^noise\.channels\[0\]\.probability is missing/],
  [one({ channel: 'bit_flip', probability: 1.5 }), /^noise\.channels\[0\]\.probability is 1\.5/],
  [one({ channel: 'bit_flip', probability: '0.1' }), /^noise\.channels\[0\]\.probability must be a number/],
  [one({ channel: 'bit_flip', probability: 0, gamma: 0 }), /^noise\.channels\[0\]\.gamma is no field/],
  [one({ channel: 'bit_flip', probability: 0, gates: ['hh'] }), /^noise\.channels\[0\]\.gates\[0\] is no gate/],
  [one({ channel: 'bit_flip', probability: 0, gates: 'mcx' }), /^noise\.channels\[0\]\.gates is mcx/],
  [one({ channel: 'bit_flip', probability: 0, gate_qubits: 0 }), /^noise\.channels\[0\]\.gate_qubits/],
  [one({ channel: 'bit_flip', probability: 0, after: 'idle' }), /^noise\.channels\[0\]\.after must be/],
  [one({ channel: 'bit_flip', probability: 0, after: 'reset', gates: ['h'] }), /^noise\.channels\[0\]\.after is reset/],
  [one({ channel: 'bit_flip', probability: 0, qubits: [-1] }), /^noise\.channels\[0\]\.qubits\[0\]/],
  [one({ channel: 'pauli', probabilities: { X: 0.6, Y: 0.6 } }), /^noise\.channels\[0\]\.probabilities sum up to 1\.2/],
  [one({ channel: 'pauli', probabilities: { X: 0.1, XY: 0.1 } }), /^noise\.channels\[0\]\.probabilities must name/],
  [
    one({ channel: 'pauli', probabilities: { I: 0.1, X: 0.1 } }),
    /^noise\.channels\[0\]\.probabilities name the identity/,
  ],
  [one({ channel: 'pauli', probabilities: { W: 0.1 } }), /^noise\.channels\[0\]\.probabilities\.W/],
  [one({ channel: 'pauli', probabilities: {} }), /^noise\.channels\[0\]\.probabilities must name/],
  [one({ channel: 'pauli', probabilities: { XX: 0.1 }, after: 'reset' }), /^noise\.channels\[0\] acts on two qubits/],
  [one({ channel: 'thermal_relaxation', t1: 1, t2: 3, time: 1 }), /^noise\.channels\[0\]\.t2 is 3/],
  [
    one({
      channel: 'kraus',
      operators: [
        [
          [1, 0],
          [0, 0.5],
        ],
      ],
    }),
    /^noise\.channels\[0\]\.operators must keep probability.*0\.75/,
  ],
  [one({ channel: 'kraus', operators: [[[1, 0], [0]]] }), /^noise\.channels\[0\]\.operators\[0\] must be a matrix/],
  [
    one({
      channel: 'kraus',
      operators: [
        [
          [1, 0],
          [0, 'i'],
        ],
      ],
    }),
    /^noise\.channels\[0\]\.operators\[0\]\[1\]\[1\]/,
  ],
  [one({ channel: 'kraus', operators: [] }), /^noise\.channels\[0\]\.operators must be a list/],
  [{ readout: { one_given_zero: 0.1 } }, /^noise\.readout\.zero_given_one is missing/],
  [{ readout: [{ probability: 2 }] }, /^noise\.readout\[0\]\.probability is 2/],
  [{ channels: Array.from({ length: 300 }, () => channels[0] ?? null) }, /^noise\.channels has 300 entries/],
] as const satisfies readonly (readonly [JSONValue, RegExp])[])
  test(`refused: ${JSON.stringify(json).slice(0, 100)}`, () => {
    assert.throws(
      () => parseNoiseModel(json as JSONValue),
      (error) => error instanceof StepError && error.code === 'INVALID_PARAMS' && message.test(error.message),
    );
  });
