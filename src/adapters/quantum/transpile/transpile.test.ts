import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pick, randomCircuit, randomOperation } from '../../../../test/compliance/quantum-circuits.ts';
import { type Circuit, type GateOperation, gateOn, type Operation } from '../circuit/circuit.ts';
import { gateNamed, gateNames } from '../circuit/gates.ts';
import { ghz, qft } from '../circuit/library.ts';
import { createRandom, type Random } from '../simulate/random.ts';
import { ReferenceState } from '../simulate/reference-state.ts';
import type { Target } from './target.ts';
import { transpile } from './transpile.ts';

const line = (qubits: number, both: boolean): (readonly [number, number])[] =>
  Array.from({ length: qubits - 1 }, (_, at) => at).flatMap((at) =>
    both
      ? ([
          [at, at + 1],
          [at + 1, at],
        ] as const)
      : [at % 2 === 0 ? ([at, at + 1] as const) : ([at + 1, at] as const)],
  );

const tee = [
  [0, 1],
  [1, 2],
  [1, 3],
  [3, 4],
] as const;

const targets: Readonly<Record<string, Target>> = {
  'cx, anywhere': { basis: ['rz', 'sx', 'x', 'cx'], qubits: 5 },
  'cx on a line, one way': { basis: ['rz', 'sx', 'x', 'cx'], qubits: 5, coupling: line(5, false) },
  'cz on a line': { basis: ['cz', 'id', 'rz', 'sx', 'x'], qubits: 5, coupling: line(5, true) },
  'ecr on a tee, one way': { basis: ['ecr', 'id', 'rz', 'sx', 'x'], qubits: 5, coupling: tee },
  'rzz on a tee': { basis: ['rzz', 'rx', 'rz'], qubits: 5, coupling: tee, directed: false },
  'u and cz on a line': { basis: ['u', 'cz'], qubits: 5, coupling: line(5, false) },
  'many gates, anywhere': { basis: ['rx', 'ry', 'rz', 'h', 's', 't', 'sx', 'x', 'swap', 'cx'], qubits: 5 },
};

const gatesOf = (operations: readonly Operation[]): GateOperation[] =>
  operations.filter((operation) => operation.kind === 'gate');

const bare = (qubits: number, operations: readonly Operation[]): Circuit => ({ qubits, registers: [], operations });

/** Each gate is one of the basis, and on a pair that the device has. */
function checkNative({ basis, coupling, directed }: Target, operations: readonly Operation[]): void {
  const pairs = new Set(
    (coupling ?? []).flatMap(([a, b]) => (directed === false ? [`${a},${b}`, `${b},${a}`] : [`${a},${b}`])),
  );
  for (const { gate, targets: on, controls } of gatesOf(operations)) {
    const name = 'c'.repeat(controls.length) + gate.name;
    assert.ok(basis.includes(name), `${name} is not in the basis`);
    assert.ok(controls.every(({ value }) => value === 1));
    const qubits = [...controls.map(({ qubit }) => qubit), ...on];
    if (qubits.length === 2 && coupling !== undefined)
      assert.ok(pairs.has(qubits.join()), `${name} on ${qubits.join()}`);
  }
}

/** Amplitudes of a random state, at the places of the device. */
function start(random: Random, qubits: number, places: readonly number[], size: number): Float64Array {
  const vector = new Float64Array(2 * 2 ** size);
  let sum = 0;
  for (let index = 0; index < 2 ** qubits; index += 1)
    for (const part of [0, 1]) {
      const value = random.next() - 0.5;
      sum += value * value;
      vector[2 * spread(index, places) + part] = value;
    }
  return vector.map((value) => value / Math.sqrt(sum));
}

const spread = (index: number, places: readonly number[]): number =>
  places.reduce((so, place, qubit) => so + (Math.floor(index / 2 ** qubit) % 2) * 2 ** place, 0);

/** One random state tells two unitaries apart, but with probability 0. */
function checkSame(random: Random, qubits: number, operations: readonly GateOperation[], target: Target): void {
  const { circuit, layout } = transpile(bare(qubits, operations), target);
  checkNative(target, circuit.operations);
  const seed = `${random.next()}`;
  const plain = Array.from({ length: qubits }, (_, qubit) => qubit);
  const expected = new ReferenceState(qubits, start(createRandom(seed), qubits, plain, qubits));
  expected.apply(operations);
  const got = new ReferenceState(target.qubits, start(createRandom(seed), qubits, layout.initial, target.qubits));
  got.apply(gatesOf(circuit.operations));
  const [left, right] = [expected.amplitudes(), got.amplitudes()];
  let [re, im] = [0, 0];
  for (let index = 0; index < 2 ** qubits; index += 1) {
    const [aRe = 0, aIm = 0] = left.subarray(2 * index, 2 * index + 2);
    const to = 2 * spread(index, layout.final);
    const [bRe = 0, bIm = 0] = right.subarray(to, to + 2);
    re += aRe * bRe + aIm * bIm;
    im += aRe * bIm - aIm * bRe;
  }
  assert.ok(Math.abs(Math.hypot(re, im) - 1) < 1e-9, `they overlap by ${Math.hypot(re, im)}`);
}

