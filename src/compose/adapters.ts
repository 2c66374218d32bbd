import { createDatabaseAdapter } from '../adapters/database/adapter.ts';
import { createMlAdapter } from '../adapters/ml/adapter.ts';
import { needsOf as mlNeedsOf } from '../adapters/ml/needs.ts';
import { createMqAdapter } from '../adapters/mq/adapter.ts';
import { createNetworkAdapter } from '../adapters/network/adapter.ts';
import { createQuantumAdapter } from '../adapters/quantum/adapter.ts';
import { createTransformAdapter } from '../adapters/transform/adapter.ts';
import { createWasmAdapter } from '../adapters/wasm/adapter.ts';
import { createEgress } from '../egress/egress.ts';
import { JSONFlowError } from '../lib/errors.ts';
import type { Adapter, AdapterStep } from '../ports/adapter.ts';
import type { Assets } from '../ports/assets.ts';
import type { Egress } from '../ports/egress.ts';

/** What a node has for its adapters. */
export interface AdapterDeps {
  egress: Egress;
  /** Files of this node. */
  assets?: Assets;
  /** What the node is said to offer. */
  resources?: Readonly<Record<string, number>> | undefined;
}

/** The adapters that come with JSONFlow, by id. What each needs to do its work, such as drivers, it loads when a step first asks for it. */
const builtIn: Readonly<Record<string, (deps: AdapterDeps) => Adapter>> = {
  transform: () => createTransformAdapter(),
  database: createDatabaseAdapter,
  mq: createMqAdapter,
  network: createNetworkAdapter,
  wasm: createWasmAdapter,
  ml: createMlAdapter,
  // What the node offers is what its circuits may have.
  quantum: ({ egress, resources }) =>
    createQuantumAdapter({ egress }, resources?.qubits === undefined ? {} : { max_qubits: resources.qubits }),
};

/** What a step of a built-in adapter needs of a node, also where this one does not offer the adapter. */
export async function builtInRequirements(step: AdapterStep): Promise<Readonly<Record<string, number>>> {
  if (!step.type.startsWith('quantum_')) return mlNeedsOf(step);
  try {
    return (await import('../adapters/quantum/needs.ts')).needsOf(step);
  } catch {
    // The step will fail with what is wrong with it, where that can be told in full.
    return {};
  }
}

/** @param ids `all`, or ids of built-in adapters; default all @throws JSONFlowError INVALID_CONFIG */
export function chosenAdapters(
  ids: readonly string[] = ['all'],
  deps: AdapterDeps = { egress: createEgress() },
): Adapter[] {
  if (ids.includes('all')) return Object.values(builtIn).map((create) => create(deps));
  return ids.map((id) => {
    const create = Object.hasOwn(builtIn, id) ? builtIn[id] : undefined;
    if (create !== undefined) return create(deps);
    throw new JSONFlowError('INVALID_CONFIG', `there is no adapter ${JSON.stringify(id)}`, {
      hint: `This release has: ${Object.keys(builtIn).join(', ')}. Custom adapters need not be listed.`,
    });
  });
}
