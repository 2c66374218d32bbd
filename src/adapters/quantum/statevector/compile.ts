import { StepError } from '../../../lib/errors.ts';
import type { GateOperation } from '../circuit/circuit.ts';
import { targetsOf } from '../circuit/gates.ts';
import { encodePasses, type Program } from './encode.ts';
import { type Layout, targetsMax } from './layout.ts';
import { Lowering } from './lower.ts';
import { planPasses } from './plan.ts';

interface Compiled {
  readonly gates: readonly GateOperation[];
  readonly layout: string;
  readonly programs: readonly Program[];
}

/** By the very array of gates, which the same circuit run again has; a copy tells whether it still holds the same. */
const compiled = new WeakMap<readonly GateOperation[], Compiled>();

/** Gates as programs of the kernel, one or more per pass over the state. @throws StepError CIRCUIT_TOO_LARGE for a matrix over too many qubits */
export function compile(gates: readonly GateOperation[], qubits: number, layout: Layout): readonly Program[] {
  const key = `${qubits} ${layout.precision} ${layout.blockQubits} ${layout.pool}`;
  const known = compiled.get(gates);
  if (known?.layout === key && isSame(known.gates, gates)) return known.programs;
  const lowering = new Lowering(qubits);
  for (const gate of gates) {
    assertPossible(gate);
    lowering.add(gate);
  }
  lowering.finish();
  const passes = planPasses(lowering.operations, qubits, layout.blockQubits, layout.lowQubits);
  const programs = encodePasses(passes, layout, lowering.factor);
  // An array of one gate is made for one call.
  if (gates.length > 1) compiled.set(gates, { gates: gates.slice(), layout: key, programs });
  return programs;
}

function assertPossible({ gate }: GateOperation): void {
  if (gate.name !== 'unitary' || targetsOf(gate) <= targetsMax) return;
  throw new StepError(
    'CIRCUIT_TOO_LARGE',
    `a matrix over ${targetsOf(gate)} qubits is more than the state vector applies at once: at most ${targetsMax}`,
  );
}

const isSame = (left: readonly unknown[], right: readonly unknown[]): boolean =>
  left.length === right.length && left.every((value, at) => value === right[at]);
