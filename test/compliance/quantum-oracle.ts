import {
  bitsOf,
  type Circuit,
  type Expression,
  evaluate,
  type GateOperation,
  gateOn,
  type Operation,
} from '../../src/adapters/quantum/circuit/circuit.ts';
import { adjoint, combine, type Matrix, matrix, multiply } from '../../src/adapters/quantum/circuit/complex.ts';
import { gateNamed, kronecker, matrixOf, unitary } from '../../src/adapters/quantum/circuit/gates.ts';
import type { Channel, NoiseModel } from '../../src/adapters/quantum/simulate/noise-model.ts';
import type { Random } from '../../src/adapters/quantum/simulate/random.ts';
import { ReferenceState } from '../../src/adapters/quantum/simulate/reference-state.ts';
import { type GateSet, integer, pick, randomCircuit, someOf } from './quantum-circuits.ts';

/** A density matrix for each text of bits (bit 0 rightmost), its trace the probability that the bits read so. */
type Mixture = ReadonlyMap<string, Matrix>;

/**
 * The probabilities of all texts of bits (registers not apart), and expectations of products of Pauli matrices at the end, by the rules of density
 * matrices, every operator written out over all qubits. Slow and plain. Measures nothing but what the circuit does.
 */
export function goAllWays(
  circuit: Circuit,
  noise: NoiseModel = { rules: [], readout: [] },
  letters: readonly string[] = [],
): { probabilities: Map<string, number>; expectations: number[] } {
  const zero = { dimension: 2 ** circuit.qubits, data: new Float64Array(2 * 4 ** circuit.qubits) };
  zero.data[0] = 1;
  const end = runAll(circuit.operations, new Map([['0'.repeat(bitsOf(circuit)), zero]]), circuit.qubits, noise);
  const whole = [...end.values()].reduce(plus);
  return {
    probabilities: new Map([...end].map(([key, rho]) => [key, traceOf(rho)])),
    expectations: letters.map((product) => traceOf(multiply(pauliMatrix(product), whole))),
  };
}

function runAll(operations: readonly Operation[], from: Mixture, qubits: number, noise: NoiseModel): Mixture {
  let mixture = from;
  const act = (operators: readonly Matrix[], on: readonly number[]): void => {
    const whole = operators.map((operator) => embedded(gateOn(unitary(operator), on), qubits));
    mixture = new Map([...mixture].map(([key, rho]) => [key, whole.map((k) => sandwich(k, rho)).reduce(plus)]));
  };
  const err = (kind: 'gate' | 'reset' | 'measure', name: string, on: readonly number[]): void => {
    for (const error of noiseAfter(noise, kind, name, on)) act(error.operators, error.qubits);
  };
  for (const operation of operations)
    switch (operation.kind) {
      case 'gate': {
        const u = embedded(operation, qubits);
        mixture = new Map([...mixture].map(([key, rho]) => [key, sandwich(u, rho)]));
        const { targets, controls, gate } = operation;
        err('gate', 'c'.repeat(controls.length) + gate.name, [...controls.map(({ qubit }) => qubit), ...targets]);
        break;
      }
      case 'barrier':
        break;
      case 'measure': {
        const misread = noise.readout.findLast((error) => error.qubits?.includes(operation.qubit) ?? true);
        mixture = measured(mixture, operation, qubits, misread ?? { oneGivenZero: 0, zeroGivenOne: 0 });
        err('measure', '', [operation.qubit]);
        break;
      }
      case 'reset':
        act([ketBra(0, 0), ketBra(0, 1)], [operation.qubit]);
        err('reset', '', [operation.qubit]);
        break;
      case 'branch': {
        const [held, others] = parted(mixture, operation.condition);
        mixture = merged(
          runAll(operation.body, held, qubits, noise),
          runAll(operation.otherwise, others, qubits, noise),
        );
        break;
      }
      case 'loop':
        for (let [held, others] = parted(mixture, operation.condition); ; ) {
          if (held.size === 0) break;
          mixture = merged(runAll(operation.body, held, qubits, noise), others);
          [held, others] = parted(mixture, operation.condition);
        }
        break;
    }
  return mixture;
}

