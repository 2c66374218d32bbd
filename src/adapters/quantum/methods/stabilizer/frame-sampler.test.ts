import assert from 'node:assert/strict';
import { test } from 'node:test';
import { integer, pick, randomCircuit, someOf } from '../../../../../test/compliance/quantum-circuits.ts';
import { assertDistributed } from '../../../../../test/compliance/quantum-state.ts';
import { evaluate, type GateOperation, gateOn } from '../../circuit/circuit.ts';
import { gateNamed, type NamedGate } from '../../circuit/gates.ts';
import { createRandom, type Random } from '../../simulate/random.ts';
import { ReferenceState } from '../../simulate/reference-state.ts';
import type { FrameCircuit, FrameOperation, PauliBranch } from './frame-program.ts';
import { FrameSampler } from './frame-sampler.ts';

const on = (name: NamedGate, qubits: number[], ...params: number[]) => gateOn(gateNamed(name, ...params), qubits);
const cx = (control: number, target: number) => gateOn(gateNamed('x'), [target], [{ qubit: control, value: 1 }]);
const measure = (qubit: number, bit: number) => ({ kind: 'measure' as const, qubit, bit });

test('random circuits with noise, measurements on the way and corrections are distributed as all that can happen', () => {
  const rounds = process.env.JSONFLOW_LONG === '1' ? 300 : 20;
  for (let round = 0; round < rounds; round += 1) {
    const random = createRandom(`frames ${round}`);
    const circuit = randomNoisyCircuit(random);
    const shots = 3_000;
    const counts = new FrameSampler(circuit).sample(shots, random);
    try {
      assertDistributed(counts, exactly(circuit), shots);
    } catch (cause) {
      throw new Error(`round ${round}: ${JSON.stringify(circuit)}`, { cause });
    }
  }
});

test('teleportation: what was put in comes out', () => {
  for (const gate of [on('x', [0]), on('h', [0]), on('sx', [0])]) {
    const undo = { h: on('h', [2]), sx: on('sxdg', [2]), x: on('x', [2]) }[gate.gate.name as 'h' | 'sx' | 'x'];
    const correction = (bit: number, name: 'x' | 'z'): PauliBranch => ({
      kind: 'branch',
      condition: { kind: 'bits', bits: [bit] },
      body: [on(name, [2])],
      otherwise: [],
    });
    const operations = [
      gate,
      on('h', [1]),
      cx(1, 2),
      cx(0, 1),
      on('h', [0]),
      measure(0, 0),
      measure(1, 1),
      correction(1, 'x'),
      correction(0, 'z'),
      undo,
      measure(2, 2),
    ];
    const counts = new FrameSampler({ qubits: 3, bits: 3, operations }).sample(2_000, createRandom('teleport'));
    assertDistributed(counts, { '000': 0.25, '001': 0.25, '010': 0.25, '011': 0.25 }, 2_000);
  }
});

test('of a repetition code over 501 qubits with 10 % errors, as many flips as the binomial distribution says', () => {
  const qubits = 501;
  const operations: FrameOperation[] = [
    on('x', [0]),
    ...Array.from({ length: qubits - 1 }, (_, qubit) => cx(qubit, qubit + 1)),
    ...Array.from({ length: qubits }, (_, qubit) => ({
      kind: 'pauli' as const,
      qubits: [qubit],
      terms: [{ letters: 'X', probability: 0.1 }],
    })),
    ...Array.from({ length: qubits }, (_, qubit) => measure(qubit, qubit)),
  ];
  const sampler = new FrameSampler({ qubits, bits: qubits, operations });
  const shots = 1_500;
  const counts = sampler.sample(shots, createRandom('code'));
  const flips = [...counts].reduce((sum, [text, count]) => sum + count * text.replaceAll('1', '').length, 0);
  const mean = flips / shots / qubits;
  assert.ok(Math.abs(mean - 0.1) < 5 * Math.sqrt((0.1 * 0.9) / shots / qubits), `${mean}`);
  assert.deepEqual(sampler.sample(shots, createRandom('code')), counts);
});

test('certain and impossible errors', () => {
  const noisy = (probability: number, misread: number) =>
    new FrameSampler({
      qubits: 1,
      bits: 1,
      operations: [
        { kind: 'pauli', qubits: [0], terms: [{ letters: 'X', probability }] },
        { ...measure(0, 0), misread: { oneGivenZero: misread, zeroGivenOne: 0 } },
      ],
    }).sample(50, createRandom('certain'));
  assert.deepEqual([...noisy(0, 0)], [['0', 50]]);
  assert.deepEqual([...noisy(1, 0)], [['1', 50]]);
  assert.deepEqual([...noisy(0, 1)], [['1', 50]]);
  assert.deepEqual([...noisy(1, 1)], [['1', 50]]);
});

