import {
  bitsOf,
  type Circuit,
  type Expression,
  evaluate,
  gateOn,
  type Operation,
} from '../../src/adapters/quantum/circuit/circuit.ts';
import { type Matrix, matrix } from '../../src/adapters/quantum/circuit/complex.ts';
import { gateNamed, kronecker, matrixOf, unitary } from '../../src/adapters/quantum/circuit/gates.ts';
import type { Channel, NoiseModel } from '../../src/adapters/quantum/simulate/noise-model.ts';
import type { Random } from '../../src/adapters/quantum/simulate/random.ts';
import { ReferenceState } from '../../src/adapters/quantum/simulate/reference-state.ts';
import { type GateSet, integer, pick, randomCircuit, someOf } from './quantum-circuits.ts';

/**
 * The probabilities of all texts of bits (bit 0 rightmost, registers not apart), and expectations of products of Pauli matrices at the end, by going
 * every way that measurements, resets and errors may go, with vectors that get shorter on the way. Slow and plain. Measures nothing but what the circuit does.
 */
export function goAllWays(
  circuit: Circuit,
  noise: NoiseModel = { rules: [], readout: [] },
  letters: readonly string[] = [],
): { probabilities: Map<string, number>; expectations: number[] } {
  const probabilities = new Map<string, number>();
  const expectations = letters.map(() => 0);
  const go = (state: ReferenceState, bits: readonly (0 | 1)[], left: readonly Operation[], share: number): void => {
    const length = lengthOf(state) * share;
    if (length < 1e-14) return;
    const [operation, ...rest] = left;
    if (operation === undefined) {
      const key = bits.toReversed().join('');
      probabilities.set(key, (probabilities.get(key) ?? 0) + length);
      for (const [at, product] of letters.entries())
        expectations[at] = (expectations[at] ?? 0) + share * state.expectation(product);
      return;
    }
    const after = (kind: 'gate' | 'reset' | 'measure', name: string, qubits: readonly number[]) =>
      noiseAfter(noise, kind, name, qubits);
    const onward = (next: ReferenceState, errors: readonly Error[], to = bits, part = share): void => {
      const [error, ...others] = errors;
      if (error === undefined) return go(next, to, rest, part);
      for (const operator of error.operators) {
        const changed = next.clone();
        changed.apply([gateOn(unitary(operator), error.qubits)]);
        onward(changed, others, to, part);
      }
    };
    switch (operation.kind) {
      case 'gate': {
        const next = state.clone();
        next.apply([operation]);
        const { targets, controls, gate } = operation;
        return onward(
          next,
          after('gate', 'c'.repeat(controls.length) + gate.name, [...controls.map(({ qubit }) => qubit), ...targets]),
        );
      }
      case 'barrier':
        return go(state, bits, rest, share);
      case 'measure':
        for (const outcome of [0, 1] as const) {
          const next = projected(state, operation.qubit, outcome, outcome);
          const error = noise.readout.findLast(({ qubits }) => qubits?.includes(operation.qubit) ?? true);
          const wrong = (outcome === 1 ? error?.zeroGivenOne : error?.oneGivenZero) ?? 0;
          for (const read of [0, 1] as const) {
            const to = bits.map((bit, at) => (at === operation.bit ? read : bit));
            const part = read === outcome ? 1 - wrong : wrong;
            onward(next, after('measure', '', [operation.qubit]), to, share * part);
          }
        }
        return;
      case 'reset':
        for (const outcome of [0, 1] as const)
          onward(projected(state, operation.qubit, outcome, 0), after('reset', '', [operation.qubit]));
        return;
      case 'branch': {
        const holds = evaluate(operation.condition, (bit) => bits[bit] ?? 0) !== 0n;
        return go(state, bits, [...(holds ? operation.body : operation.otherwise), ...rest], share);
      }
      case 'loop': {
        const holds = evaluate(operation.condition, (bit) => bits[bit] ?? 0) !== 0n;
        return go(state, bits, holds ? [...operation.body, ...left] : rest, share);
      }
    }
  };
  const bits = new Array<0 | 1>(bitsOf(circuit)).fill(0);
  go(new ReferenceState(circuit.qubits), bits, circuit.operations, 1);
  return { probabilities, expectations };
}

interface Error {
  readonly qubits: readonly number[];
  readonly operators: readonly Matrix[];
}

const lengthOf = (state: ReferenceState): number => state.amplitudes().reduce((sum, value) => sum + value * value, 0);

/** |to⟩⟨from| on the qubit. */
function projected(state: ReferenceState, qubit: number, from: 0 | 1, to: 0 | 1): ReferenceState {
  const next = state.clone();
  const rows = [0, 1].map((row) => [0, 1].map((column) => (row === to && column === from ? 1 : 0)));
  next.apply([gateOn(unitary(matrix(rows)), [qubit])]);
  return next;
}