for (const [name, target] of Object.entries(targets)) {
  test(`Each gate, with up to two controls, does the same on a device: ${name}`, () => {
    const random = createRandom(name);
    for (const gate of [...gateNames, 'unitary'] as const)
      for (let round = 0; round < 4; round += 1)
        checkSame(random, 5, [randomOperation(random, 5, 'all', gate)], target);
  });

  test(`Random circuits do the same on a device: ${name}`, () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 25 }),
        (seed, qubits, length) => {
          const random = createRandom(seed);
          const gates = pick(random, ['all', 'clifford'] as const);
          checkSame(random, qubits, randomCircuit(random, qubits, gates, length), target);
        },
      ),
      { numRuns: process.env.JSONFLOW_LONG === '1' ? 1000 : 12 },
    );
  });
}

test('Many controls take some dozens of gates, not exponentially many, and no further qubits', () => {
  const target: Target = { basis: ['rz', 'sx', 'x', 'cx'], qubits: 9 };
  const random = createRandom('controls');
  const most = { 2: 6, 3: 14, 4: 30, 5: 62, 6: 118, 7: 206, 8: 326 };
  for (const [controls, cx] of Object.entries(most)) {
    const on = Array.from({ length: Number(controls) }, (_, at) => ({ qubit: at + 1, value: 1 as const }));
    const operation = gateOn(gateNamed('x'), [0], on);
    checkSame(random, Number(controls) + 1, [operation], target);
    assert.equal(transpile(bare(9, [operation]), target).facts.gates.cx, cx);
  }
});

const lineOfFive = targets['cz on a line'] as Target;

test('Gates that undo each other leave nothing, whatever stands between them that they let pass', () => {
  const one = (name: 'h' | 't' | 's' | 'x', qubit: number): GateOperation => gateOn(gateNamed(name), [qubit]);
  const both = (gate: 'x' | 'z', control: number, target: number): GateOperation =>
    gateOn(gateNamed(gate), [target], [{ qubit: control, value: 1 }]);
  const cases: [GateOperation[], Record<string, number>][] = [
    [[both('x', 0, 1), both('x', 0, 1)], {}],
    [[both('x', 0, 1), one('t', 0), both('x', 0, 1)], { rz: 1 }],
    [[one('h', 1), both('z', 0, 1), one('s', 1), both('z', 1, 0), one('h', 1)], { sx: 1 }],
    [[both('x', 0, 1), one('x', 1), both('x', 0, 1)], { x: 1 }],
    [[one('h', 0), both('x', 0, 1), both('x', 1, 2), both('x', 1, 2), both('x', 0, 1), one('h', 0)], {}],
    [[gateOn(gateNamed('rzz', 0.4), [0, 1]), gateOn(gateNamed('rzz', -0.4), [1, 0])], {}],
  ];
  for (const [operations, gates] of cases)
    assert.deepEqual(transpile(bare(3, operations), lineOfFive).facts.gates, gates);
});

test('A circuit whose qubits fit on the device needs no swaps', () => {
  const { facts, layout } = transpile(ghz(5), lineOfFive);
  assert.equal(facts.swaps, 0);
  assert.equal(facts.gates.cz, 4);
  assert.deepEqual(layout.initial, layout.final);
  assert.ok(transpile(qft(5), lineOfFive).facts.swaps > 0);
});

