import assert from 'node:assert/strict';
import { test } from 'node:test';
import { integer, randomCircuit, someOf } from '../../../../test/compliance/quantum-circuits.ts';
import { deviation, goAllWays, randomDynamicCircuit } from '../../../../test/compliance/quantum-oracle.ts';
import { joined, requestOf } from '../../../../test/support/quantum-request.ts';
import { type Circuit, type GateOperation, gateOn, type Operation } from '../circuit/circuit.ts';
import { gateNamed } from '../circuit/gates.ts';
import type { PauliSum } from '../circuit/pauli.ts';
import { lightCone } from './light-cone.ts';
import { partsOf } from './parts.ts';
import { planOf } from './plan.ts';
import { programOf, reachOf } from './program.ts';
import { createRandom, type Random } from './random.ts';
import type { Outcome, SimulationRequest } from './request.ts';
import { simulate } from './simulate.ts';

const rounds = process.env.JSONFLOW_LONG === '1' ? 600 : 20;
const range = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

const run = (circuit: Circuit, others: Partial<SimulationRequest> = {}): Outcome =>
  simulate(requestOf(circuit, others), { progress: () => undefined });

/** Two circuits side by side on qubits and bits that are dealt at random, their operations mixed in order. */
function interleaved(random: Random, left: Circuit, right: Circuit): Circuit {
  const qubits = someOf(random, left.qubits + right.qubits, left.qubits + right.qubits);
  const sizes = [left, right].map(({ registers }) => registers.reduce((sum, { size }) => sum + size, 0));
  const bits = someOf(random, (sizes[0] ?? 0) + (sizes[1] ?? 0), (sizes[0] ?? 0) + (sizes[1] ?? 0));
  const queues = [
    moved(
      left.operations,
      (qubit) => qubits[qubit] ?? 0,
      (bit) => bits[bit] ?? 0,
    ),
    moved(
      right.operations,
      (qubit) => qubits[left.qubits + qubit] ?? 0,
      (bit) => bits[(sizes[0] ?? 0) + bit] ?? 0,
    ),
  ];
  const operations: Operation[] = [];
  while (queues.some((queue) => queue.length > 0)) {
    const next = (queues[random.next() < 0.5 ? 0 : 1] ?? []).shift();
    if (next !== undefined) operations.push(next);
  }
  return { qubits: qubits.length, registers: [{ name: 'c', size: bits.length }], operations };
}

function moved(
  operations: readonly Operation[],
  qubitAt: (qubit: number) => number,
  bitAt: (bit: number) => number,
): Operation[] {
  const expression = (text: string): string =>
    text.replaceAll(
      /"bits":\[([\d,]*)\]/g,
      (_, list: string) => `"bits":[${list.split(',').map((bit) => bitAt(Number(bit)))}]`,
    );
  const one = (operation: Operation): Operation => {
    switch (operation.kind) {
      case 'gate':
        return gateOn(
          operation.gate,
          operation.targets.map(qubitAt),
          operation.controls.map(({ qubit, value }) => ({ qubit: qubitAt(qubit), value })),
        );
      case 'measure':
        return { kind: 'measure', qubit: qubitAt(operation.qubit), bit: bitAt(operation.bit) };
      case 'reset':
        return { kind: 'reset', qubit: qubitAt(operation.qubit) };
      case 'barrier':
        return { kind: 'barrier', qubits: operation.qubits.map(qubitAt) };
      case 'branch': {
        const plain = JSON.stringify(operation.condition, (_, value) =>
          typeof value === 'bigint' ? { big: `${value}` } : value,
        );
        const condition = JSON.parse(expression(plain), (_, value) =>
          typeof value?.big === 'string' ? BigInt(value.big) : value,
        );
        const inner = (body: readonly Operation[]) => moved(body, qubitAt, bitAt);
        return { kind: 'branch', condition, body: inner(operation.body), otherwise: inner(operation.otherwise) };
      }
      case 'loop':
        return operation;
    }
  };
  return operations.map(one);
}

test('independent circuits side by side are simulated apart, and their shots are as those of the whole', () => {
  let apart = 0;
  for (let round = 0; round < rounds; round += 1) {
    const random = createRandom(`side by side ${round}`);
    const halves = [1, 2].map(() =>
      randomDynamicCircuit(random, 2, round % 2 === 0 ? 'all' : 'clifford', 1 + integer(random, 4)),
    );
    const circuit = interleaved(random, halves[0] as Circuit, halves[1] as Circuit);
    const outcome = run(circuit);
    if (outcome.parts.length > 1) apart += 1;
    assert.ok(outcome.parts.every(({ qubits }) => qubits.length <= 2));
    const { probabilities } = goAllWays(circuit);
    assert.ok(deviation(joined(outcome.counts), probabilities) < 4.5, `round ${round}`);
    for (const [key, p] of joined(outcome.probabilities ?? {}))
      assert.ok(Math.abs(p - (probabilities.get(key) ?? 0)) < 1e-9, `round ${round}: ${key}`);
  }
  assert.ok(apart > rounds / 3);
});

test('shots of parts are independent: what two pairs give together is as frequent as it should be', () => {
  const bell = (low: number): GateOperation[] => [
    gateOn(gateNamed('ry', 1), [low]),
    gateOn(gateNamed('x'), [low + 1], [{ qubit: low, value: 1 }]),
  ];
  const circuit: Circuit = { qubits: 6, registers: [], operations: [...bell(0), ...bell(2), ...bell(4)] };
  const outcome = run(circuit, { shots: 50_000 });
  assert.equal(outcome.parts.length, 3);
  assert.ok(deviation(joined(outcome.counts), joined(outcome.probabilities ?? {})) < 4.5);
  assert.equal(
    Object.values(outcome.counts).reduce((sum, count) => sum + count, 0),
    50_000,
  );
});

