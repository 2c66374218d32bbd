import type { Plan, PlannedStep } from '../core/workflow/plan.ts';
import { JSONFlowError } from '../lib/errors.ts';
import { isObject } from '../lib/json.ts';
import { type Assets, assetDigest, isAssetName } from '../ports/assets.ts';
import type { Store } from '../ports/store.ts';
import { limits } from '../protocol/limits.ts';
import type { StepTypeManifest } from '../protocol/messages.ts';
import { paramsOf } from './active-run.ts';

interface Sources {
  assets: Assets | undefined;
  store: Store;
  shared: boolean;
}

/**
 * Fixes the files that a run's steps name: their bytes go to the blob store, so that every attempt on every node uses the same,
 * whatever becomes of the files. A name that this node has no file for is left to the adapter.
 *
 * @param shared whether whoever submits may use any blob of the store by its digest: a tenant may not, it could be another's output
 * @returns digests by name; undefined where there are none
 * @throws JSONFlowError LIMIT_EXCEEDED, CONFLICT, INVALID_CONFIG
 */
export async function pinAssets(
  plan: Plan,
  stepTypes: ReadonlyMap<string, StepTypeManifest>,
  { assets, store, shared }: Sources,
): Promise<Record<string, string> | undefined> {
  const pinned: Record<string, string> = {};
  for (const name of namesIn(plan, stepTypes)) {
    const digest = await pin(name, { assets, store, shared });
    if (digest !== undefined) pinned[name] = digest;
  }
  return Object.keys(pinned).length === 0 ? undefined : pinned;
}

/** Those of a run's assets that a step names. */
export function assetsOf(
  planned: PlannedStep,
  pinned: Readonly<Record<string, string>> | undefined,
): Record<string, string> | undefined {
  if (pinned === undefined) return undefined;
  const found: Record<string, string> = {};
  const look = (value: unknown): void => {
    if (typeof value === 'string') {
      if (Object.hasOwn(pinned, value)) found[value] = pinned[value] ?? '';
    } else if (Array.isArray(value)) value.forEach(look);
    else if (isObject(value)) Object.values(value).forEach(look);
  };
  look(paramsOf(planned));
  return Object.keys(found).length === 0 ? undefined : found;
}

/** Texts at a path of params: lists along it are looked through, `*` is any name. */
function* textsAt(value: unknown, path: readonly string[]): Generator<string> {
  if (Array.isArray(value)) {
    for (const element of value) yield* textsAt(element, path);
    return;
  }
  const [name, ...rest] = path;
  if (name === undefined) {
    if (typeof value === 'string') yield value;
  } else if (isObject(value)) {
    if (name === '*') for (const each of Object.values(value)) yield* textsAt(each, rest);
    else if (Object.hasOwn(value, name)) yield* textsAt(value[name], rest);
  }
}

function namesIn(plan: Plan, stepTypes: ReadonlyMap<string, StepTypeManifest>): Set<string> {
  const names = new Set<string>();
  for (const planned of plan.steps) {
    const params = paramsOf(planned);
    const ofStep = new Set<string>();
    for (const param of stepTypes.get(planned.step.type)?.asset_params ?? [])
      for (const value of textsAt(params, param.split('.'))) {
        if (!isAssetName(value)) continue;
        ofStep.add(value);
        names.add(value);
        if (ofStep.size > limits.assetsPerStepMax || names.size > limits.assetsPerRunMax)
          throw new JSONFlowError(
            'LIMIT_EXCEEDED',
            `the steps name more files than the ${limits.assetsPerRunMax} that a run may use, ${limits.assetsPerStepMax} in one step`,
            { hint: 'Split the workflow.' },
          );
      }
  }
  return names;
}

async function pin(name: string, { assets, store, shared }: Sources): Promise<string | undefined> {
  const stated = assetDigest(name);
  if (shared && stated !== undefined && (await store.hasBlob(stated))) return stated;
  const asset = await assets?.find(name);
  if (asset === undefined) return undefined;
  if (!(await store.hasBlob(asset.digest))) await store.putBlob(asset.digest, await asset.read());
  return asset.digest;
}