function measured(
  mixture: Mixture,
  { qubit, bit }: { qubit: number; bit: number },
  qubits: number,
  { oneGivenZero, zeroGivenOne }: { oneGivenZero: number; zeroGivenOne: number },
): Mixture {
  let all: Mixture = new Map();
  for (const outcome of [0, 1] as const) {
    const projector = embedded(gateOn(unitary(ketBra(outcome, outcome)), [qubit]), qubits);
    const wrong = outcome === 1 ? zeroGivenOne : oneGivenZero;
    for (const read of [0, 1] as const)
      for (const [key, rho] of mixture) {
        const to = key.slice(0, key.length - 1 - bit) + read + key.slice(key.length - bit);
        all = merged(all, new Map([[to, scaled(sandwich(projector, rho), read === outcome ? 1 - wrong : wrong)]]));
      }
  }
  return all;
}

/** Where the condition holds, and where not; what is practically impossible is left out. */
function parted(mixture: Mixture, condition: Expression): [Mixture, Mixture] {
  const holds = (key: string): boolean =>
    evaluate(condition, (bit) => (key[key.length - 1 - bit] === '1' ? 1 : 0)) !== 0n;
  const possible = [...mixture].filter(([, rho]) => traceOf(rho) > 1e-14);
  return [new Map(possible.filter(([key]) => holds(key))), new Map(possible.filter(([key]) => !holds(key)))];
}

function merged(left: Mixture, right: Mixture): Mixture {
  const all = new Map(left);
  for (const [key, rho] of right) {
    const other = all.get(key);
    all.set(key, other === undefined ? rho : plus(other, rho));
  }
  return all;
}

/** The operator over all qubits, column by column. */
function embedded(operation: GateOperation, qubits: number): Matrix {
  const n = 2 ** qubits;
  const data = new Float64Array(2 * n * n);
  for (let column = 0; column < n; column += 1) {
    const basis = new Float64Array(2 * n);
    basis[2 * column] = 1;
    const state = new ReferenceState(qubits, basis);
    state.apply([operation]);
    for (const [at, value] of state.amplitudes().entries())
      data[2 * (Math.floor(at / 2) * n + column) + (at % 2)] = value;
  }
  return { dimension: n, data };
}

const sandwich = (operator: Matrix, rho: Matrix): Matrix => multiply(multiply(operator, rho), adjoint(operator));
const plus = (left: Matrix, right: Matrix): Matrix => combine([1, 0], left, [1, 0], right);
const scaled = (of: Matrix, by: number): Matrix => combine([by, 0], of, [0, 0], of);
const ketBra = (to: 0 | 1, from: 0 | 1): Matrix =>
  matrix([0, 1].map((row) => [0, 1].map((column) => (row === to && column === from ? 1 : 0))));

function traceOf({ dimension, data }: Matrix): number {
  let sum = 0;
  for (let at = 0; at < dimension; at += 1) sum += data[2 * at * (dimension + 1)] ?? 0;
  return sum;
}

interface Error {
  readonly qubits: readonly number[];
  readonly operators: readonly Matrix[];
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

const scaledPauli = (letters: string, probability: number): Matrix =>
  scaled(pauliMatrix(letters), Math.sqrt(probability));

const pauliMatrix = (letters: string): Matrix =>
  [...letters]
    .map((letter) => matrixOf(gateNamed(letter === 'I' ? 'id' : (letter.toLowerCase() as 'x'))))
    .reduce((high, low) => kronecker(high, low));

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
 * Pearson's chi-square of counts against probabilities, as the standard deviations by which a normal variable would be as unlikely; outcomes of which less than 5 are
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
  if (freedom < 1) return 0;
  // Wilson and Hilferty, doi:10.1073/pnas.17.12.684: the cube root is nearly normal.
  const part = 2 / (9 * freedom);
  return (Math.cbrt(sum / freedom) - 1 + part) / Math.sqrt(part);
}
