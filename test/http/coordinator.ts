import type { CoordinatorApi, DeploymentStatus, StreamEvent, SubmitRequest } from '../../src/engine/api.ts';
import { JSONFlowError } from '../../src/lib/errors.ts';
import { isObject } from '../../src/lib/json.ts';
import type { DistributedResult, RunSummary } from '../../src/protocol/result.ts';

const digest = 'ab'.repeat(32);
const at = Date.UTC(2026, 0, 1);
const time = new Date(at).toISOString();

interface StoredRun {
  events: StreamEvent[];
  /** Woken when an event is added. */
  grown: PromiseWithResolvers<void>;
  status: 'running' | 'completed';
  submitted: SubmitRequest;
}

/** A coordinator in memory whose events the test adds itself: what the HTTP layer is tested against, without an engine. */
export class ScriptedCoordinator implements CoordinatorApi {
  readonly runsById = new Map<string, StoredRun>();
  readonly keys = new Map<string, string>();
  healthStatus: 'ok' | 'degraded' | 'failed' = 'ok';
  failWith: Error | undefined;
  openStreams = 0;
  cancelledBecause: string | undefined;

  add(runId: string, item: StreamEvent): void {
    const run = this.#run(runId);
    run.events.push(item);
    if (item.event.kind === 'run.completed') run.status = 'completed';
    const { grown } = run;
    run.grown = Promise.withResolvers();
    grown.resolve();
  }

