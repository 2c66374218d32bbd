// Records the journal of a run with every kind of event but a cancellation: node test/recorded/record.ts NAME
// Done once per version of the journal; what is recorded is never changed afterwards.
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { DistributedEngine } from '../../src/compose/distributed-engine.ts';
import { StepError } from '../../src/lib/errors.ts';
import type { AdapterContext, AdapterStep } from '../../src/ports/adapter.ts';
import type { RunEvent } from '../../src/protocol/events.ts';

const flaky = {
  getManifest: () => ({
    adapter_id: 'flaky',
    version: '1.0.0',
    step_types: [{ type: 'flaky', deterministic: true }, { type: 'broken' }],
  }),
  async execute({ type, params }: AdapterStep, context: AdapterContext) {
    if (type === 'broken') throw new StepError('BROKEN', 'it never works');
    await context.checkpoint({ attempt: context.attempt });
    if (context.attempt === 1) throw new StepError('BUSY', 'try again', { retryable: true });
    return { result: params.input ?? null };
  },
};

const [name = ''] = process.argv.slice(2);
const engine = new DistributedEngine({ dataDir: false, adapters: [flaky] });
const result = await engine.execute(
  {
    workflow: 'recorded',
    version: '1.0.0',
    fault_tolerance: {
      retry_failed_steps: true,
      backoff_ms: 1,
      failover_strategy: 'checkpoint',
      on_step_failure: 'continue',
    },
    steps: [
      { id: 'load', type: 'mock_compute', params: { input: '$input.rows' } },
      { id: 'try', type: 'flaky', params: { input: '$load.result' } },
      { id: 'fail', type: 'broken', parent_step_ids: ['load'] },
      { id: 'never', type: 'mock_compute', params: { input: '$fail.result' } },
      { id: 'double', type: 'transform_map', params: { input: '$try.result', expression: 'item * 2' } },
    ],
  },
  { rows: [1, 2, 3] },
);
const events: RunEvent[] = [];
for await (const { seq, event } of engine.api.events(result.run_id)) if (seq !== null) events.push(event);
const bundle = await engine.api.bundle(result.run_id);
await engine.close();
const path = fileURLToPath(new URL(`${name}.json`, import.meta.url));
await writeFile(path, `${JSON.stringify({ run_id: result.run_id, events, result, bundle })}\n`);
