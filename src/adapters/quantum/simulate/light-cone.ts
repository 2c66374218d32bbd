import { bitsIn, qubitsOf, type Step } from './program.ts';

interface Live {
  readonly qubits: Set<number>;
  readonly bits: Set<number>;
}

/** The steps without those that can't change the given qubits and bits at the end: they lie outside their past light cone. */
export function lightCone(steps: readonly Step[], qubits: Iterable<number>, bits: Iterable<number>): readonly Step[] {
  return prune(steps, { qubits: new Set(qubits), bits: new Set(bits) });
}

/** Backwards; `live` becomes what the result depends on before the steps. */
function prune(steps: readonly Step[], live: Live): readonly Step[] {
  return steps
    .toReversed()
    .flatMap((step) => keep(step, live) ?? [])
    .reverse();
}

function keep(step: Step, live: Live): Step | undefined {
  const use = (qubits: readonly number[]): Step | undefined => {
    if (!qubits.some((qubit) => live.qubits.has(qubit))) return undefined;
    for (const qubit of qubits) live.qubits.add(qubit);
    return step;
  };
  switch (step.kind) {
    case 'gate':
      return use(qubitsOf(step));
    case 'noise':
      return use(step.qubits);
    case 'reset':
      // Whatever the qubit was does not matter before.
      return live.qubits.delete(step.qubit) ? step : undefined;
    case 'measure':
      if (!live.bits.delete(step.bit)) return use([step.qubit]);
      live.qubits.add(step.qubit);
      return step;
    case 'branch': {
      const other = copy(live);
      const body = prune(step.body, live);
      const otherwise = prune(step.otherwise, other);
      if (body.length === 0 && otherwise.length === 0) return undefined;
      unite(live, other);
      unite(live, { qubits: new Set(), bits: new Set(bitsIn(step.condition)) });
      return { ...step, body, otherwise };
    }
    case 'loop':
      return keepLoop(step, live);
  }
}

/** A loop may run any number of times, so what its body needs is needed after it, too. Loops stay even where they are empty: they may never end. */
function keepLoop(step: Extract<Step, { kind: 'loop' }>, live: Live): Step {
  unite(live, { qubits: new Set(), bits: new Set(bitsIn(step.condition)) });
  for (;;) {
    const before = copy(live);
    const body = prune(step.body, before);
    const size = live.qubits.size + live.bits.size;
    unite(live, before);
    if (live.qubits.size + live.bits.size === size) return { ...step, body };
  }
}

const copy = ({ qubits, bits }: Live): Live => ({ qubits: new Set(qubits), bits: new Set(bits) });

function unite(into: Live, from: Live): void {
  for (const qubit of from.qubits) into.qubits.add(qubit);
  for (const bit of from.bits) into.bits.add(bit);
}
