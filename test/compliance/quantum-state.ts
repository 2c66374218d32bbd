import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type GateOperation, gateOn } from '../../src/adapters/quantum/circuit/circuit.ts';
import { gateNamed, gateNames, shapeOf } from '../../src/adapters/quantum/circuit/gates.ts';
import { createRandom, type Random } from '../../src/adapters/quantum/simulate/random.ts';
import { ReferenceState } from '../../src/adapters/quantum/simulate/reference-state.ts';
import type { PureState, State } from '../../src/adapters/quantum/simulate/state.ts';
import { cliffordNames, type GateSet, integer, randomCircuit, randomOperation, someOf } from './quantum-circuits.ts';

/** What a method can do. */
interface Abilities {
  gates: GateSet;
  /** How far an expectation, a probability or an amplitude may be from the reference. */
  tolerance: number;
}

/** With JSONFLOW_LONG=1 the random circuits are many. */
const rounds = process.env.JSONFLOW_LONG === '1' ? 400 : 12;

/**
 * The suite that every form of a quantum state passes, held against the state vector by the book. What is random follows from the number of the round,
 * which a failure shows.
 *
 * @param create |0…0⟩ over so many qubits, of which the suite asks for 1 to 7
 */
export function quantumStateCompliance(name: string, create: (qubits: number) => State, abilities: Abilities): void {
  describe(`${name} keeps the form of a quantum state`, () => {
    evolution(create, abilities);
    measurement(create, abilities);
    sampling(create, abilities);
    lifetime(create, abilities);
  });
}

type Create = (qubits: number) => State;

/** Calls `body` with a random circuit per round, of 1 to 6 qubits. */
function forCircuits(
  { gates }: Abilities,
  body: (circuit: GateOperation[], qubits: number, random: Random) => void,
): void {
  for (let round = 0; round < rounds; round += 1) {
    const random = createRandom(`round ${round}`);
    const qubits = 1 + (round % 6);
    const circuit = randomCircuit(random, qubits, gates, 3 + integer(random, 6 * qubits));
    try {
      body(circuit, qubits, random);
    } catch (error) {
      throw new Error(`round ${round}, ${qubits} qubits: ${JSON.stringify(circuit)}`, { cause: error });
    }
  }
}

function both(create: Create, qubits: number, circuit: readonly GateOperation[]): [State, ReferenceState] {
  const pair: [State, ReferenceState] = [create(qubits), new ReferenceState(qubits)];
  for (const state of pair) state.apply(circuit);
  return pair;
}

function evolution(create: Create, abilities: Abilities): void {
  test('it begins with all qubits at 0', () => {
    for (const qubits of [1, 2, 5]) assertSame(...both(create, qubits, []), abilities, createRandom('begin'));
  });

  const names = abilities.gates === 'all' ? [...gateNames, 'unitary' as const] : cliffordNames;
  for (const gate of names)
    test(`gate ${gate} does as the reference does, wherever it stands`, () => {
      const random = createRandom(gate);
      for (const qubits of [1, 2, 3, 4, 5]) {
        if (gate !== 'unitary' && shapeOf(gate).targets > qubits) continue;
        const before = randomCircuit(random, qubits, abilities.gates, 2 * qubits);
        const own = [1, 2, 3].map(() => randomOperation(random, qubits, abilities.gates, gate));
        assertSame(...both(create, qubits, [...before, ...own]), abilities, random);
      }
    });

  test('random circuits end as with the reference', () => {
    forCircuits(abilities, (circuit, qubits, random) => {
      assertSame(...both(create, qubits, circuit), abilities, random);
    });
  });

  test('gates applied one by one and all at once do the same', () => {
    forCircuits(abilities, (circuit, qubits, random) => {
      const [, reference] = both(create, qubits, circuit);
      const state = create(qubits);
      for (const gate of circuit) {
        state.apply([]);
        state.apply([gate]);
      }
      assertSame(state, reference, abilities, random);
    });
  });
}

