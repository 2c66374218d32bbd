import type { Matrix } from '../circuit/complex.ts';

/** What goes wrong on a device, and where; `parseNoiseModel` reads it from JSON. All that apply act, in order. */
export interface NoiseModel {
  readonly rules: readonly NoiseRule[];
  readonly readout: readonly ReadoutError[];
}

/** A channel after some operations. */
export interface NoiseRule {
  readonly after: 'gate' | 'reset' | 'measure';
  /** Of these names, a `c` before for each control, such as `x`, `cx`, `ccx`. Absent: all. */
  readonly gates?: readonly string[];
  /** Only on gates over so many qubits, controls included. */
  readonly gateQubits?: number;
  /** Only on these qubits. A channel over two needs both among them. */
  readonly qubits?: readonly number[];
  readonly channel: Channel;
}

export type Channel =
  /** With the probability, the qubits of the gate are mixed evenly: one or two together, more each for itself. */
  | { readonly kind: 'depolarizing'; readonly probability: number }
  /** What is left of 1 is the probability that nothing happens. Letters as in `PauliTerm`, none of them all I. */
  | {
      readonly kind: 'pauli';
      readonly qubits: 1 | 2;
      readonly terms: readonly { readonly letters: string; readonly probability: number }[];
    }
  /** `ρ → Σ K ρ K†`; the first qubit is the least significant. */
  | { readonly kind: 'kraus'; readonly qubits: 1 | 2; readonly operators: readonly Matrix[] };

/** A measured bit is read wrongly. */
export interface ReadoutError {
  /** Absent: all. The last that names a qubit counts. */
  readonly qubits?: readonly number[];
  /** Probability to read 1 where 0 was measured. */
  readonly oneGivenZero: number;
  /** Probability to read 0 where 1 was measured. */
  readonly zeroGivenOne: number;
}