  #run(runId: string): StoredRun {
    const run = this.runsById.get(runId);
    if (run === undefined) throw new JSONFlowError('NOT_FOUND', `there is no run ${runId}`, { hint: 'See the list.' });
    return run;
  }

  async submit(request: SubmitRequest): Promise<{ run_id: string; created: boolean }> {
    if (this.failWith !== undefined) throw this.failWith;
    const known = request.idempotencyKey === undefined ? undefined : this.keys.get(request.idempotencyKey);
    if (known !== undefined) return { run_id: known, created: false };
    const runId = `run-${this.runsById.size + 1}`;
    if (request.idempotencyKey !== undefined) this.keys.set(request.idempotencyKey, runId);
    this.runsById.set(runId, {
      events: [],
      grown: Promise.withResolvers(),
      status: 'running',
      submitted: request,
    });
    this.add(runId, {
      seq: 0,
      event: {
        kind: 'run.started',
        at,
        version: 1,
        workflow: { workflow: 'scripted', steps: [{ id: 'one', type: 'mock_compute' }] },
        workflow_digest: digest,
        input: { value: {} },
        input_digest: digest,
        tenant_id: null,
      },
    });
    return { run_id: runId, created: true };
  }

  complete(runId: string): void {
    this.add(runId, {
      seq: this.#run(runId).events.filter(({ seq }) => seq !== null).length,
      event: {
        kind: 'run.completed',
        at,
        status: 'completed',
        run_statement: { payload: '', payloadType: 'application/vnd.in-toto+json', signatures: [] },
        merkle_root: digest,
        result_root: digest,
      },
    });
  }

  async cancel(runId: string, why?: string): Promise<boolean> {
    this.cancelledBecause = why;
    return this.#run(runId).status === 'running';
  }

  async result(runId: string): Promise<DistributedResult> {
    const { status } = this.#run(runId);
    return {
      workflow_id: 'scripted',
      run_id: runId,
      status,
      receipts: [],
      outputs: { one: { result: 1 } },
      merkle_root: status === 'running' ? null : digest,
      result_root: status === 'running' ? null : digest,
      execution_trace: { nodes: ['c-1'], timeline: [] },
      stats: {
        total_steps: 1,
        succeeded: 1,
        failed: 0,
        skipped: 0,
        cancelled: 0,
        running: 0,
        waiting: 0,
        retries: 0,
        reassignments: 0,
        total_time_ms: 5,
      },
    };
  }

  wait(runId: string): Promise<DistributedResult> {
    return this.result(runId);
  }

  async runs(query: {
    cursor?: string;
    limit?: number;
    status?: string;
  }): Promise<{ runs: RunSummary[]; cursor?: string }> {
    const limit = query.limit ?? 50;
    const start = Number(query.cursor ?? 0);
    const all = [...this.runsById].map(
      ([run_id, { status }]): RunSummary => ({
        run_id,
        workflow: 'scripted',
        status,
        tenant_id: null,
        started_at: time,
        finished_at: status === 'running' ? null : time,
        steps_total: 1,
        steps_done: 0,
      }),
    );
    const page = all
      .filter(({ status }) => query.status === undefined || status === query.status)
      .slice(start, start + limit);
    return { runs: page, ...(start + limit < all.length ? { cursor: String(start + limit) } : {}) };
  }

  async *events(
    runId: string,
    { fromSeq = 0, signal }: { fromSeq?: number; signal?: AbortSignal } = {},
  ): AsyncGenerator<StreamEvent> {
    const run = this.#run(runId);
    this.openStreams += 1;
    const aborted = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
    try {
      for (let index = 0; signal?.aborted !== true; ) {
        const item = run.events[index];
        if (item === undefined) {
          if (run.status === 'completed') return;
          await Promise.race([run.grown.promise, aborted]);
          continue;
        }
        index += 1;
        if (item.seq === null || item.seq >= fromSeq) yield item;
      }
    } finally {
      this.openStreams -= 1;
    }
  }

  async bundle(runId: string) {
    if (this.#run(runId).status === 'running')
      throw new JSONFlowError('CONFLICT', 'the run goes on', { hint: 'Wait for its end.' });
    return {
      jsonflow_bundle: 1 as const,
      run_id: runId,
      workflow: {},
      input: {},
      receipts: [],
      run_statement: { payload: '', payloadType: 'application/vnd.in-toto+json' as const, signatures: [] },
      outputs: {},
      keys: [],
    };
  }

  network() {
    return {
      coordinator: 'c-1',
      epoch: 1,
      nodes: [
        {
          id: 'c-1',
          role: 'coordinator' as const,
          state: 'connected' as const,
          adapters: ['transform'],
          step_types: ['mock_compute'],
          labels: {},
          resources: { total: { ram_mb: 100 }, free: { ram_mb: 50 } },
          load: { running: 1, slots: 4 },
          latency_ms: null,
          key_id: digest,
          version: '0.1.0',
          connected_at: time,
        },
      ],
    };
  }

  readonly #deployed = new Map<string, DeploymentStatus>();

  async deploy(workflow: unknown): Promise<DeploymentStatus> {
    const value: unknown = typeof workflow === 'string' ? JSON.parse(workflow) : workflow;
    if (!isObject(value) || !Array.isArray(value.triggers))
      throw new JSONFlowError('INVALID_INPUT', 'the workflow has no triggers');
    const status: DeploymentStatus = {
      workflow: String(value.workflow),
      tenant_id: null,
      workflow_digest: digest,
      deployed_at: time,
      triggers: [
        { id: 'mq', type: 'mq', state: 'connected', runs_started: 0, messages_repeated: 0, messages_rejected: 0 },
      ],
    };
    this.#deployed.set(status.workflow, status);
    return status;
  }

  async undeploy(name: string): Promise<void> {
    if (!this.#deployed.delete(name)) throw new JSONFlowError('NOT_FOUND', `no workflow ${name} is deployed here`);
  }

  async deployments(): Promise<DeploymentStatus[]> {
    return [...this.#deployed.values()];
  }

  createJoinToken(ttlMs = 600_000) {
    return { token: `for ${ttlMs} ms`, expires_at: '2026-01-31T12:10:00.000Z' };
  }

  async trust() {
    return { jsonflow_trust: 1 as const, keys: [{ node_id: 'c-1', key_id: digest, public_key: 'PEM' }] };
  }

  async health() {
    return {
      status: this.healthStatus,
      timestamp: time,
      checks: { journal: { status: this.healthStatus, message: 'a detail for insiders' } },
    };
  }

  stats() {
    return {
      node_id: 'c-1',
      epoch: 1,
      uptime_ms: 1000,
      runs: { active: 1, queued: 0, started: 3, completed: 2, failed: 0, cancelled: 0 },
      steps: { ready: 0, running: 1, succeeded: 7, failed: 0, retried: 1, reassigned: 0, refused: 0 },
      nodes: { connected: 1, suspected: 0 },
      journal: { appends: 9, events: 12, commits: 4 },
    };
  }
}
