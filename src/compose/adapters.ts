import { createTransformAdapter } from '../adapters/transform/adapter.ts';
import { JSONFlowError } from '../lib/errors.ts';
import type { Adapter } from '../ports/adapter.ts';

/** The adapters that come with JSONFlow, by id. */
const builtIn: Readonly<Record<string, () => Adapter>> = {
  transform: createTransformAdapter,
};

/** @param ids `all`, or ids of built-in adapters; default all @throws JSONFlowError INVALID_CONFIG */
export function chosenAdapters(ids: readonly string[] = ['all']): Adapter[] {
  if (ids.includes('all')) return Object.values(builtIn).map((create) => create());
  return ids.map((id) => {
    const create = Object.hasOwn(builtIn, id) ? builtIn[id] : undefined;
    if (create !== undefined) return create();
    throw new JSONFlowError('INVALID_CONFIG', `there is no adapter ${JSON.stringify(id)}`, {
      hint: `This release has: ${Object.keys(builtIn).join(', ')}. Custom adapters need not be listed.`,
    });
  });
}
