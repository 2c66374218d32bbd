import { assert } from '../../../../lib/assert.ts';
import { add, bitCount, isOdd, type MaskSum, multiply, turn } from '../hamiltonian/pauli-mask.ts';

/** `+p` creates an electron in spin orbital p, `−p` takes one out; a product is applied from right to left. */
export interface Ladder {
  readonly orbital: number;
  readonly creates: boolean;
}

/**
 * How occupations of spin orbitals are kept in qubits. Orbitals of spin up come first, those of spin down follow.
 * `jordan_wigner`: qubit p is the occupation of spin orbital p. `parity`: qubit p is the parity of occupations 0 to p, and the two
 * qubits that electrons of each spin being conserved leave constant are dropped (Bravyi et al., arXiv:1701.08213).
 */
export type Mapping = 'jordan_wigner' | 'parity';

/** Electrons with their spins: what is conserved. */
export interface Shell {
  /** Spin orbitals, twice the spatial ones. */
  readonly orbitals: number;
  readonly up: number;
  readonly down: number;
}

export const qubitsFor = (mapping: Mapping, { orbitals }: Shell): number =>
  mapping === 'parity' ? orbitals - 2 : orbitals;

/** The basis state of the occupation numbers, given as bits. */
export const encodeOccupation = (mapping: Mapping, shell: Shell, occupation: number): number =>
  mapping === 'parity' ? withoutConserved(parities(occupation, shell.orbitals), shell) : occupation;

/** Whether a basis state has the electrons of each spin that the shell has. */
export function holdsElectrons(mapping: Mapping, shell: Shell, index: number): boolean {
  const occupation = mapping === 'parity' ? occupationOf(index, shell) : index;
  const half = shell.orbitals / 2;
  return bitCount(occupation & (2 ** half - 1)) === shell.up && bitCount(occupation >>> half) === shell.down;
}

/** `coefficient · product` in Pauli matrices over the qubits of the Jordan–Wigner mapping (doi:10.1007/BF01331938), added to the sum. */
export function addLadders(sum: MaskSum, ladders: readonly Ladder[], coefficient: number): void {
  let all: MaskSum = new Map([['0,0', { x: 0, z: 0, re: coefficient, im: 0 }]]);
  for (const { orbital, creates } of ladders) {
    const x = 1 << orbital;
    const below = x - 1;
    const one: MaskSum = new Map();
    add(one, { x, z: below }, 0.5, 0);
    add(one, { x, z: below | x }, 0, creates ? -0.5 : 0.5);
    all = multiply(all, one);
  }
  for (const term of all.values()) add(sum, term, term.re, term.im);
}

/** From the qubits of Jordan–Wigner to those of the mapping. The sum must conserve the electrons of each spin. */
export function mapped(mapping: Mapping, shell: Shell, sum: MaskSum): MaskSum {
  if (mapping === 'jordan_wigner') return sum;
  const out: MaskSum = new Map();
  const [half, last] = [shell.orbitals / 2 - 1, shell.orbitals - 1];
  for (const term of sum.values()) {
    const mask = { x: parities(term.x, shell.orbitals), z: term.z ^ (term.z >>> 1) };
    // The factors i^|x∧z| differ, by a sign.
    const turns = bitCount(term.x & term.z) - bitCount(mask.x & mask.z);
    if ((mask.z >>> half) & 1 && shell.up % 2 === 1) flip(term);
    if ((mask.z >>> last) & 1 && (shell.up + shell.down) % 2 === 1) flip(term);
    const [re, im] = turn(term.re, term.im, turns);
    const isNothing = Math.abs(re) < coefficientMin && Math.abs(im) < coefficientMin;
    assert(
      isNothing || (((mask.x >>> half) | (mask.x >>> last)) & 1) === 0,
      'an operator conserves the electrons of each spin',
    );
    if (!isNothing) add(out, { x: withoutConserved(mask.x, shell), z: withoutConserved(mask.z, shell) }, re, im);
  }
  return out;
}

/** Smaller coefficients are rounding. */
export const coefficientMin = 1e-12;

function flip(term: { re: number; im: number }): void {
  term.re = -term.re;
  term.im = -term.im;
}

/** Bit p is the parity of bits 0 to p. */
function parities(bits: number, count: number): number {
  let out = 0;
  for (let p = 0; p < count; p += 1) out |= isOdd(bits & (2 ** (p + 1) - 1)) << p;
  return out;
}

/** Drops the bit of the last orbital of spin up, and that of the last of spin down. */
function withoutConserved(bits: number, { orbitals }: Shell): number {
  const low = 2 ** (orbitals / 2 - 1) - 1;
  return (bits & low) | ((bits >>> 1) & (2 ** (orbitals - 2) - 1) & ~low);
}

function occupationOf(index: number, { orbitals, up, down }: Shell): number {
  const half = orbitals / 2;
  const low = 2 ** (half - 1) - 1;
  const bits = (index & low) | ((up % 2) << (half - 1)) | ((index & ~low) << 1) | (((up + down) % 2) << (orbitals - 1));
  return bits ^ ((bits << 1) & (2 ** orbitals - 1));
}