function measurement(create: Create, abilities: Abilities): void {
  test('what is left after a measurement is what the reference leaves, also for gates that follow', () => {
    forCircuits(abilities, (circuit, qubits, random) => {
      const [state, reference] = both(create, qubits, circuit);
      for (let again = 0; again < 2; again += 1) {
        for (const qubit of someOf(random, qubits, Math.min(2, qubits))) {
          const one = reference.probabilityOfOne(qubit);
          const bit = random.next() < one ? 1 : 0;
          state.collapse(qubit, bit);
          reference.collapse(qubit, bit);
          assertClose(state.probabilityOfOne(qubit), bit, abilities.tolerance, `qubit ${qubit} after its measurement`);
        }
        assertSame(state, reference, abilities, random);
        const more = randomCircuit(random, qubits, abilities.gates, qubits);
        for (const each of [state, reference]) each.apply(more);
      }
      assertSame(state, reference, abilities, random);
    });
  });

  test('halves of a GHZ state agree', () => {
    const qubits = 7;
    for (const bit of [0, 1] as const) {
      const [state] = both(create, qubits, ghz(qubits));
      assertClose(state.probabilityOfOne(3), 0.5, abilities.tolerance, 'before');
      state.collapse(3, bit);
      for (let qubit = 0; qubit < qubits; qubit += 1)
        assertClose(state.probabilityOfOne(qubit), bit, abilities.tolerance, `qubit ${qubit}`);
    }
  });
}

function sampling(create: Create, abilities: Abilities): void {
  test('samples are distributed as the reference says, over any qubits in any order', () => {
    const shots = 2_000;
    forCircuits(abilities, (circuit, qubits, random) => {
      const [state, reference] = both(create, qubits, circuit);
      const measured = someOf(random, qubits, 1 + integer(random, qubits));
      const counts = state.sample(measured, shots, random);
      assertDistributed(counts, distribution(reference, measured), shots);
      // It is as before.
      assertSame(state, reference, abilities, random);
    });
  });

  test('each shot of a GHZ state has all bits equal', () => {
    const [state] = both(create, 7, ghz(7));
    const counts = state.sample([6, 0, 3], 400, createRandom('ghz'));
    assert.deepEqual([...counts.keys()].sort(), ['000', '111']);
    assertDistributed(counts, { '000': 0.5, '111': 0.5 }, 400);
  });

  test('the same seed gives the same counts; no shots give none', () => {
    forCircuits(abilities, (circuit, qubits) => {
      const [state] = both(create, qubits, circuit);
      const all = Array.from({ length: qubits }, (_, qubit) => qubit);
      const [once, twice] = ['seed', 'seed'].map((seed) => state.sample(all, 100, createRandom(seed)));
      assert.deepEqual(twice, once);
      assert.equal(state.sample(all, 0, createRandom('seed')).size, 0);
    });
  });

  test('the first of the qubits is the rightmost bit', () => {
    const [state] = both(create, 3, [gateOn(gateNamed('x'), [1])]);
    assert.deepEqual([...state.sample([0, 1, 2], 5, createRandom(''))], [['010', 5]]);
    assert.deepEqual([...state.sample([1, 0], 5, createRandom(''))], [['01', 5]]);
    assert.deepEqual([...state.sample([2, 1], 5, createRandom(''))], [['10', 5]]);
  });
}

function lifetime(create: Create, abilities: Abilities): void {
  test('a clone goes its own way, and stays when the original is released', () => {
    forCircuits(abilities, (circuit, qubits, random) => {
      const [state, reference] = both(create, qubits, circuit);
      const clone = state.clone();
      const more = randomCircuit(random, qubits, abilities.gates, 2 * qubits);
      const other = reference.clone();
      clone.apply(more);
      other.apply(more);
      assertSame(state, reference, abilities, random);
      const third = clone.clone();
      state.release();
      assertSame(clone, other, abilities, random);
      clone.release();
      assertSame(third, other, abilities, random);
      third.release();
    });
  });

  test('many states can be made and released in turn', () => {
    for (let round = 0; round < 200; round += 1) {
      const state = create(1 + (round % 7));
      state.apply([gateOn(gateNamed('h'), [0])]);
      assertClose(state.probabilityOfOne(0), 0.5, abilities.tolerance, `round ${round}`);
      state.release();
    }
  });
}

