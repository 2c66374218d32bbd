import type { PauliSum } from '../circuit/pauli.ts';
import { type Group, groupsOf, localTerms } from '../simulate/observables.ts';
import type { Random } from '../simulate/random.ts';
import { Amplitudes } from './amplitudes.ts';
import { isOdd, maskOf, type PauliMask } from './hamiltonian/pauli-mask.ts';

/** An estimate from measurements. */
export interface Estimate {
  readonly energy: number;
  /** Its standard error. */
  readonly error: number;
}

/** Terms that are measured together, once the turns are done: the energy of an outcome is the sum of their signs. */
interface Measurement {
  readonly turns: readonly { readonly pauli: PauliMask; readonly angle: number }[];
  readonly terms: readonly { readonly mask: number; readonly coefficient: number }[];
}

/**
 * The energy as a device estimates it: terms that can be measured together, since each qubit has one letter in all of them or none, share
 * `shots` measurements (Kandala et al., doi:10.1038/nature23879).
 */
export class ShotEnergy {
  readonly #constant: number;
  readonly #measurements: readonly Measurement[];
  readonly #shots: number;
  readonly #turned: Amplitudes;

  constructor({ qubits, terms }: PauliSum, shots: number) {
    const isIdentity = (letters: string): boolean => !/[^I]/.test(letters);
    this.#constant = terms.reduce((sum, { letters, coefficient }) => sum + (isIdentity(letters) ? coefficient : 0), 0);
    // Large ones first, so that they find company.
    const ordered = terms.toSorted((a, b) => Math.abs(b.coefficient) - Math.abs(a.coefficient));
    const all = Array.from({ length: qubits }, (_, qubit) => qubit);
    this.#measurements = groupsOf(localTerms({ qubits, terms: ordered }, all)).map(measurementOf);
    this.#shots = shots;
    this.#turned = new Amplitudes(qubits);
  }

  estimate(state: Amplitudes, random: Random): Estimate {
    let energy = this.#constant;
    let variance = 0;
    for (const measurement of this.#measurements) {
      const { mean, spread } = this.#measure(measurement, state, random);
      energy += mean;
      variance += spread / this.#shots;
    }
    return { energy, error: Math.sqrt(variance) };
  }

  #measure({ turns, terms }: Measurement, state: Amplitudes, random: Random): { mean: number; spread: number } {
    this.#turned.copyFrom(state);
    for (const { pauli, angle } of turns) this.#turned.rotate(pauli, angle);
    let sum = 0;
    let squares = 0;
    for (const [index, count] of this.#turned.sample(this.#shots, random)) {
      let value = 0;
      for (const { mask, coefficient } of terms) value += isOdd(index & mask) === 1 ? -coefficient : coefficient;
      sum += count * value;
      squares += count * value * value;
    }
    const mean = sum / this.#shots;
    return { mean, spread: Math.max(0, squares / this.#shots - mean * mean) };
  }
}

function measurementOf({ letters, terms }: Group): Measurement {
  const turns = [...letters].reverse().flatMap((letter, qubit) => {
    const bit = 1 << qubit;
    // Each makes a Z of the letter.
    if (letter === 'X') return [{ pauli: { x: bit, z: bit }, angle: -Math.PI / 2 }];
    return letter === 'Y' ? [{ pauli: { x: bit, z: 0 }, angle: Math.PI / 2 }] : [];
  });
  return {
    turns,
    terms: terms.map((term) => {
      const { x, z } = maskOf(term.letters);
      return { mask: x | z, coefficient: term.coefficient };
    }),
  };
}