test('a gate that is no Clifford gate is refused, and one that is no Pauli matrix in a branch', () => {
  const branch: PauliBranch = {
    kind: 'branch',
    condition: { kind: 'integer', value: 1n },
    body: [on('h', [0])],
    otherwise: [],
  };
  for (const operation of [on('t', [0]), branch])
    assert.throws(() => new FrameSampler({ qubits: 1, bits: 0, operations: [operation] }), {
      code: 'UNSUPPORTED_GATE',
    });
});

function randomNoisyCircuit(random: Random): FrameCircuit {
  const qubits = 1 + integer(random, 4);
  const bits = 1 + integer(random, 3);
  const pauli = (length: number): string => Array.from({ length }, () => pick(random, ['I', 'X', 'Y', 'Z'])).join('');
  const gates = (): GateOperation[] => randomCircuit(random, qubits, 'clifford', integer(random, 5));
  const others: (() => FrameOperation)[] = [
    () => {
      const misread = { oneGivenZero: random.next() / 2, zeroGivenOne: random.next() / 2 };
      const operation = measure(integer(random, qubits), integer(random, bits));
      return random.next() < 0.5 ? operation : { ...operation, misread };
    },
    () => ({ kind: 'reset', qubit: integer(random, qubits) }),
    () => {
      const on = someOf(random, qubits, 1 + integer(random, Math.min(2, qubits)));
      const terms = [0.3, 0.05, 0.2].map((probability) => ({ letters: pauli(on.length), probability }));
      return { kind: 'pauli', qubits: on, terms };
    },
    () => {
      const body = () => someOf(random, qubits, 1).map((qubit) => on(pick(random, ['x', 'y', 'z']), [qubit]));
      const condition = { kind: 'bits' as const, bits: someOf(random, bits, 1 + integer(random, bits)) };
      return { kind: 'branch', condition, body: body(), otherwise: body() };
    },
  ];
  const operations = Array.from({ length: 7 }, () => [...gates(), pick(random, others)()]).flat();
  return { qubits, bits, operations: [...operations, ...someOf(random, qubits, 1).map((qubit) => measure(qubit, 0))] };
}

/** The probability of each text of bits, by going all ways. */
function exactly({ qubits, bits, operations }: FrameCircuit): Record<string, number> {
  const found: Record<string, number> = {};
  const go = (state: ReferenceState, record: readonly (0 | 1)[], at: number, weight: number): void => {
    if (weight < 1e-12) return;
    const operation = operations[at];
    if (operation === undefined) {
      const text = record.toReversed().join('');
      found[text] = (found[text] ?? 0) + weight;
      return;
    }
    const next = (gates: readonly GateOperation[], share: number, bits = record, from = state): void => {
      const other = from.clone();
      other.apply(gates);
      go(other, bits, at + 1, weight * share);
    };
    const eachOutcome = (qubit: number, then: (bit: 0 | 1, share: number, left: ReferenceState) => void): void => {
      const one = state.probabilityOfOne(qubit);
      for (const bit of [0, 1] as const) {
        const share = bit === 1 ? one : 1 - one;
        if (share < 1e-9) continue;
        const left = state.clone();
        left.collapse(qubit, bit);
        then(bit, share, left);
      }
    };
    switch (operation.kind) {
      case 'gate':
        return next([operation], 1);
      case 'measure':
        return eachOutcome(operation.qubit, (bit, share, left) => {
          const { oneGivenZero = 0, zeroGivenOne = 0 } = operation.misread ?? {};
          const wrong = bit === 1 ? zeroGivenOne : oneGivenZero;
          next([], share * (1 - wrong), record.with(operation.bit, bit), left);
          next([], share * wrong, record.with(operation.bit, bit === 1 ? 0 : 1), left);
        });
      case 'reset':
        return eachOutcome(operation.qubit, (bit, share, left) => {
          next(bit === 1 ? [on('x', [operation.qubit])] : [], share, record, left);
        });
      case 'pauli': {
        const rest = operation.terms.reduce((left, { probability }) => left - probability, 1);
        next([], rest);
        for (const { letters, probability } of operation.terms)
          next(
            operation.qubits.flatMap((qubit, k) => {
              const letter = letters.at(-1 - k) ?? 'I';
              return letter === 'I' ? [] : [on(letter.toLowerCase() as NamedGate, [qubit])];
            }),
            probability,
          );
        return;
      }
      case 'branch': {
        const holds = evaluate(operation.condition, (bit) => record[bit] ?? 0) !== 0n;
        return next(holds ? operation.body : operation.otherwise, 1);
      }
    }
  };
  const none = Array.from({ length: bits }, () => 0 as const);
  go(new ReferenceState(qubits), none, 0, 1);
  return found;
}
