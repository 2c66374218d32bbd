import type { ResourceRequirements, Step, Workflow } from '../../protocol/workflow.ts';

/** What a step asks of a node. Steps with equal demands share a queue. */
export interface Demand {
  /** Equal for equal demands. */
  readonly shape: string;
  readonly stepType: string;
  /** Amounts to reserve, by resource name. */
  readonly resources: Readonly<Record<string, number>>;
  readonly backend: string | undefined;
  readonly prefer: string | undefined;
  readonly requireNode: string | undefined;
  readonly requireLabels: Readonly<Record<string, string>> | undefined;
  /** Only the coordinator itself may run the step. */
  readonly localOnly: boolean;
}

/** Resources that a node which doesn't declare them has without limit; any other that isn't declared is absent. */
export const unmetered: ReadonlySet<string> = new Set(['ram_mb', 'cpu_cores']);

/** @param own what the step's adapter says that it needs; what the step itself says counts more */
export function demandOf(step: Step, workflow: Workflow, own: Readonly<Record<string, number>> = {}): Demand {
  const { node_preference: preference, resource_requirements: requirements } = step;
  const wish = typeof preference === 'string' ? { prefer: preference } : preference;
  const demand = {
    stepType: step.type,
    resources: amounts(requirements, own),
    backend: requirements?.backend,
    prefer: wish?.prefer === 'any' ? undefined : wish?.prefer,
    requireNode: wish !== undefined && 'require_node' in wish ? wish.require_node : undefined,
    requireLabels: wish !== undefined && 'require_labels' in wish ? wish.require_labels : undefined,
    localOnly: workflow.distributed === false,
  };
  return { ...demand, shape: JSON.stringify(demand) };
}

function amounts(
  requirements: ResourceRequirements | undefined,
  own: Readonly<Record<string, number>>,
): Record<string, number> {
  const { ram_mb, cpu_cores, gpu, gpu_memory_mb, qubits, db_connections } = requirements ?? {};
  const stated = {
    ram_mb,
    cpu_cores,
    gpu: gpu === true ? 1 : gpu === false ? 0 : gpu,
    gpu_memory_mb,
    qubits,
    db_connections,
  };
  const all = new Map(Object.entries(own));
  for (const [name, amount] of Object.entries(stated)) if (amount !== undefined) all.set(name, amount);
  return Object.fromEntries([...all].filter(([, amount]) => amount > 0));
}
