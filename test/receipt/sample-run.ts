import { buildBundle } from '../../src/core/receipt/bundle.ts';
import { envelopeDigest, pae, toEnvelope } from '../../src/core/receipt/dsse.ts';
import { merkleRootOf, receiptLeaf, resultLeafOf, resultRootOf } from '../../src/core/receipt/roots.ts';
import { nullDigest, receiptPayload, runPayload } from '../../src/core/receipt/statement.ts';
import { planWorkflow } from '../../src/core/workflow/plan.ts';
import { resolveParams } from '../../src/core/workflow/references.ts';
import { ephemeralIdentity } from '../../src/identity/identity.ts';
import { digestOf } from '../../src/lib/canonical.ts';
import type { JSONObject, JSONValue } from '../../src/lib/json.ts';
import type { Signer } from '../../src/ports/signer.ts';
import {
  type Bundle,
  type Envelope,
  type PublicKeyEntry,
  payloadType,
  type ReceiptPredicate,
  type RunPredicate,
  type TrustFile,
} from '../../src/protocol/receipt.ts';
import type { Workflow } from '../../src/protocol/workflow.ts';

/** A small run whose evidence is real: every digest computed, every statement signed, with keys from fixed seeds. */

export const runId = 'run-0001';

export const nodes: Record<'coordinator' | 'w1' | 'w2' | 'stranger', Signer> = {
  coordinator: ephemeralIdentity(new Uint8Array(32).fill(1)),
  w1: ephemeralIdentity(new Uint8Array(32).fill(2)),
  w2: ephemeralIdentity(new Uint8Array(32).fill(3)),
  stranger: ephemeralIdentity(new Uint8Array(32).fill(4)),
};
type NodeId = keyof typeof nodes;

export const workflow: Workflow = {
  workflow: 'residents',
  version: '1.0.0',
  tenant_id: 'acme',
  fault_tolerance: { retry_failed_steps: true },
  steps: [
    { id: 'load', type: 'transform_map', params: { input: '$input.rows' } },
    { id: 'keep', type: 'transform_filter', params: { input: '$load.result', key: 'city', value: 'Zürich' } },
    { id: 'ages', type: 'transform_map', params: { input: '$keep.result.age' } },
    { id: 'label', type: 'mock_compute', params: { input: '${keep.count} people', delay_ms: 1 } },
    {
      id: 'sum',
      type: 'transform_reduce',
      params: { input: '$ages.result', operation: 'sum', token: 'vault://reports#2' },
      parent_step_ids: ['label'],
    },
  ],
};

const rows = [
  { name: 'Ada', city: 'Zürich', age: 36 },
  { name: 'Bao', city: '東京', age: 41.5 },
  { name: 'Çem', city: 'Zürich', age: 29 },
];

export const input: JSONObject = { rows };

export const outputs: Record<string, JSONValue> = {
  load: { result: rows, count: 3 },
  keep: { result: rows.filter(({ city }) => city === 'Zürich'), count: 2 },
  ages: { result: [36, 29], count: 2 },
  label: { result: '2 people' },
  sum: { result: 65 },
};

export interface Attempt {
  step: string;
  attempt: number;
  node: NodeId;
  failed?: boolean;
}

/** In journal order. */
const attempts: Attempt[] = [
  { step: 'load', attempt: 1, node: 'w1' },
  { step: 'keep', attempt: 1, node: 'w2' },
  { step: 'label', attempt: 1, node: 'w1', failed: true },
  { step: 'ages', attempt: 1, node: 'w2' },
  { step: 'label', attempt: 3, node: 'w2' },
  { step: 'sum', attempt: 1, node: 'w1' },
];

/** What to do differently from an honest run; what is changed is signed as changed. */
export interface Lies {
  runId?: string;
  attempts?: Attempt[];
  receipt?: (predicate: ReceiptPredicate) => void;
  /** Changes the list of receipts before the roots are computed. */
  receipts?: (envelopes: Envelope[]) => Envelope[];
  run?: (predicate: RunPredicate) => void;
  bundle?: (bundle: Bundle) => void;
  /** Who signs in whose name. */
  signAs?: Partial<Record<NodeId, NodeId>>;
}

const at = (second: number): string => `2026-01-31T12:00:${String(second).padStart(2, '0')}.000Z`;

