import { type BytesDeps, findBytes, type NamedBytes } from '../../../kit/named-bytes.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { moduleLimits } from '../binary/limits.ts';

/** A module as a step names it: its digest, and its bytes once they are needed. */
export type ModuleSource = NamedBytes;
export type SourceDeps = BytesDeps;

const kind = { noun: 'module', codes: 'MODULE', param: 'params.module', bytesMax: moduleLimits.sizeBytes };

/**
 * Finds a step's module by `params.module`: a name or digest that the run has fixed or this node has a file for, a URL, `{ base64 }`, or bytes that
 * another step stored. Its digest stands in the receipt.
 *
 * @throws StepError MODULE_NOT_FOUND, MODULE_FETCH_FAILED, MODULE_DIGEST_MISMATCH, MODULE_TOO_LARGE, INVALID_PARAMS, EGRESS_DENIED
 */
export const findModule = (
  { module, digest }: JSONObject,
  context: AdapterContext,
  deps: SourceDeps,
): Promise<ModuleSource> =>
  findBytes(module ?? null, typeof digest === 'string' ? digest : undefined, kind, context, deps);
