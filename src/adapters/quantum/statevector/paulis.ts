import { StepError } from '../../../lib/errors.ts';
import { letterAt, type PauliSum } from '../circuit/pauli.ts';
import type { Layout } from './layout.ts';

const termBytes = 80;

/** Terms as the kernel reads them (kernel/sums.as). */
export interface Terms {
  readonly count: number;
  readonly bytes: Uint8Array;
}

/**
 * A product of Pauli matrices maps |i⟩ to i^y (-1)^{parity(i & z)} |i ^ x⟩, where y is the number of Y.
 *
 * @param purpose `expectation`: coefficients for the sum of correlations; `product`: complex ones, for what is added to another state
 */
export function encodeTerms(
  sum: PauliSum,
  qubits: number,
  { laneBits }: Layout,
  purpose: 'expectation' | 'product',
): Terms {
  const bytes = new Uint8Array(sum.terms.length * termBytes);
  const view = new DataView(bytes.buffer);
  sum.terms.forEach(({ letters, coefficient }, index) => {
    const { x, z, ys } = masksOf(letters, qubits);
    const at = index * termBytes;
    const laneMask = (1 << laneBits) - 1;
    view.setUint32(at, x >>> laneBits, true);
    view.setUint32(at + 4, z >>> laneBits, true);
    view.setUint32(at + 8, ys % 2, true);
    const laneBytes = 16 >> laneBits;
    for (let byte = 0; byte < 16; byte += 1) bytes[at + 16 + byte] = byte ^ ((x & laneMask) * laneBytes);
    for (const parity of [0, 1])
      for (let lane = 0; lane <= laneMask; lane += 1)
        if ((parityOf(lane & z) ^ parity) === 1) bytes[at + 32 + 16 * parity + (lane + 1) * laneBytes - 1] = 0x80;
    const [re, im] = factorOf(coefficient, ys, purpose);
    view.setFloat64(at + 64, re, true);
    view.setFloat64(at + 72, im, true);
  });
  return { count: sum.terms.length, bytes };
}

/**
 * Expectation: ⟨P⟩ = Σ i^y sign conj(a[i^x]) a[i]: its real part, or where y is odd, i times i·(imaginary part).
 * Product: (P a)[j] = i^y (-1)^y (-1)^{parity(j & z)} a[j^x], since parity(x & z) is that of y.
 */
function factorOf(coefficient: number, ys: number, purpose: 'expectation' | 'product'): [number, number] {
  if (purpose === 'expectation') return [[1, -1, -1, 1][ys % 4] === 1 ? coefficient : -coefficient, 0];
  switch (ys % 4) {
    case 0:
      return [coefficient, 0];
    case 1:
      return [0, -coefficient];
    case 2:
      return [-coefficient, 0];
    default:
      return [0, coefficient];
  }
}

function masksOf(letters: string, qubits: number): { x: number; z: number; ys: number } {
  if (letters.length !== qubits)
    throw new StepError(
      'INVALID_PARAMS',
      `${JSON.stringify(letters.slice(0, 80))} has ${letters.length} letters, and the state ${qubits} qubits: it takes one letter per qubit`,
    );
  let [x, z, ys] = [0, 0, 0];
  for (let qubit = 0; qubit < qubits; qubit += 1) {
    const letter = letterAt(letters, qubit);
    if (letter === 'X' || letter === 'Y') x |= 1 << qubit;
    if (letter === 'Z' || letter === 'Y') z |= 1 << qubit;
    if (letter === 'Y') ys += 1;
  }
  return { x, z, ys };
}

function parityOf(bits: number): number {
  let parity = 0;
  for (let left = bits; left !== 0; left &= left - 1) parity ^= 1;
  return parity;
}
