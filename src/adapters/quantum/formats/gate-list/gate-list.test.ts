import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { JSONValue } from '../../../../lib/json.ts';
import { type Circuit, type Expression, evaluate, gateOn, type Operation } from '../../circuit/circuit.ts';
import { gateNamed, gateNames, shapeOf } from '../../circuit/gates.ts';
import { listedGates } from './names.ts';
import { readGateList } from './read.ts';
import { writeGateList } from './write.ts';

const refused = (gates: JSONValue, message: RegExp): void => {
  assert.throws(() => readGateList(gates), { name: 'StepError', message });
};

test('the list of the documentation', () => {
  const circuit = readGateList([
    { type: 'H', qubit: 0 },
    { type: 'CNOT', control: 0, target: 1 },
    { type: 'Measure', qubits: [0, 1] },
  ]);
  assert.deepEqual(circuit, {
    qubits: 2,
    registers: [{ name: 'c', size: 2 }],
    operations: [
      gateOn(gateNamed('h'), [0]),
      gateOn(gateNamed('x'), [1], [{ qubit: 0, value: 1 }]),
      { kind: 'measure', qubit: 0, bit: 0 },
      { kind: 'measure', qubit: 1, bit: 1 },
    ],
  });
});

describe('a gate', () => {
  test('of one qubit acts on each of several', () => {
    assert.deepEqual(readGateList([{ type: 'h', qubits: [0, 2] }]).operations, [
      gateOn(gateNamed('h'), [0]),
      gateOn(gateNamed('h'), [2]),
    ]);
  });

  test('with controls may name them all in one list, first the controls', () => {
    const [toffoli] = readGateList([{ type: 'CCX', qubits: [2, 0, 1] }]).operations;
    const stated = readGateList([{ type: 'X', controls: [2, 0], target: 1 }]).operations[0];
    assert.deepEqual(toffoli, stated);
    const many = readGateList([{ type: 'MCX', qubits: [0, 1, 2, 3, 4] }]).operations[0];
    assert.deepEqual(many, readGateList([{ type: 'C4X', controls: [0, 1, 2, 3], target: 4 }]).operations[0]);
  });

  test('has its angles by name, as params, or as the angle', () => {
    const expected = [gateOn(gateNamed('rx', 0.5), [0])];
    for (const angle of [{ theta: 0.5 }, { params: [0.5] }, { params: 0.5 }, { angle: 0.5 }])
      assert.deepEqual(readGateList([{ type: 'RX', qubit: 0, ...angle }]).operations, expected);
  });

  test('may be inverse, a power, and depend on bits', () => {
    const [root, conditional] = readGateList([
      { type: 'S', qubit: 0, inverse: true },
      { type: 'X', qubit: 0, condition: { bit: 0, equals: 1 } },
    ]).operations;
    assert.deepEqual(root, gateOn(gateNamed('sdg'), [0]));
    assert.equal(conditional?.kind, 'branch');
    assert.deepEqual(readGateList([{ type: 'RZ', qubit: 0, theta: 1, power: 0.25 }]).operations, [
      gateOn(gateNamed('rz', 0.25), [0]),
    ]);
  });
});

test('every name of a gate is read', () => {
  for (const [type, { gate, controls, params }] of listedGates) {
    const names = params?.names ?? shapeOf(gate).params;
    const count = controls + shapeOf(gate).targets;
    const entry = {
      type,
      ...(count === 0 ? {} : { qubits: Array.from({ length: count }, (_, at) => at) }),
      params: names.map((_, at) => at + 0.5),
    };
    const [operation] = readGateList([entry]).operations;
    assert.equal(operation?.kind === 'gate' && operation.gate.name, gate, type);
    assert.equal(operation?.kind === 'gate' && operation.controls.length, controls, type);
  }
});

describe('measurements', () => {
  test('without bits take the place of their qubit among those measured', () => {
    const { registers, operations } = readGateList([
      { type: 'Measure', qubit: 5 },
      { type: 'Measure', qubit: 2 },
    ]);
    assert.deepEqual(registers, [{ name: 'c', size: 2 }]);
    assert.deepEqual(operations, [
      { kind: 'measure', qubit: 5, bit: 1 },
      { kind: 'measure', qubit: 2, bit: 0 },
    ]);
  });

  test('with and without bits do not mix', () => {
    refused(
      [
        { type: 'Measure', qubit: 0 },
        { type: 'Measure', qubit: 1, bit: 3 },
      ],
      /state all/,
    );
  });
});