const entryOf = (id: NodeId): PublicKeyEntry => ({
  node_id: id,
  key_id: nodes[id].keyId,
  public_key: nodes[id].publicKey,
});

export const trust: TrustFile = {
  jsonflow_trust: 1,
  keys: [
    { ...entryOf('coordinator'), roles: ['coordinator'] },
    { ...entryOf('w1'), roles: ['worker'] },
    { ...entryOf('w2'), roles: ['worker'] },
  ],
};

export async function sampleRun(lies: Lies = {}): Promise<Bundle> {
  const id = lies.runId ?? runId;
  const plan = planWorkflow(workflow);
  const successes = new Map<string, { digest: string; predicate: ReceiptPredicate }>();
  const failed = new Set<string>();
  let receipts: Envelope[] = [];

  const sign = async (payload: string, node: NodeId): Promise<Envelope> => {
    const signer = nodes[lies.signAs?.[node] ?? node];
    return toEnvelope(payload, nodes[node].keyId, await signer.sign(pae(payloadType, payload)));
  };

  for (const [second, { step, attempt, node, failed: fails }] of (lies.attempts ?? attempts).entries()) {
    const planned = plan.byId.get(step);
    if (planned === undefined) throw new Error(`no step ${step}`);
    const lookup = { output: (stepId: string) => outputs[stepId], input };
    const predicate: ReceiptPredicate = {
      run_id: id,
      step_id: step,
      step_type: planned.step.type,
      attempt,
      epoch: 2,
      tenant_id: 'acme',
      workflow_digest: plan.digest,
      step_digest: planned.digest,
      input_digest: digestOf(resolveParams((planned.step.params ?? {}) as JSONObject, lookup)),
      output_digest: fails ? nullDigest : digestOf(outputs[step]),
      parents: planned.parents.map((index) => {
        const parent = plan.steps[index]?.step.id ?? '';
        return { step_id: parent, receipt_digest: successes.get(parent)?.digest ?? nullDigest };
      }),
      adapter: { id: 'transform', version: '0.1.0' },
      node: { id: node, key_id: nodes[node].keyId },
      started_at: at(second),
      finished_at: at(second + 1),
      status: fails ? 'failed' : 'success',
      ...(fails ? { error: { code: 'BUSY', message: 'try again', retryable: true } } : {}),
      deterministic: true,
      resources: { cpu_cores: 1, ram_mb: 64 },
    };
    lies.receipt?.(predicate);
    const envelope = await sign(receiptPayload(predicate), node);
    receipts.push(envelope);
    if (fails) failed.add(step);
    else successes.set(step, { digest: envelopeDigest(envelope), predicate });
  }
  receipts = lies.receipts?.(receipts) ?? receipts;

  const succeeded = plan.steps.flatMap(({ step }) => successes.get(step.id) ?? []);
  const completed = succeeded.length === plan.steps.length;
  const run: RunPredicate = {
    run_id: id,
    workflow: workflow.workflow,
    workflow_digest: plan.digest,
    input_digest: digestOf(input),
    tenant_id: 'acme',
    status: completed ? 'completed' : 'failed',
    ...(completed ? {} : { error: { code: 'BUSY', message: 'try again', retryable: true } }),
    tree_size: receipts.length,
    merkle_root: merkleRootOf(receipts.map(receiptLeaf)),
    result_root: resultRootOf(succeeded.map(({ predicate }) => resultLeafOf(predicate))),
    not_run: plan.steps.flatMap(({ step }) =>
      successes.has(step.id) || failed.has(step.id) ? [] : [{ step_id: step.id, state: 'skipped' as const }],
    ),
    coordinator: { id: 'coordinator', key_id: nodes.coordinator.keyId },
    epoch: 2,
    started_at: at(0),
    finished_at: at(30),
  };
  lies.run?.(run);
  const bundle = buildBundle({
    run_id: id,
    workflow: structuredClone(workflow) as JSONObject,
    input: structuredClone(input),
    receipts,
    run_statement: await sign(runPayload(run), 'coordinator'),
    outputs: Object.fromEntries(
      [...successes.keys()].map((step) => [step, { value: structuredClone(outputs[step] ?? null) }]),
    ),
    keys: (Object.keys(nodes) as NodeId[]).map(entryOf),
  });
  lies.bundle?.(bundle);
  return bundle;
}