test('Measurements, resets, barriers and branches stay, on the qubits where the circuit has its own', () => {
  const condition = { kind: 'bits', bits: [0] } as const;
  const flip = gateOn(gateNamed('x'), [3], [{ qubit: 0, value: 1 }]);
  const operations: Operation[] = [
    gateOn(gateNamed('h'), [0]),
    { kind: 'measure', qubit: 0, bit: 0 },
    { kind: 'barrier', qubits: [0, 3] },
    { kind: 'branch', condition, body: [flip], otherwise: [gateOn(gateNamed('swap'), [0, 3])] },
    {
      kind: 'loop',
      condition,
      body: [
        { kind: 'reset', qubit: 0 },
        { kind: 'measure', qubit: 0, bit: 0 },
      ],
    },
    gateOn(gateNamed('x'), [1], [{ qubit: 2, value: 1 }]),
    gateOn(gateNamed('x'), [3], [{ qubit: 1, value: 1 }]),
    gateOn(gateNamed('x'), [0], [{ qubit: 2, value: 1 }]),
  ];
  const circuit: Circuit = { qubits: 4, registers: [{ name: 'c', size: 1 }], operations };
  const { circuit: written, layout } = transpile(circuit, lineOfFive);
  assert.deepEqual(written.registers, circuit.registers);
  assert.deepEqual(
    written.operations.filter(({ kind }) => kind !== 'gate').map(({ kind }) => kind),
    ['measure', 'barrier', 'branch', 'loop'],
  );
  const branch = written.operations.find(({ kind }) => kind === 'branch');
  assert.ok(branch?.kind === 'branch');
  for (const body of [branch.body, branch.otherwise]) checkNative(lineOfFive, body);
  // Whichever body runs, the rest of the circuit finds its qubits at the same places.
  const random = createRandom('branches');
  for (const taken of ['body', 'otherwise'] as const) {
    const flat = (of: readonly Operation[]): GateOperation[] =>
      of.flatMap((one) => (one.kind === 'gate' ? [one] : one.kind === 'branch' ? gatesOf(one[taken]) : []));
    const state = start(random, 4, layout.initial, 5);
    const got = new ReferenceState(5, state);
    got.apply(flat(written.operations));
    const back = new ReferenceState(5, got.amplitudes());
    const undone = transpile(bare(4, flat(operations)), { ...lineOfFive, coupling: undefined }).circuit.operations;
    // The circuit itself at the first places; then both are compared at the last ones.
    const expected = new ReferenceState(5, state);
    expected.apply(
      gatesOf(undone).map((one) => ({
        ...one,
        targets: one.targets.map((qubit) => layout.initial[qubit] ?? 0),
        controls: one.controls.map(({ qubit, value }) => ({ qubit: layout.initial[qubit] ?? 0, value })),
      })),
    );
    let [re, im] = [0, 0];
    const [left, right] = [expected.amplitudes(), back.amplitudes()];
    for (let index = 0; index < 16; index += 1) {
      const [from, to] = [2 * spread(index, layout.initial), 2 * spread(index, layout.final)];
      const [aRe = 0, aIm = 0, bRe = 0, bIm = 0] = [left[from], left[from + 1], right[to], right[to + 1]];
      re += aRe * bRe + aIm * bIm;
      im += aRe * bIm - aIm * bRe;
    }
    assert.ok(Math.abs(Math.hypot(re, im) - 1) < 1e-9, taken);
  }
});

test('What a device can not do, and a device that can not be, are refused', () => {
  const some = (operations: readonly Operation[]): Circuit => ({
    ...bare(2, operations),
    registers: [{ name: 'c', size: 1 }],
  });
  const measure = { kind: 'measure', qubit: 0, bit: 0 } as const;
  const branch = { kind: 'branch', condition: { kind: 'bits', bits: [0] }, body: [], otherwise: [] } as const;
  const plain: Target = { basis: ['rz', 'sx', 'cx'], qubits: 2, branches: false, loops: false, midCircuit: false };
  const cases: [string, () => unknown][] = [
    ['CIRCUIT_TOO_LARGE', () => transpile(ghz(3), plain)],
    ['CIRCUIT_TOO_LARGE', () => transpile(ghz(3), { ...plain, qubits: 3, coupling: [[0, 1]] })],
    ['UNSUPPORTED_GATE', () => transpile(some([branch]), plain)],
    ['UNSUPPORTED_GATE', () => transpile(some([{ kind: 'loop', condition: branch.condition, body: [] }]), plain)],
    ['UNSUPPORTED_GATE', () => transpile(some([{ kind: 'reset', qubit: 0 }]), plain)],
    ['UNSUPPORTED_GATE', () => transpile(some([measure, gateOn(gateNamed('x'), [0])]), plain)],
    ['UNSUPPORTED_GATE', () => transpile(some([measure, measure]), plain)],
    ['INVALID_PARAMS', () => transpile(ghz(2), { ...plain, basis: ['rz', 'cx'] })],
    ['INVALID_PARAMS', () => transpile(ghz(2), { ...plain, basis: ['u'] })],
    ['INVALID_PARAMS', () => transpile(ghz(2), { ...plain, qubits: 0 })],
    ['INVALID_PARAMS', () => transpile(ghz(2), { ...plain, coupling: [[0, 2]] })],
  ];
  for (const [code, call] of cases) assert.throws(call, { code });
  transpile(some([gateOn(gateNamed('h'), [0]), measure]), plain);
});

test('The same circuit gives the same gates', () => {
  const again = (): unknown => transpile(qft(5), targets['ecr on a tee, one way'] as Target);
  assert.deepEqual(again(), again());
});