test('mistakes name their place and what is meant', () => {
  const cases: [JSONValue, RegExp][] = [
    [{}, /^gates must be a list/],
    [[{ qubit: 0 }], /^gates\[0\] has no type/],
    [[{ type: 'Hadamrd', qubit: 0 }], /gates\[0\]\.type: there is no gate "Hadamrd"; did you mean HADAMARD\?/],
    [[{ type: 'H' }], /gates\[0\] names no qubit/],
    [[{ type: 'H', qubit: -1 }], /gates\[0\]\.qubit must be a whole number from 0/],
    [[{ type: 'H', qubits: [0, '1'] }], /gates\[0\]\.qubits\[1\] must be a whole number/],
    [[{ type: 'H', qubit: 5000 }], /gates\[0\]\.qubit names qubit 5000/],
    [[{ type: 'H', qubit: 0, angel: 1 }], /gates\[0\]\.angel is no field of a H/],
    [[{ type: 'RX', qubit: 0 }], /gates\[0\] needs theta in radians/],
    [[{ type: 'RX', qubit: 0, theta: 'x' }], /gates\[0\]\.theta must be a number/],
    [[{ type: 'CNOT', target: 1 }], /is a CNOT, which has 1 control/],
    [[{ type: 'CNOT', control: 1, target: 1 }], /has the same qubit twice: 1, 1/],
    [[{ type: 'SWAP', qubits: [0] }], /acts on 2 qubits, not 1/],
    [
      [
        {
          type: 'Unitary',
          qubit: 0,
          matrix: [
            [1, 0],
            [1, 1],
          ],
        },
      ],
      /matrix is not unitary/,
    ],
    [[{ type: 'Unitary', qubit: 0, matrix: [[1, 0, 0]] }], /must be a matrix of 2, 4/],
    [[{ type: 'X', qubit: 0, condition: { bit: 0, equals: -1 } }], /condition\.equals must be/],
    [[{ type: 'X', qubit: 0, condition: { register: 'd' } }], /condition\.register is no register/],
    [[{ type: 'DCX', qubits: [0, 1], power: 0.5 }], /power can't be 0\.5/],
    [[{ type: 'X', qubit: 0, qubits: [1] }], /has both qubit and qubits/],
  ];
  for (const [gates, message] of cases) refused(gates, message);
  assert.throws(() => readGateList([{ type: 'H', qubit: 4 }], { qubits: 2 }), /names qubit 4, but there are 2: 0 to 1/);
});

test('what is written is read again as it was', () => {
  const operation: fc.Arbitrary<Operation> = fc.constantFrom(...gateNames).chain((name) => {
    const { targets, params } = shapeOf(name);
    return fc
      .record({
        angles: fc.array(fc.double({ min: -9, max: 9, noNaN: true }), {
          minLength: params.length,
          maxLength: params.length,
        }),
        qubits: fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: targets + 2, maxLength: targets + 2 }),
        controls: fc.array(fc.constantFrom<0 | 1>(0, 1), { maxLength: 2 }),
      })
      .map(({ angles, qubits, controls }) =>
        gateOn(
          gateNamed(name, ...angles.map((angle) => angle + 0)),
          qubits.slice(0, targets),
          controls.map((value, at) => ({ qubit: qubits[targets + at] ?? 0, value })),
        ),
      );
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 8 }), (gates) => {
      const branch: Operation = {
        kind: 'branch',
        condition: {
          kind: 'binary',
          operator: '==',
          left: { kind: 'bits', bits: [0, 1] },
          right: { kind: 'integer', value: 2n },
        },
        body: gates,
        otherwise: [{ kind: 'reset', qubit: 1 }],
      };
      const circuit: Circuit = {
        qubits: 6,
        registers: [{ name: 'a', size: 2 }],
        operations: [...gates, { kind: 'measure', qubit: 3, bit: 1 }, { kind: 'barrier', qubits: [0, 1] }, branch],
      };
      const written = writeGateList(circuit);
      const read = readGateList(JSON.parse(JSON.stringify(written.gates)), { qubits: 6, registers: circuit.registers });
      assert.deepEqual(JSON.parse(JSON.stringify(writeGateList(read))), JSON.parse(JSON.stringify(written)));
      assert.deepEqual(read.operations.length, circuit.operations.length);
    }),
  );
});

describe('a condition', () => {
  const branch = (condition: Expression): Circuit => ({
    qubits: 1,
    registers: [{ name: 'c', size: 2 }],
    operations: [
      { kind: 'branch', condition, body: [gateOn(gateNamed('x'), [0])], otherwise: [gateOn(gateNamed('z'), [0])] },
    ],
  });
  /** Names of the gates that are done where the bits are those of `value`. */
  const done = ({ operations }: Circuit, value: number): string[] =>
    operations.flatMap((operation) => {
      if (operation.kind !== 'branch') return [];
      const holds = evaluate(operation.condition, (bit) => (value & (1 << bit) ? 1 : 0)) !== 0n;
      return (holds ? operation.body : operation.otherwise).flatMap((one) =>
        one.kind === 'gate' ? one.gate.name : [],
      );
    });

  test('is written so that it holds for the same bits', () => {
    const bits: Expression = { kind: 'bits', bits: [0, 1] };
    const compared = (operator: '==' | '!=', value: bigint): Expression => ({
      kind: 'binary',
      operator,
      left: bits,
      right: { kind: 'integer', value },
    });
    for (const condition of [
      bits,
      { kind: 'bits', bits: [1] } as const,
      { kind: 'not', of: bits } as const,
      compared('==', 2n),
      compared('!=', 2n),
      { kind: 'not', of: compared('!=', 0n) } as const,
    ]) {
      const circuit = branch(condition);
      const { gates = null } = writeGateList(circuit);
      const again = readGateList(gates, { registers: circuit.registers });
      for (let value = 0; value < 4; value += 1) assert.deepEqual(done(again, value), done(circuit, value));
    }
  });
});

test('a param that is no finite number is refused', () => {
  refused([{ type: 'RX', qubit: 0, params: [Number.POSITIVE_INFINITY] }], /needs theta in radians/);
});