test('what is outside the light cone of the measured bits is dropped, and nothing else', () => {
  let dropped = 0;
  for (let round = 0; round < rounds; round += 1) {
    const random = createRandom(`cone ${round}`);
    const qubits = 4;
    const { registers, operations } = randomDynamicCircuit(random, qubits, 'all', 5);
    const last = operations.findLastIndex(({ kind }) => kind !== 'measure');
    const measured: Operation = { kind: 'measure', qubit: integer(random, qubits), bit: 0 };
    const circuit: Circuit = { qubits, registers, operations: [...operations.slice(0, last + 1), measured] };
    const outcome = run(circuit);
    dropped += outcome.gatesDropped;
    assert.ok(deviation(joined(outcome.counts), goAllWays(circuit).probabilities) < 4.5, `round ${round}`);
  }
  assert.ok(dropped > 2 * rounds);
});

test('the cone of one qubit of a layered circuit grows by one neighbour per layer', () => {
  const layer = (odd: number): GateOperation[] =>
    range(15)
      .filter((qubit) => qubit % 2 === odd)
      .map((qubit) => gateOn(gateNamed('rxx', 0.3), [qubit, qubit + 1]));
  const operations = [...layer(0), ...layer(1), ...layer(0)];
  const { steps } = programOf({ qubits: 16, registers: [], operations });
  assert.deepEqual(
    [...reachOf(lightCone(steps, [[8, 'full']], [])).qubits].sort((a, b) => a - b),
    [6, 7, 8, 9, 10, 11],
  );
});

test('phases of what is only measured are dropped, those of observables with X and Y are not', () => {
  const operations = [
    gateOn(gateNamed('h'), [0]),
    gateOn(gateNamed('x'), [1], [{ qubit: 0, value: 1 }]),
    gateOn(gateNamed('rz', 0.3), [0]),
    gateOn(gateNamed('h'), [2], [{ qubit: 1, value: 1 }]),
    gateOn(gateNamed('p', 0.4), [0], [{ qubit: 1, value: 0 }]),
  ];
  const { steps } = programOf({ qubits: 3, registers: [], operations });
  const names = (interest: 'basis' | 'full') =>
    lightCone(
      steps,
      [
        [0, interest],
        [1, interest],
      ],
      [],
    ).map((step) => (step.kind === 'gate' ? step.gate.name : step.kind));
  assert.deepEqual(names('basis'), ['h', 'x']);
  assert.deepEqual(names('full'), ['h', 'x', 'rz', 'h', 'p']);
});

test('qubits that nothing looks at cost nothing: one measured of 4,096', () => {
  const circuit: Circuit = {
    qubits: 4_096,
    registers: [{ name: 'c', size: 1 }],
    operations: [
      ...range(4_096).map((qubit) => gateOn(gateNamed('ry', 1 + qubit), [qubit])),
      ...range(4_095).map((qubit) => gateOn(gateNamed('x'), [qubit + 1], [{ qubit, value: 1 }])),
      { kind: 'measure', qubit: 3, bit: 0 },
    ],
  };
  const { parts, gatesDropped } = planOf(requestOf(circuit));
  assert.deepEqual(
    parts.map(({ qubits }) => qubits),
    [[0, 1, 2, 3]],
  );
  assert.ok(gatesDropped > 8_000);
});

test('parts keep the order of qubits and bits; conditions bind what they read to what they do', () => {
  const program = programOf({
    qubits: 5,
    registers: [{ name: 'c', size: 3 }],
    operations: [
      gateOn(gateNamed('h'), [4]),
      gateOn(gateNamed('swap'), [3, 1]),
      { kind: 'measure', qubit: 4, bit: 2 },
      {
        kind: 'branch',
        condition: { kind: 'bits', bits: [2] },
        body: [gateOn(gateNamed('x'), [0])],
        otherwise: [],
      },
      { kind: 'measure', qubit: 0, bit: 0 },
      { kind: 'measure', qubit: 1, bit: 1 },
    ],
  });
  const parts = partsOf(program, []);
  assert.deepEqual(
    parts.map(({ qubits, bits }) => ({ qubits, bits })),
    [
      { qubits: [0, 4], bits: [0, 2] },
      { qubits: [1, 3], bits: [1] },
    ],
  );
});

test('expectations of products over independent parts are products', () => {
  for (let round = 0; round < rounds; round += 1) {
    const random = createRandom(`products ${round}`);
    const halves = [0, 2].flatMap((first) =>
      randomCircuit(random, 2, 'all', 5).map(({ gate, targets, controls }) =>
        gateOn(
          gate,
          targets.map((qubit) => qubit + first),
          controls.map(({ qubit, value }) => ({ qubit: qubit + first, value })),
        ),
      ),
    );
    const circuit: Circuit = { qubits: 4, registers: [], operations: halves };
    const letters = ['XZYI', 'ZZZZ', 'IIXY', 'YIIZ', 'IIII'];
    const sum: PauliSum = {
      qubits: 4,
      terms: letters.map((product, at) => ({ letters: product, coefficient: at + 1 })),
    };
    const outcome = run(circuit, { wants: { ...requestOf(circuit).wants, observables: [sum] } });
    const { expectations } = goAllWays(circuit, undefined, letters);
    const expected = expectations.reduce((total, value, at) => total + (at + 1) * value, 0);
    assert.ok(outcome.parts.length > 1);
    assert.ok(Math.abs((outcome.expectations[0]?.value ?? Number.NaN) - expected) < 1e-9, `round ${round}`);
    assert.equal(outcome.expectations[0]?.variance, 0);
  }
});