function noiseAfter({ rules }: NoiseModel, kind: string, name: string, qubits: readonly number[]): Error[] {
  return rules.flatMap((rule) => {
    if (rule.after !== kind || (rule.gates && !rule.gates.includes(name))) return [];
    if (rule.gateQubits !== undefined && rule.gateQubits !== qubits.length) return [];
    const among = qubits.filter((qubit) => rule.qubits?.includes(qubit) ?? true);
    const isPair = rule.channel.kind === 'depolarizing' ? qubits.length === 2 : rule.channel.qubits === 2;
    if (isPair) return qubits.length === 2 && among.length === 2 ? [errorOf(rule.channel, qubits)] : [];
    return among.map((qubit) => errorOf(rule.channel, [qubit]));
  });
}

function errorOf(channel: Channel, qubits: readonly number[]): Error {
  switch (channel.kind) {
    case 'kraus':
      return { qubits, operators: channel.operators };
    case 'pauli': {
      const rest = 1 - channel.terms.reduce((sum, { probability }) => sum + probability, 0);
      const all = [{ letters: 'I'.repeat(qubits.length), probability: rest }, ...channel.terms];
      return {
        qubits,
        operators: all.map(({ letters, probability }) => scaledPauli(letters, Math.max(0, probability))),
      };
    }
    case 'depolarizing': {
      const single = ['I', 'X', 'Y', 'Z'];
      const all = qubits.length === 1 ? single : single.flatMap((a) => single.map((b) => a + b));
      const p = channel.probability / all.length;
      return {
        qubits,
        operators: all.map((letters, at) => scaledPauli(letters, at === 0 ? 1 - channel.probability + p : p)),
      };
    }
  }
}

function scaledPauli(letters: string, probability: number): Matrix {
  const parts = [...letters].map((letter) =>
    matrixOf(gateNamed(letter === 'I' ? 'id' : (letter.toLowerCase() as 'x'))),
  );
  const whole = parts.reduce((high, low) => kronecker(high, low));
  return { ...whole, data: whole.data.map((entry) => entry * Math.sqrt(probability)) };
}

/** Gates with measurements, resets, conditions and barriers between, then a gate on each qubit, and all but the last measured at the end. */
export function randomDynamicCircuit(random: Random, qubits: number, gates: GateSet, length: number): Circuit {
  const bits = qubits + 1;
  const operations = (count: number, depth: number): Operation[] =>
    Array.from({ length: count }, () => randomStep(depth)).flat();
  const randomStep = (depth: number): Operation[] => {
    const [qubit = 0] = someOf(random, qubits, 1);
    const draw = random.next();
    if (draw < 0.1) return [{ kind: 'measure', qubit, bit: integer(random, bits) }];
    if (draw < 0.15) return [{ kind: 'reset', qubit }];
    if (draw < 0.2) return [{ kind: 'barrier', qubits: [qubit] }];
    if (draw < 0.3 && depth > 0) {
      const condition = randomCondition(random, bits);
      return [{ kind: 'branch', condition, body: operations(2, depth - 1), otherwise: operations(1, depth - 1) }];
    }
    return randomCircuit(random, qubits, gates, 2);
  };
  const last = Array.from({ length: qubits - 1 }, (_, qubit): Operation => ({ kind: 'measure', qubit, bit: qubit }));
  const registers = [
    { name: 'a', size: 1 },
    { name: 'b', size: bits - 1 },
  ];
  const turns = Array.from({ length: qubits }, (_, qubit) => gateOn(gateNamed(gates === 'all' ? 'sx' : 'h'), [qubit]));
  return { qubits, registers, operations: [...operations(length, 2), ...turns, ...last] };
}

function randomCondition(random: Random, bits: number): Expression {
  const left: Expression = { kind: 'bits', bits: someOf(random, bits, 1 + integer(random, 2)) };
  const right: Expression = { kind: 'integer', value: BigInt(integer(random, 3)) };
  const compared: Expression = {
    kind: 'binary',
    operator: pick(random, ['==', '!=', '<', '>='] as const),
    left,
    right,
  };
  return random.next() < 0.3 ? { kind: 'not', of: compared } : compared;
}

/**
 * Pearson's chi-square of counts against probabilities, as how many standard deviations it lies above its mean; outcomes of which less than 5 are
 * expected are put together. Infinite where something came that is impossible.
 */
export function deviation(counts: ReadonlyMap<string, number>, probabilities: ReadonlyMap<string, number>): number {
  const shots = [...counts.values()].reduce((sum, count) => sum + count, 0);
  for (const key of counts.keys()) if ((probabilities.get(key) ?? 0) < 1e-12) return Number.POSITIVE_INFINITY;
  let [sum, classes, rareExpected, rareSeen] = [0, 0, 0, 0];
  for (const [key, p] of probabilities) {
    const seen = counts.get(key) ?? 0;
    if (p * shots < 5) {
      rareExpected += p * shots;
      rareSeen += seen;
      continue;
    }
    sum += (seen - p * shots) ** 2 / (p * shots);
    classes += 1;
  }
  if (rareExpected >= 1) {
    sum += (rareSeen - rareExpected) ** 2 / rareExpected;
    classes += 1;
  }
  const freedom = classes - 1;
  return freedom < 1 ? 0 : (sum - freedom) / Math.sqrt(2 * freedom);
}
