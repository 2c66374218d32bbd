/** The workflows that are measured: no-op steps, so that what remains is the engine. */
interface BenchStep {
  id: string;
  type: 'mock_compute';
  params: Record<string, unknown>;
  parent_step_ids?: string[];
}

export interface Shape {
  name: string;
  steps: number;
  workflow: { workflow: string; steps: BenchStep[]; fault_tolerance?: Record<string, unknown> };
}

const step = (id: string, parents: string[] = [], delayMs = 0): BenchStep => ({
  id,
  type: 'mock_compute',
  params: { input: id, ...(delayMs > 0 ? { delay_ms: delayMs } : {}) },
  ...(parents.length > 0 ? { parent_step_ids: parents } : {}),
});

const shape = (name: string, steps: BenchStep[]): Shape => ({
  name,
  steps: steps.length,
  workflow: { workflow: name, steps },
});

export const chain = (length: number, delayMs = 0): Shape =>
  shape(
    `chain of ${length}`,
    Array.from({ length }, (_, i) => step(`s${i}`, i === 0 ? [] : [`s${i - 1}`], delayMs)),
  );

/** `width` steps side by side between a first and a last one. */
function fanOut(width: number): Shape {
  const middle = Array.from({ length: width }, (_, i) => step(`m${i}`, ['first']));
  return shape(`fan-out ${width} + join`, [
    step('first'),
    ...middle,
    step(
      'last',
      middle.map(({ id }) => id),
    ),
  ]);
}

/** `layers` layers of `width` steps, each step with two parents in the layer above. */
export function layered(layers: number, width: number, delayMs = 0): Shape {
  const steps: BenchStep[] = [];
  for (let layer = 0; layer < layers; layer++)
    for (let i = 0; i < width; i++) {
      const parents = layer === 0 ? [] : [`l${layer - 1}_${i}`, `l${layer - 1}_${(i + 1) % width}`];
      steps.push(step(`l${layer}_${i}`, parents, delayMs));
    }
  return shape(`layered ${layers * width}`, steps);
}

export const parallel = (width: number, delayMs: number): Shape =>
  shape(
    `parallel ${width}`,
    Array.from({ length: width }, (_, i) => step(`p${i}`, [], delayMs)),
  );

export const speedShapes: readonly Shape[] = [chain(10), fanOut(20), layered(10, 5)];
