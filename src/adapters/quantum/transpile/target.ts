import { StepError } from '../../../lib/errors.ts';
import { oneQubitForms, writerFor } from './single.ts';

/** What a device can do. */
export interface Target {
  /**
   * Names of its gates: `cx` and `cz` for a controlled `x` and `z`, else as in the table of gates. They must make any gate of one qubit
   * (`u`, or `rz` with `sx`, `ry` or `rx`) and hold one of `cx`, `cz`, `ecr` and `rzz`. Others, such as `x`, `h` and `swap`, are used where circuits have them.
   */
  readonly basis: readonly string[];
  readonly qubits: number;
  /** Pairs of qubits that gates of two qubits may act on, the control (of `ecr`: the first target) first; undefined: all of them. */
  readonly coupling?: readonly (readonly [number, number])[] | undefined;
  /** Whether `cx` and `ecr` go the way of the pair only; they are turned around where it is the other. Default true. */
  readonly directed?: boolean | undefined;
  /** Whether it has branches on measured bits. Default true. */
  readonly branches?: boolean | undefined;
  /** Whether it has loops on measured bits. Default true. */
  readonly loops?: boolean | undefined;
  /** Whether it has resets, and gates after measurements. Default true. */
  readonly midCircuit?: boolean | undefined;
}

export const entanglers = ['cx', 'cz', 'ecr', 'rzz'] as const;
export type Entangler = (typeof entanglers)[number];

const qubitsMax = 4096;
const pairsMax = 100_000;

/** @throws StepError INVALID_PARAMS */
export function entanglerOf({ basis, qubits, coupling }: Target): Entangler {
  if (!(Number.isInteger(qubits) && qubits >= 1 && qubits <= qubitsMax))
    throw invalid(`qubits is ${qubits}, not a number from 1 to ${qubitsMax}`);
  if (writerFor(new Set(basis)) === undefined)
    throw invalid(`its basis (${basis.join(', ')}) does not make every gate of one qubit; it needs ${oneQubitForms}`);
  const found = entanglers.find((name) => basis.includes(name));
  if (found === undefined)
    throw invalid(
      `its basis (${basis.join(', ')}) has no gate of two qubits that is known here: ${entanglers.join(', ')}`,
    );
  if ((coupling?.length ?? 0) > pairsMax) throw invalid(`coupling has more than ${pairsMax} pairs`);
  for (const [at, [a, b]] of (coupling ?? []).entries())
    if (![a, b].every((qubit) => Number.isInteger(qubit) && qubit >= 0 && qubit < qubits) || a === b)
      throw invalid(`coupling[${at}] is [${a}, ${b}], not a pair of the qubits 0 to ${qubits - 1}`);
  return found;
}

const invalid = (what: string): StepError => new StepError('INVALID_PARAMS', `the target of a circuit: ${what}`);
