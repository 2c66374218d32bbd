import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { gateOn } from '../circuit/circuit.ts';
import { combine, identity, type Matrix, matrix } from '../circuit/complex.ts';
import { gateNamed, kronecker, matrixOf, unitary } from '../circuit/gates.ts';
import { createRandom } from '../simulate/random.ts';
import { ReferenceState } from '../simulate/reference-state.ts';
import { Amplitudes, levelsOf } from './amplitudes.ts';
import { Observable } from './hamiltonian/observable.ts';
import { lettersOf, maskOf } from './hamiltonian/pauli-mask.ts';

const qubits = 4;
const letters = fc
  .array(fc.constantFrom('I', 'X', 'Y', 'Z'), { minLength: qubits, maxLength: qubits })
  .map((list) => list.join(''));
const angle = fc.double({ min: -7, max: 7, noNaN: true });
const rotations = fc.array(fc.tuple(letters, angle), { minLength: 1, maxLength: 12 });

const matrixOfLetters = (text: string): Matrix =>
  [...text].reduce(
    (high, letter) => kronecker(high, letter === 'I' ? identity(2) : matrixOf(gateNamed(letter.toLowerCase() as 'x'))),
    matrix([[1]]),
  );

function both(list: readonly (readonly [string, number])[]): [Amplitudes, ReferenceState] {
  const ours = new Amplitudes(qubits);
  const reference = new ReferenceState(qubits);
  ours.reset(5);
  reference.apply([gateOn(gateNamed('x'), [0]), gateOn(gateNamed('x'), [2])]);
  for (const [text, by] of list) {
    ours.rotate(maskOf(text), by);
    const rotation = combine([Math.cos(by / 2), 0], identity(16), [0, -Math.sin(by / 2)], matrixOfLetters(text));
    reference.apply([gateOn(unitary(rotation), [0, 1, 2, 3])]);
  }
  return [ours, reference];
}

test('rotations about products of Pauli matrices are what their matrices say', () => {
  fc.assert(
    fc.property(rotations, (list) => {
      const [ours, reference] = both(list);
      reference.amplitudes().forEach((value, at) => {
        assert.ok(Math.abs(value - (ours.data[at] ?? Number.NaN)) < 1e-12, `number ${at}`);
      });
    }),
  );
});

test('energies, H|ψ⟩ and the derivative of a rotation agree with expectations of the reference', () => {
  const terms = fc.array(fc.record({ letters, coefficient: fc.double({ min: -3, max: 3, noNaN: true }) }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(rotations, terms, letters, (list, sum, generator) => {
      const [ours, reference] = both(list);
      const observable = new Observable({ qubits, terms: sum });
      const expected = sum.reduce((all, term) => all + term.coefficient * reference.expectation(term.letters), 0);
      const applied = new Amplitudes(qubits);
      assert.ok(Math.abs(observable.expectation(ours, new Amplitudes(qubits)) - expected) < 1e-10);
      assert.ok(Math.abs(observable.apply(ours, applied) - expected) < 1e-10);
      const step = 1e-5;
      const turned = (by: number): number => {
        const state = new Amplitudes(qubits);
        state.copyFrom(ours);
        state.rotate(maskOf(generator), by);
        return observable.expectation(state, new Amplitudes(qubits));
      };
      const difference = (turned(step) - turned(-step)) / (2 * step);
      assert.ok(Math.abs(ours.imaginaryOf(applied, maskOf(generator)) - difference) < 1e-7);
    }),
  );
});

test('phases of a diagonal operator are the rotations of its terms, few levels or as many as states', () => {
  for (const text of ['ZZII', 'XYIZ']) assert.equal(lettersOf(maskOf(text), qubits), text);
  for (const weights of [
    [1, 1, 1],
    [0.3, 0.71, 1.9],
  ] as const) {
    const terms = ['ZZII', 'IZIZ', 'ZIII'].map((text, at) => ({ letters: text, coefficient: weights[at] ?? 0 }));
    const [ours] = both([
      ['XYZX', 1.1],
      ['YXIX', 0.4],
    ]);
    const other = new Amplitudes(qubits);
    other.copyFrom(ours);
    ours.turnLevels(levelsOf(new Observable({ qubits, terms }).diagonal), 0.37);
    for (const term of terms) other.rotate(maskOf(term.letters), 2 * 0.37 * term.coefficient);
    other.data.forEach((value, at) => {
      assert.ok(Math.abs(value - (ours.data[at] ?? Number.NaN)) < 1e-12);
    });
  }
});

test('a diagonal with too many distinct entries is its own list of levels', () => {
  const diagonal = Float64Array.from({ length: 2 ** 17 }, (_, index) => Math.sqrt(index));
  const { values, of } = levelsOf(diagonal);
  assert.equal(values, diagonal);
  assert.ok(of.every((level, index) => level === index));
});

test('samples follow the probabilities, few and many (chi-square with 15 degrees of freedom below 44.3, which chance exceeds once in 10,000)', () => {
  const [ours] = both([
    ['XYZX', 1.1],
    ['YXIX', 0.4],
    ['IXXX', 1],
    ['XIII', 0.8],
    ['IXII', 1.3],
    ['IIXI', 0.7],
    ['IIIX', 2],
  ]);
  for (const shots of [15, 200_000]) {
    const runs = shots === 15 ? 4_000 : 1;
    const random = createRandom('samples');
    const counts = new Float64Array(16);
    for (let run = 0; run < runs; run += 1)
      for (const [index, count] of ours.sample(shots, random)) counts[index] = (counts[index] ?? 0) + count;
    const chiSquare = counts.reduce((sum, count, index) => {
      const p = (ours.data[2 * index] ?? 0) ** 2 + (ours.data[2 * index + 1] ?? 0) ** 2;
      const expected = p * shots * runs;
      assert.ok(expected > 20, 'the state spreads over all outcomes');
      return sum + (count - expected) ** 2 / expected;
    }, 0);
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      shots * runs,
    );
    assert.ok(chiSquare < 44.3, `${shots} shots: ${chiSquare}`);
  }
});
