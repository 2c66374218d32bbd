import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { randomCircuit } from '../../../../../test/compliance/quantum-circuits.ts';
import { assertSameAction, assertSameState } from '../../../../../test/support/quantum-vectors.ts';
import { type Circuit, type Expression, gateOn, type Operation } from '../../circuit/circuit.ts';
import { gateNamed, gateNames, shapeOf } from '../../circuit/gates.ts';
import { createRandom } from '../../simulate/random.ts';
import { ReferenceState } from '../../simulate/reference-state.ts';
import { parseQasm } from './parse.ts';
import { toQasm2, toQasm3 } from './write.ts';

const circuitOf = (
  qubits: number,
  operations: readonly Operation[],
  registers: Circuit['registers'] = [],
): Circuit => ({
  qubits,
  registers,
  operations,
});
const isWritable = ({ kind, ...operation }: Operation): boolean =>
  kind === 'gate' && 'gate' in operation && (operation.gate.name !== 'unitary' || operation.targets.length === 1);
const runs = process.env.JSONFLOW_LONG === '1' ? 3000 : 150;

test('every circuit of gates acts the same once it was written as OpenQASM 3 and read again, phases under controls included', () => {
  fc.assert(
    fc.property(fc.string(), (seed) => {
      const operations = randomCircuit(createRandom(seed), 5, 'all', 30).filter(isWritable);
      const text = toQasm3(circuitOf(5, operations));
      assertSameAction(parseQasm(text), circuitOf(5, operations), text);
    }),
    { numRuns: runs },
  );
});

test('so does every gate of the table, plain and with a control, as OpenQASM 2', () => {
  for (const name of gateNames) {
    const gate = gateNamed(name, ...shapeOf(name).params.map((_, at) => 0.3 + at));
    const targets = Array.from({ length: shapeOf(name).targets }, (_, at) => at);
    const circuit = circuitOf(3, [gateOn(gate, targets)]);
    assertSameAction(parseQasm(toQasm2(circuit)), circuit, name);
    if (targets.length > 1 && name !== 'swap') continue;
    for (const value of [0, 1] as const) {
      const withControl = circuitOf(3, [gateOn(gate, targets, [{ qubit: 2, value }])]);
      assertSameAction(parseQasm(toQasm2(withControl)), withControl, `${name}, control ${value}`);
    }
  }
});

test('version 2 has names for some gates with more controls, and says what it can not say', () => {
  const controls = [0, 1, 2, 3].map((qubit) => ({ qubit, value: 1 as const }));
  for (const [name, count] of [
    ['x', 4],
    ['x', 3],
    ['sx', 3],
    ['z', 2],
    ['t', 2],
  ] as const) {
    const circuit = circuitOf(5, [gateOn(gateNamed(name), [4], controls.slice(0, count))]);
    assertSameAction(parseQasm(toQasm2(circuit)), circuit, `${name} ${count}`);
  }
  const refused: [RegExp, Operation][] = [
    [/y with 2 controls/, gateOn(gateNamed('y'), [4], controls.slice(0, 2))],
    [/loops/, { kind: 'loop', condition: { kind: 'bits', bits: [0] }, body: [] }],
    [
      /else/,
      { kind: 'branch', condition: { kind: 'bits', bits: [0] }, body: [], otherwise: [{ kind: 'reset', qubit: 0 }] },
    ],
    [/whole register/, { kind: 'branch', condition: { kind: 'bits', bits: [0] }, body: [], otherwise: [] }],
  ];
  for (const [message, operation] of refused)
    assert.throws(() => toQasm2(circuitOf(5, [operation], [{ name: 'c', size: 2 }])), {
      code: 'UNSUPPORTED_GATE',
      message,
    });
});

const equals = (bits: readonly number[], value: bigint): Expression => ({
  kind: 'binary',
  operator: '==',
  left: { kind: 'bits', bits },
  right: { kind: 'integer', value },
});

test('measurement, reset, barriers and conditions come back as they were', () => {
  const operations: Operation[] = [
    gateOn(gateNamed('h'), [0]),
    { kind: 'measure', qubit: 0, bit: 1 },
    { kind: 'branch', condition: equals([0, 1], 2n), body: [gateOn(gateNamed('x'), [1])], otherwise: [] },
    { kind: 'barrier', qubits: [0, 1] },
    { kind: 'reset', qubit: 1 },
    { kind: 'measure', qubit: 1, bit: 2 },
  ];
  const circuit = circuitOf(2, operations, [
    { name: 'a', size: 2 },
    { name: 'b', size: 1 },
  ]);
  assert.deepEqual(parseQasm(toQasm2(circuit)), circuit);
  assert.deepEqual(parseQasm(toQasm3(circuit)), circuit);
  const more: Operation[] = [
    {
      kind: 'branch',
      condition: {
        kind: 'binary',
        operator: '&&',
        left: { kind: 'not', of: { kind: 'bits', bits: [2] } },
        right: equals([1, 2], 1n),
      },
      body: [{ kind: 'loop', condition: { kind: 'bits', bits: [0] }, body: [{ kind: 'measure', qubit: 0, bit: 0 }] }],
      otherwise: [{ kind: 'reset', qubit: 0 }],
    },
  ];
  const other = { ...circuit, operations: more };
  assert.deepEqual(parseQasm(toQasm3(other)), other, toQasm3(other));
});

test('names that a program can not have are changed, others stay', () => {
  const registers = ['measure', 'Q', 'q', 'c', 'a b'].map((name) => ({ name, size: 1 }));
  for (const write of [toQasm2, toQasm3]) {
    const { registers: read } = parseQasm(write(circuitOf(1, [], registers)));
    assert.deepEqual(
      read.map(({ name }) => name),
      ['c', 'c_1', 'q', 'c_2', 'c_3'],
    );
  }
});

test('angles are fractions of pi where that is exact', () => {
  const angles = [Math.PI / 2, (-3 * Math.PI) / 4, 0.1, 1e-9, 0];
  const text = toQasm3(
    circuitOf(
      1,
      angles.map((angle) => gateOn(gateNamed('rx', angle), [0])),
    ),
  );
  assert.deepEqual(text.match(/(?<=rx\()[^)]*/g), ['pi/2', '-3*pi/4', '0.1', '1e-9', '0']);
});

test('no state is told apart by what was left out: a phase of the whole', () => {
  const circuit = circuitOf(1, [gateOn(gateNamed('h'), [0]), gateOn(gateNamed('gphase', 1), [])]);
  const state = new ReferenceState(1);
  state.apply(parseQasm(toQasm2(circuit)).operations.filter((operation) => operation.kind === 'gate'));
  assertSameState(state.amplitudes(), Float64Array.of(Math.SQRT1_2, 0, Math.SQRT1_2, 0));
});

test('a barrier over nothing is not written', () => {
  const circuit: Circuit = { qubits: 2, registers: [], operations: [{ kind: 'barrier', qubits: [] }] };
  for (const written of [toQasm2(circuit), toQasm3(circuit)]) {
    assert.doesNotMatch(written, /barrier/);
    assert.deepEqual(parseQasm(written).operations, []);
  }
});
