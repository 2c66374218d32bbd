import { createDatabaseAdapter } from '../adapters/database/adapter.ts';
import { createMqAdapter } from '../adapters/mq/adapter.ts';
import { createNetworkAdapter } from '../adapters/network/adapter.ts';
import { createQuantumAdapter } from '../adapters/quantum/adapter.ts';
import { createTransformAdapter } from '../adapters/transform/adapter.ts';
import { createWasmAdapter } from '../adapters/wasm/adapter.ts';
import { createEgress } from '../egress/egress.ts';
import { JSONFlowError } from '../lib/errors.ts';
import type { Adapter } from '../ports/adapter.ts';
import type { Assets } from '../ports/assets.ts';
import type { Egress } from '../ports/egress.ts';

/** What a node has for its adapters. */
export interface AdapterDeps {
  egress: Egress;
  /** Files of this node. */
  assets?: Assets;
}

/** The adapters that come with JSONFlow, by id. What each needs to do its work, such as drivers, it loads when a step first asks for it. */
const builtIn: Readonly<Record<string, (deps: AdapterDeps) => Adapter>> = {
  transform: () => createTransformAdapter(),
  database: createDatabaseAdapter,
  mq: createMqAdapter,
  network: createNetworkAdapter,
  wasm: createWasmAdapter,
  quantum: createQuantumAdapter,
};

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