const ghz = (qubits: number): GateOperation[] => [
  gateOn(gateNamed('h'), [0]),
  ...Array.from({ length: qubits - 1 }, (_, qubit) =>
    gateOn(gateNamed('x'), [qubit + 1], [{ qubit, value: 1 as const }]),
  ),
];

/** All expectations of few qubits say everything but the phase of the whole; of more qubits, some are drawn. Amplitudes must agree with their phase. */
function assertSame(state: State, reference: ReferenceState, { tolerance }: Abilities, random: Random): void {
  const { qubits } = reference;
  assert.equal(state.qubits, qubits);
  for (let qubit = 0; qubit < qubits; qubit += 1)
    assertClose(state.probabilityOfOne(qubit), reference.probabilityOfOne(qubit), tolerance, `qubit ${qubit}`);
  const strings = 4 ** qubits;
  const count = Math.min(strings, 40);
  for (let at = 0; at < count; at += 1) {
    const letters = pauli(strings <= 40 ? at : integer(random, strings), qubits);
    assertClose(state.expectation(letters), reference.expectation(letters), tolerance, letters);
  }
  if (!isPure(state)) return;
  const expected = reference.amplitudes();
  const actual = state.amplitudes();
  assert.equal(actual.length, expected.length);
  actual.forEach((value, at) => {
    assertClose(value, expected[at] ?? Number.NaN, tolerance, `amplitude at ${at}`);
  });
}

const isPure = (state: State): state is PureState => 'amplitudes' in state;

const pauli = (number: number, qubits: number): string =>
  Array.from({ length: qubits }, (_, qubit) => 'IXYZ'[Math.floor(number / 4 ** qubit) % 4]).join('');

function assertClose(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, not ${expected}`);
}

/** Probability of each outcome of a measurement of the qubits. */
function distribution(state: PureState, qubits: readonly number[]): Record<string, number> {
  const amplitudes = state.amplitudes();
  const probabilities: Record<string, number> = {};
  for (let index = 0; index < amplitudes.length / 2; index += 1) {
    const key = qubits.reduce((text, qubit) => `${(index >> qubit) & 1}${text}`, '');
    const p = (amplitudes[2 * index] ?? 0) ** 2 + (amplitudes[2 * index + 1] ?? 0) ** 2;
    probabilities[key] = (probabilities[key] ?? 0) + p;
  }
  return probabilities;
}

/**
 * By Pearson's chi-square: counts that follow the probabilities are refused once in a million seeds. Outcomes expected fewer than 5 times are
 * taken together; what can't be must not come.
 */
export function assertDistributed(
  counts: ReadonlyMap<string, number>,
  probabilities: Readonly<Record<string, number>>,
  shots: number,
): void {
  assert.equal(
    [...counts.values()].reduce((sum, count) => sum + count, 0),
    shots,
  );
  for (const key of counts.keys())
    assert.ok((probabilities[key] ?? 0) > 1e-9, `${key} came, and can't: ${JSON.stringify(probabilities)}`);
  const cells: { seen: number; expected: number }[] = [];
  const rare = { seen: 0, expected: 0 };
  for (const [key, p] of Object.entries(probabilities)) {
    const cell = { seen: counts.get(key) ?? 0, expected: p * shots };
    if (cell.expected >= 5) cells.push(cell);
    else {
      rare.seen += cell.seen;
      rare.expected += cell.expected;
    }
  }
  if (rare.expected >= 5) cells.push(rare);
  // Too few for the statistic; more than this come less than once in a million.
  else assert.ok(rare.seen <= rare.expected + 20, `${rare.seen} rare outcomes, where ${rare.expected} are expected`);
  if (cells.length < 2) return;
  const chi = cells.reduce((sum, { seen, expected }) => sum + (seen - expected) ** 2 / expected, 0);
  const bound = chiSquareBound(cells.length - 1);
  assert.ok(chi <= bound, `chi-square is ${chi}, above ${bound}: ${JSON.stringify([...counts])}`);
}

/** That a chi-square exceeds with a probability of 1e-6, after Wilson & Hilferty (doi:10.1073/pnas.17.12.684). */
function chiSquareBound(freedom: number): number {
  const spread = 2 / (9 * freedom);
  return freedom * (1 - spread + 4.7534 * Math.sqrt(spread)) ** 3;
}
