import { decodeReceipt } from '../core/receipt/statement.ts';
import { verifyBundle } from '../core/receipt/verify.ts';
import { type Plan, planWorkflow } from '../core/workflow/plan.ts';
import { resolveParams } from '../core/workflow/references.ts';
import { ephemeralIdentity } from '../identity/identity.ts';
import { digestOf } from '../lib/canonical.ts';
import { JSONFlowError, messageOf } from '../lib/errors.ts';
import type { JSONObject, JSONValue } from '../lib/json.ts';
import { findPointers } from '../lib/secrets.ts';
import type { Vault } from '../ports/vault.ts';
import type { Bundle, ReceiptPredicate, TrustFile } from '../protocol/receipt.ts';
import type { Workflow } from '../protocol/workflow.ts';
import { Attempt } from '../worker/attempt.ts';
import type { AdapterRegistry } from '../worker/registry.ts';
import { systemClock } from './system.ts';

interface ReplayedStep {
  step_id: string;
  /** `skipped` where the step can't be repeated here: `detail` says why. */
  status: 'same' | 'different' | 'skipped';
  detail: string;
}

export interface ReplayReport {
  /** The bundle's evidence holds, and every step that could be repeated gave the same output. */
  verified: boolean;
  run_id: string;
  workflow: string;
  same: number;
  different: number;
  skipped: number;
  steps: ReplayedStep[];
}

export interface ReplayDeps {
  registry: AdapterRegistry;
  vault: Vault;
  stopGraceMs: number;
  /** Keys of the signers to accept. */
  trust?: TrustFile;
  /** The bundle is of this engine's own store. */
  own: boolean;
  /** Data and files that steps used, by digest. */
  blob(digest: string): Promise<Uint8Array | undefined>;
}

/**
 * Runs the deterministic steps of a bundle again and compares the digests of their outputs with the receipts. Each step gets the
 * recorded outputs of its parents, so that one difference doesn't hide another.
 * @throws JSONFlowError BAD_EVIDENCE where the bundle itself does not hold
 */
export async function replayBundle(bundle: Bundle, deps: ReplayDeps): Promise<ReplayReport> {
  const evidence = verifyBundle(bundle, deps.trust === undefined ? {} : { trust: deps.trust });
  if (!evidence.ok) {
    const [first] = evidence.problems;
    throw new JSONFlowError(
      'BAD_EVIDENCE',
      `the bundle does not hold: ${first?.where ?? ''} ${first?.message ?? ''}`.trim(),
      {
        hint: 'Run `jsonflow verify` on it for all that is wrong.',
      },
    );
  }
  const plan = planWorkflow(bundle.workflow as unknown as Workflow);
  const receipts = new Map<string, ReceiptPredicate>();
  for (const envelope of bundle.receipts) {
    const { predicate } = decodeReceipt(envelope);
    if (predicate.status === 'success') receipts.set(predicate.step_id, predicate);
  }
  const steps: ReplayedStep[] = [];
  for (const index of plan.order) {
    const id = plan.steps[index]?.step.id ?? '';
    steps.push({ step_id: id, ...(await replayStep(id, plan, bundle, receipts, deps)) });
  }
  const count = (status: ReplayedStep['status']) => steps.filter((step) => step.status === status).length;
  return {
    verified: count('different') === 0,
    run_id: bundle.run_id,
    workflow: plan.workflow.workflow,
    same: count('same'),
    different: count('different'),
    skipped: count('skipped'),
    steps,
  };
}

async function replayStep(
  id: string,
  plan: Plan,
  bundle: Bundle,
  receipts: ReadonlyMap<string, ReceiptPredicate>,
  deps: ReplayDeps,
): Promise<Omit<ReplayedStep, 'step_id'>> {
  const skipped = (detail: string) => ({ status: 'skipped' as const, detail });
  const receipt = receipts.get(id);
  const step = plan.byId.get(id)?.step;
  if (receipt === undefined || step === undefined) return skipped('it did not succeed in this run');
  if (!receipt.deterministic) return skipped('its adapter does not promise equal outputs for equal inputs');
  const adapter = deps.registry.lookup(step.type);
  if (adapter === undefined) return skipped(`no adapter for ${step.type} is registered here`);
  // What the bundle says of itself must not make an effect happen again.
  if (adapter.stepType.deterministic !== true) return skipped('the adapter here does not promise equal outputs');
  const pointers = findPointers((step.params ?? {}) as JSONObject);
  if (pointers.length > 0 && !deps.own && deps.trust === undefined)
    return skipped('it needs secrets, which are for bundles of trusted signers only: give a trust file');
  let params: JSONObject;
  try {
    params = resolveParams((step.params ?? {}) as JSONObject, {
      input: bundle.input,
      output: (parent) => carried(bundle, parent),
    });
  } catch (thrown) {
    return skipped(`its input is not all in the bundle: ${messageOf(thrown)}`);
  }
  let missing: string | undefined;
  const result = await new Attempt(
    {
      ...receipt,
      params: { value: params },
      pointers,
      input_digest: digestOf(params),
      timeout_ms: step.resource_requirements?.timeout_ms ?? null,
    },
    { ...deps, nodeId: 'replay', signer: ephemeralIdentity(), clock: systemClock },
    {
      local: true,
      async getBlob(digest) {
        const used = Object.entries(receipt.assets ?? {}).find(([, known]) => known === digest)?.[0];
        // A foreign bundle must not read what else is in this store.
        const bytes = used === undefined && !deps.own ? undefined : await deps.blob(digest);
        if (bytes !== undefined) return bytes;
        missing = used === undefined ? `the blob ${digest.slice(0, 16)}…` : `the file that it used as ${used}`;
        throw new JSONFlowError('NOT_FOUND', `there is no blob ${digest} here`);
      },
      putBlob: async () => undefined,
      progress: () => undefined,
      log: () => undefined,
      checkpoint: async () => undefined,
    },
  ).run();
  if (result.error !== undefined) {
    if (result.error.code === 'SECRET_NOT_FOUND') return skipped(result.error.message);
    if (missing !== undefined) return skipped(`${missing} is not here; name the folder of a file with --assets`);
    return { status: 'different', detail: `it failed: ${result.error.message}` };
  }
  const { manifest } = adapter;
  const versions =
    manifest.version === receipt.adapter.version
      ? ''
      : ` (adapter version ${manifest.version}, then ${receipt.adapter.version})`;
  return result.output_digest === receipt.output_digest
    ? { status: 'same', detail: `output ${result.output_digest.slice(0, 16)}…${versions}` }
    : {
        status: 'different',
        detail: `output ${result.output_digest.slice(0, 16)}…, the receipt says ${receipt.output_digest.slice(0, 16)}…${versions}`,
      };
}

function carried(bundle: Bundle, step: string): JSONValue | undefined {
  const output = Object.hasOwn(bundle.outputs, step) ? bundle.outputs[step] : undefined;
  return output !== undefined && 'value' in output ? output.value : undefined;
}
