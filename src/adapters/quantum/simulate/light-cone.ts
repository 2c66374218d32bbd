import type { GateOperation } from '../circuit/circuit.ts';
import { bitsRead } from '../circuit/wires.ts';
import { kindOf } from './matrix-kind.ts';
import { type NoiseStep, qubitsOf, type Step } from './program.ts';

/** How a qubit matters: only how likely it is 0 and 1, together with others, or its phases, too. */
export type Interest = 'basis' | 'full';

/** What the result depends on at some place of the program. */
interface Live {
  readonly qubits: Map<number, Interest>;
  readonly bits: Set<number>;
}

/** The steps without those that can't change what is of interest at the end: they lie outside its past light cone, or change phases alone. */
export function lightCone(
  steps: readonly Step[],
  qubits: Iterable<readonly [number, Interest]>,
  bits: Iterable<number>,
): readonly Step[] {
  const live: Live = { qubits: new Map(), bits: new Set(bits) };
  for (const [qubit, interest] of qubits) raise(live, [qubit], interest);
  return prune(steps, live);
}

/** Backwards; `live` becomes what the result depends on before the steps. */
function prune(steps: readonly Step[], live: Live): readonly Step[] {
  return steps
    .toReversed()
    .flatMap((step) => keep(step, live) ?? [])
    .reverse();
}

function keep(step: Step, live: Live): Step | undefined {
  switch (step.kind) {
    case 'gate':
      return keepGate(step, live);
    case 'noise':
      return keepNoise(step, live);
    case 'reset':
      // Whatever the qubit was does not matter before.
      return live.qubits.delete(step.qubit) ? step : undefined;
    case 'measure':
      // Where nobody looks at the bit, it takes phases away, and nothing else.
      if (!live.bits.delete(step.bit)) return live.qubits.get(step.qubit) === 'full' ? step : undefined;
      raise(live, [step.qubit], 'basis');
      return step;
    case 'branch': {
      const other = copy(live);
      const body = prune(step.body, live);
      const otherwise = prune(step.otherwise, other);
      if (body.length === 0 && otherwise.length === 0) return undefined;
      unite(live, other);
      for (const bit of bitsRead(step.condition)) live.bits.add(bit);
      return { ...step, body, otherwise };
    }
    case 'loop':
      return keepLoop(step, live);
  }
}

function keepGate(step: GateOperation, live: Live): Step | undefined {
  const qubits = qubitsOf(step);
  const interests = qubits.flatMap((qubit) => live.qubits.get(qubit) ?? []);
  if (interests.length === 0) return undefined;
  const { spread, isDiagonal } = kindOf(step);
  const isBasis = interests.every((interest) => interest === 'basis');
  // Controls keep their value, and what happens to qubits nobody looks at is lost.
  const turnsNone = isDiagonal || step.targets.every((qubit) => !live.qubits.has(qubit));
  if (isBasis && turnsNone) return undefined;
  raise(live, qubits, isBasis && spread === 1 ? 'basis' : 'full');
  return step;
}

function keepNoise(step: NoiseStep, live: Live): Step | undefined {
  const interests = step.qubits.flatMap((qubit) => live.qubits.get(qubit) ?? []);
  if (interests.length === 0) return undefined;
  const isBasis = interests.every((interest) => interest === 'basis');
  const turnsNone = step.form.cases.every(({ letters }) => letters !== undefined && /^[IZ]*$/.test(letters));
  if (isBasis && turnsNone) return undefined;
  raise(live, step.qubits, isBasis && step.form.isPauli ? 'basis' : 'full');
  return step;
}

/** A loop may run any number of times, so what its body needs is needed after it, too. Loops stay even where they are empty: they may never end. */
function keepLoop(step: Extract<Step, { kind: 'loop' }>, live: Live): Step {
  for (const bit of bitsRead(step.condition)) live.bits.add(bit);
  for (;;) {
    const before = copy(live);
    const body = prune(step.body, before);
    if (!unite(live, before)) return { ...step, body };
  }
}

/** @returns whether anything changed */
function raise({ qubits }: Live, these: Iterable<number>, interest: Interest): boolean {
  let changed = false;
  for (const qubit of these) {
    const now = qubits.get(qubit);
    if (now === 'full' || now === interest) continue;
    qubits.set(qubit, interest);
    changed = true;
  }
  return changed;
}

const copy = ({ qubits, bits }: Live): Live => ({ qubits: new Map(qubits), bits: new Set(bits) });

/** @returns whether anything changed */
function unite(into: Live, from: Live): boolean {
  let changed = false;
  for (const [qubit, interest] of from.qubits) changed = raise(into, [qubit], interest) || changed;
  const bits = into.bits.size;
  for (const bit of from.bits) into.bits.add(bit);
  return changed || into.bits.size > bits;
}
