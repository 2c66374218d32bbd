import type { JSONValue } from '../../lib/json.ts';
import { setOwn } from '../../lib/json.ts';
import { isoTime } from '../../lib/time.ts';
import type { Stored } from '../../protocol/events.ts';
import type { ResultLeaf, RunPredicate } from '../../protocol/receipt.ts';
import type { DistributedResult, MerkleProof, Receipt, RunSummary, TimelineEntry } from '../../protocol/result.ts';
import { merkleProofs, merkleRootOf, resultRootOf } from '../receipt/roots.ts';
import { statedBy } from '../receipt/statement.ts';
import { finalStatus, type ReceiptRecord, type RunState } from './state.ts';

/** How an output is shown: its value, or its digest where it is too large to be carried along. */
export type Shown = (stored: Stored) => { value: JSONValue; ref?: { digest: string; bytes: number } };

/** The result object of a run, finished or not. */
export function resultOf(run: RunState, show: Shown, now: number): DistributedResult {
  const { started, ended, plan, counts } = run;
  const proofs = ended === undefined ? [] : merkleProofs(run.receipts.map(({ leaf }) => leaf));
  const outputs: Record<string, JSONValue> = {};
  for (const { step } of plan.steps) {
    const { state } = recordAt(run, step.id);
    if (state.kind === 'succeeded') setOwn(outputs, step.id, show(state.output).value);
  }
  const result: DistributedResult = {
    workflow_id: plan.workflow.workflow,
    run_id: run.runId,
    status: ended?.status ?? 'running',
    receipts: run.receipts.map((receipt, index) => userReceipt(run, receipt, proofs[index] ?? null, show)),
    outputs,
    merkle_root: ended?.merkle_root ?? null,
    result_root: ended?.result_root ?? null,
    execution_trace: { nodes: nodesOf(run), timeline: run.timeline.map((entry) => timelineEntry(run, entry)) },
    stats: {
      total_steps: run.steps.length,
      succeeded: counts.succeeded,
      failed: counts.failed,
      skipped: ended === undefined ? 0 : counts.blocked + counts.ready + counts.backoff,
      cancelled: counts.cancelled,
      running: counts.assigned,
      waiting: ended === undefined ? counts.blocked + counts.ready + counts.backoff : 0,
      retries: run.retries,
      reassignments: run.reassignments,
      total_time_ms: (ended?.at ?? now) - started.at,
    },
  };
  const error = ended === undefined ? run.failure : ended.error;
  if (error !== undefined) result.error = error;
  return result;
}

function recordAt(run: RunState, id: string) {
  const index = run.plan.byId.get(id)?.index ?? -1;
  return run.steps[index] ?? { state: { kind: 'blocked' as const, missing: 0 } };
}

const nodesOf = (run: RunState): string[] => [...new Set(run.timeline.map(({ node }) => node))];

function timelineEntry(run: RunState, trace: RunState['timeline'][number]): TimelineEntry {
  return {
    step_id: stepId(run, trace.step),
    node: trace.node,
    attempt: trace.attempt,
    started_at: isoTime(trace.at),
    latency_ms: trace.latencyMs,
    reason: trace.reason,
    outcome: trace.outcome,
  };
}

const stepId = (run: RunState, index: number): string => run.plan.steps[index]?.step.id ?? '';

function userReceipt(run: RunState, record: ReceiptRecord, proof: MerkleProof | null, show: Shown): Receipt {
  const predicate = statedBy(record.envelope);
  const { state } = recordAt(run, predicate.step_id);
  const output =
    state.kind === 'succeeded' && predicate.status === 'success' ? show(state.output) : { value: null, ref: undefined };
  return {
    step_id: predicate.step_id,
    status: predicate.status,
    output: output.value,
    ...(output.ref === undefined ? {} : { output_ref: output.ref }),
    ...(record.error === undefined ? {} : { error: record.error }),
    merkle_proof: proof,
    execution_metadata: {
      timestamp: predicate.finished_at,
      latency_ms: record.latencyMs,
      adapter_version: predicate.adapter.version,
      executor_node: record.node,
      attempt: record.attempt,
    },
    signature: `ed25519:${record.envelope.signatures[0]?.sig ?? ''}`,
  };
}

/** What the coordinator signs about a settled run. */
export function concludeRun(
  run: RunState,
  coordinator: { id: string; key_id: string },
  epoch: number,
  at: number,
): RunPredicate {
  const { started, plan } = run;
  const status = finalStatus(run);
  const failure =
    status === 'cancelled'
      ? { code: 'CANCELLED', message: run.stopping?.why ?? 'cancelled', retryable: false }
      : run.failure;
  return {
    run_id: run.runId,
    workflow: plan.workflow.workflow,
    workflow_digest: plan.digest,
    input_digest: started.input_digest,
    tenant_id: started.tenant_id,
    status,
    ...(failure === undefined || status === 'completed' ? {} : { error: failure }),
    tree_size: run.receipts.length,
    merkle_root: merkleRootOf(run.receipts.map(({ leaf }) => leaf)),
    result_root: resultRootOf(resultLeaves(run)),
    not_run: notRun(run),
    coordinator,
    epoch,
    started_at: isoTime(started.at),
    finished_at: isoTime(at),
  };
}

/** One leaf per step that succeeded, in the order of the workflow. */
function resultLeaves(run: RunState): ResultLeaf[] {
  return run.plan.steps.flatMap(({ index, step, digest }) => {
    const state = run.steps[index]?.state;
    if (state?.kind !== 'succeeded') return [];
    return [{ step: step.id, step_digest: digest, input_digest: state.inputDigest, output_digest: state.outputDigest }];
  });
}

function notRun(run: RunState): RunPredicate['not_run'] {
  return run.plan.steps.flatMap(({ index, step }) => {
    const kind = run.steps[index]?.state.kind;
    if (kind === 'succeeded' || kind === 'failed') return [];
    return [{ step_id: step.id, state: kind === 'cancelled' ? ('cancelled' as const) : ('skipped' as const) }];
  });
}

/** The run as lists show it. */
export function summaryOf(run: RunState): RunSummary {
  const { counts, ended, started } = run;
  return {
    run_id: run.runId,
    workflow: run.plan.workflow.workflow,
    status: ended?.status ?? 'running',
    tenant_id: started.tenant_id,
    started_at: isoTime(started.at),
    finished_at: ended === undefined ? null : isoTime(ended.at),
    steps_total: run.steps.length,
    steps_done: counts.succeeded + counts.failed + counts.cancelled,
  };
}
