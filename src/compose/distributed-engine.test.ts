import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { adapterOf } from '../../test/support/cluster.ts';
import { encodeBundle } from '../core/receipt/bundle.ts';
import { verifyBundle } from '../core/receipt/verify.ts';
import { JSONFlowError, StepError } from '../lib/errors.ts';
import type { JSONValue } from '../lib/json.ts';
import { parseStrictJSON } from '../lib/strict-json.ts';
import { limits } from '../protocol/limits.ts';
import type { Bundle } from '../protocol/receipt.ts';
import type { Workflow } from '../protocol/workflow.ts';
import { DistributedEngine, type EngineConfig } from './distributed-engine.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jsonflow-engine-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const step = (id: string, input: unknown, more: object = {}) => ({
  id,
  type: 'mock_compute',
  params: { input },
  ...more,
});
const hello: Workflow = { workflow: 'hello', steps: [step('a', '$input.x'), step('b', '$a.result')] };

async function withEngine<T>(config: EngineConfig, use: (engine: DistributedEngine) => Promise<T>): Promise<T> {
  const engine = new DistributedEngine({ dataDir: false, ...config });
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

describe('the constructor', () => {
  it('takes the forms of the reference document', () => {
    new DistributedEngine();
    new DistributedEngine({
      nodeId: 'coord-1',
      role: 'coordinator',
      port: 8080,
      capabilities: { adapters: ['all'], max_concurrent_workflows: 100 },
    });
    const worker = new DistributedEngine({
      nodeId: 'worker-1',
      role: 'worker',
      port: 8081,
      connect: 'ws://localhost:8080',
      capabilities: { adapters: ['transform'], resources: { qubits: 8, ram_mb: 16_384, cpu_cores: 16 } },
    });
    assert.equal(worker.nodeId, 'worker-1');
    assert.equal(worker.url, undefined);
  });

  it('says what is wrong, and what there is', () => {
    const wrong: [EngineConfig, RegExp][] = [
      [{ capabilities: { adapters: ['transform', 'antigravity'] } }, /antigravity/],
      [{ nodeId: 'no spaces' }, /nodeId/],
      [{ role: 'worker' }, /connect/],
      [{ role: 'coordinator', connect: 'x' }, /connect/],
      [{ role: 'king' as never }, /role/],
      [{ port: 70_000 }, /port/],
      [{ capabilities: { max_concurrent_steps: 0 } }, /max_concurrent_steps/],
      [{ port: 1, host: '0.0.0.0' }, /without TLS/],
    ];
    for (const [config, message] of wrong)
      assert.throws(
        () => new DistributedEngine(config),
        (thrown) =>
          thrown instanceof JSONFlowError &&
          thrown.code === 'INVALID_CONFIG' &&
          message.test(thrown.message) &&
          (thrown.hint ?? '') !== '',
        JSON.stringify(config),
      );
    assert.throws(
      () => new DistributedEngine({ capabilities: { adapters: ['x'] } }),
      (thrown: JSONFlowError) => /transform/.test(thrown.hint ?? ''),
    );
  });
});

describe('execute', () => {
  it('starts the engine by itself and gives the whole result', async () => {
    await withEngine({ nodeId: 'n' }, async (engine) => {
      const result = await engine.execute(hello, { x: [1, 'two', null] });
      assert.equal(result.status, 'completed');
      assert.equal(result.workflow_id, 'hello');
      assert.deepEqual(result.outputs, { a: { result: [1, 'two', null] }, b: { result: [1, 'two', null] } });
      assert.deepEqual(result.execution_trace.nodes, ['n']);
      assert.equal(result.stats.total_steps, 2);
      assert.match(result.merkle_root ?? '', /^[0-9a-f]{64}$/);
      const [receipt] = result.receipts;
      assert.equal(receipt?.execution_metadata.executor_node, 'n');
      assert.equal(receipt?.merkle_proof?.root, result.merkle_root);
      assert.match(receipt?.signature ?? '', /^ed25519:[A-Za-z0-9+/]+=*$/);
      const again = await engine.execute(JSON.stringify(hello), { x: [1, 'two', null] });
      assert.equal(again.result_root, result.result_root, 'equal results, equal root');
      assert.notEqual(again.merkle_root, result.merkle_root);
    });
  });

  it('resolves with the cause where the run fails, and rejects where there is no run', async () => {
    await withEngine({}, async (engine) => {
      const failed = await engine.execute({
        workflow: 'f',
        steps: [step('a', 1), { id: 'b', type: 'transform_map', params: { input: '$a.result' } }],
      });
      assert.equal(failed.status, 'failed');
      assert.equal(failed.error?.step_id, 'b');
      await assert.rejects(engine.execute({ workflow: 'f', steps: [{ id: 'a', type: 'nothing_known' }] }), {
        code: 'INVALID_WORKFLOW',
      });
      await assert.rejects(engine.execute(hello, { x: Number.NaN }), { code: 'INVALID_INPUT' });
      await assert.rejects(engine.execute('{'), { code: 'INVALID_WORKFLOW' });
    });
  });

  it('is cancelled by its signal, down to the adapter', async () => {
    await withEngine({}, async (engine) => {
      const began = Promise.withResolvers<void>();
      const reasons: unknown[] = [];
      engine.registerAdapter(
        adapterOf(
          (_step, { signal }) =>
            new Promise((_resolve, reject) => {
              began.resolve();
              signal.addEventListener('abort', () => {
                reasons.push(signal.reason);
                reject(signal.reason);
              });
            }),
        ),
      );
      const abort = new AbortController();
      const run = engine.execute(
        { workflow: 'c', steps: [{ id: 'a', type: 'raw_step' }, step('b', '$a.x')] },
        {},
        abort,
      );
      await began.promise;
      abort.abort();
      const result = await run;
      assert.equal(result.status, 'cancelled');
      assert.ok(reasons[0] instanceof StepError && reasons[0].code === 'STEP_CANCELLED');
      assert.deepEqual([result.stats.cancelled, result.stats.skipped], [1, 1]);
      await assert.rejects(engine.execute(hello, {}, { signal: AbortSignal.abort() }), { name: 'AbortError' });
      const { run_id } = result;
      assert.ok(verifyBundle(await engine.api.bundle(run_id), { trust: await engine.api.trust() }).pinned);
    });
  });

  it('by idempotency key gives the earlier result', async () => {
    await withEngine({}, async (engine) => {
      const run = () => engine.execute(hello, { x: 1 }, { idempotencyKey: 'k' });
      const [first, second] = await Promise.all([run(), run()]);
      assert.equal(first.run_id, second.run_id);
      assert.equal((await run()).merkle_root, first.merkle_root);
      await assert.rejects(engine.execute(hello, { x: 2 }, { idempotencyKey: 'k' }), { code: 'CONFLICT' });
    });
  });

  it('tries a failed step again, and the journal of that can be read back', async () => {
    for (const dataDir of [false, join(folder, 'retry')] as const)
      await withEngine({ dataDir }, async (engine) => {
        let calls = 0;
        engine.registerAdapter(
          adapterOf(() => {
            calls += 1;
            if (calls < 3) throw new StepError('BUSY', 'not now', { retryable: true });
            return { calls };
          }),
        );
        const result = await engine.execute({
          workflow: 'r',
          fault_tolerance: { retry_failed_steps: true, backoff_ms: 1 },
          steps: [{ id: 'a', type: 'raw_step' }],
        });
        assert.deepEqual(result.outputs, { a: { calls: 3 } });
        assert.equal(result.stats.retries, 2);
        assert.deepEqual(
          result.receipts.map(({ status, execution_metadata: { attempt } }) => [status, attempt]),
          [
            ['failed', 1],
            ['failed', 2],
            ['success', 3],
          ],
        );
        const bundle = await engine.api.bundle(result.run_id);
        assert.ok(verifyBundle(bundle, { trust: await engine.api.trust() }).pinned);
        assert.deepEqual(await engine.api.result(result.run_id), result);
      });
  });

  it('runs 10,000 steps, and a chain of 2,000', async () => {
    await withEngine({}, async (engine) => {
      const wide = await engine.execute({
        workflow: 'wide',
        steps: Array.from({ length: 10_000 }, (_, n) =>
          step(
            `s${n}`,
            n,
            n < 100 ? {} : { parent_step_ids: [`s${n - 100}`, `s${n - 99 - (n % 100 === 99 ? 100 : 0)}`] },
          ),
        ),
      });
      assert.equal(wide.status, 'completed');
      assert.equal(wide.stats.succeeded, 10_000);
      const deep = await engine.execute({
        workflow: 'deep',
        steps: Array.from({ length: 2_000 }, (_, n) => step(`s${n}`, n === 0 ? 'x' : `$s${n - 1}.result`)),
      });
      assert.deepEqual(deep.outputs.s1999, { result: 'x' });
    });
  });
});

it('custom adapters come as objects, classes and factories, before and after the start', async () => {
  class Shouting {
    getManifest() {
      return {
        adapter_id: 'shout',
        version: '2',
        step_types: [{ type: 'shout', params_schema: { input: 'string' }, deterministic: true }],
      };
    }
    validate({ params }: { params: { input?: unknown } }) {
      return params.input === '' ? { valid: false, error: 'nothing to shout' } : { valid: true };
    }
    execute({ id, params }: { id: string; params: { input?: unknown } }) {
      return { step_id: id, status: 'success', output: { result: `${params.input}!` } };
    }
    healthCheck() {
      return { status: 'healthy', timestamp: 1 };
    }
  }
  await withEngine({ adapters: [Shouting] }, async (engine) => {
    await engine.start();
    engine.registerAdapter(() => adapterOf(() => 'made', { id: 'factory', type: 'factory_step' }));
    engine.registerAdapter(adapterOf(() => ({ plain: true }), { id: 'object', type: 'object_step' }));
    assert.throws(() => engine.registerAdapter(Shouting), { code: 'CONFLICT' });
    const result = await engine.execute({
      workflow: 'custom',
      steps: [
        { id: 'a', type: 'shout', params: { input: 'hey' } },
        { id: 'b', type: 'factory_step' },
        { id: 'c', type: 'object_step' },
      ],
    });
    assert.deepEqual(result.outputs, { a: { result: 'hey!' }, b: 'made', c: { plain: true } });
    const health = await engine.healthCheck();
    assert.equal(health.status, 'ok');
    assert.equal(health.adapters.shout?.status, 'healthy');
    const refused = await engine.execute({ workflow: 'r', steps: [{ id: 'a', type: 'shout', params: { input: '' } }] });
    assert.deepEqual([refused.error?.code, refused.error?.message], ['INVALID_PARAMS', 'nothing to shout']);
  });
});

it('events tell what happens, with what the reference document promises', async () => {
  await withEngine({ nodeId: 'n' }, async (engine) => {
    const heard: [string, unknown][] = [];
    for (const name of [
      'workflow:started',
      'step:started',
      'step:completed',
      'step:failed',
      'workflow:completed',
      'workflow:failed',
      'node:joined',
    ] as const)
      engine.on(name, (first: unknown) => void heard.push([name, first]));
    const result = await engine.execute(hello, { x: 1 });
    assert.deepEqual(
      heard.map(([name]) => name),
      [
        'node:joined',
        'workflow:started',
        'step:started',
        'step:completed',
        'step:started',
        'step:completed',
        'workflow:completed',
      ],
    );
    assert.equal(heard[1]?.[1], 'hello');
    const { latency, ...completed } = (heard[3]?.[1] ?? {}) as { latency?: number };
    assert.equal(typeof latency, 'number');
    assert.deepEqual(completed, { runId: result.run_id, stepId: 'a', nodeId: 'n', attempt: 1 });
    assert.deepEqual(heard.at(-1)?.[1], result);
    await engine.execute(
      { workflow: 'f', steps: [{ id: 'a', type: 'transform_map', params: { input: '$input.x' } }] },
      { x: 1 },
    );
    const failed = heard.find(([name]) => name === 'step:failed')?.[1] as { final: boolean; error: { code: string } };
    assert.equal(failed.final, true);
    assert.equal(heard.at(-1)?.[0], 'workflow:failed');
  });
});

it('status, statistics and what comes later', async () => {
  const engine = new DistributedEngine({
    dataDir: false,
    capabilities: { resources: { ram_mb: 100 }, labels: { a: 'b' } },
  });
  assert.throws(() => engine.getNetworkStatus(), { code: 'CLOSED' });
  assert.equal((await engine.healthCheck()).status, 'failed');
  await Promise.all([engine.start(), engine.start()]);
  const { nodes, coordinator } = engine.getNetworkStatus();
  assert.equal(coordinator, 'coordinator');
  // The simulator's qubits are its adapter's to offer.
  const resources = { ram_mb: 100, qubits: 32 };
  assert.deepEqual(nodes[0]?.resources, { total: resources, free: resources });
  assert.deepEqual(nodes[0]?.labels, { a: 'b' });
  await engine.execute(hello);
  assert.equal(engine.getStats().runs.completed + engine.getStats().runs.failed, 1);
  assert.throws(() => engine.advertise({}), { code: 'NOT_AVAILABLE_YET' });
  await assert.rejects(engine.bidForResources({}), { code: 'NOT_AVAILABLE_YET' });
  await Promise.all([engine.close(), engine.close()]);
  await engine.close();
  await assert.rejects(engine.start(), { code: 'CLOSED' });
  await assert.rejects(engine.execute(hello), { code: 'CLOSED' });
});

it('replay repeats what is deterministic from a bundle, a result or its receipts', async () => {
  let secretlyRandom = 0;
  const random = () => adapterOf(() => ({ n: secretlyRandom++ }), { deterministic: true });
  await withEngine({ adapters: [random] }, async (engine) => {
    const result = await engine.execute(hello, { x: 5 });
    const bundle = await engine.api.bundle(result.run_id);
    for (const source of [bundle, result, result.receipts]) {
      const report = await engine.replay(source);
      assert.deepEqual([report.verified, report.same, report.different], [true, 2, 0]);
    }
    await assert.rejects(engine.replay([...result.receipts]), { code: 'NOT_FOUND' });
    const forged: Bundle = { ...structuredClone(bundle), outputs: { ...bundle.outputs, a: { value: { result: 6 } } } };
    await assert.rejects(engine.replay(forged), { code: 'BAD_EVIDENCE' });
    const liar = await engine.execute({ workflow: 'l', steps: [{ id: 'a', type: 'raw_step' }] });
    const report = await engine.replay(liar);
    assert.deepEqual([report.verified, report.different], [false, 1]);
    assert.ok(await engine.receiptStore.verifyReceipt('b', result.run_id));
    assert.ok(await engine.receiptStore.verifyReceipt('a'), 'without a run the newest is meant');
    assert.equal((await engine.receiptStore.getMerkleProof('b', result.run_id)).root, result.merkle_root);
    await assert.rejects(engine.receiptStore.verifyReceipt('z'), { code: 'NOT_FOUND' });
  });
});

it('large values travel as blobs, in one process and between two', async () => {
  const big = 'x'.repeat(300 * 1024);
  const huge = 'y'.repeat(17 * 1024 * 1024);
  const workflow: Workflow = {
    workflow: 'large',
    steps: [step('a', '$input.big'), step('b', '$a.result'), step('c', '$input.huge')],
  };
  const check = async (engine: DistributedEngine, node: string): Promise<void> => {
    const result = await engine.execute(workflow, { big, huge });
    assert.equal(result.status, 'completed', JSON.stringify(result.error));
    assert.deepEqual(result.execution_trace.nodes, [node]);
    assert.ok((result.outputs.b as { result: string }).result === big);
    assert.ok((result.outputs.c as { result: string }).result === huge);
    const bundle = await engine.api.bundle(result.run_id);
    assert.ok(verifyBundle(bundle, { trust: await engine.api.trust() }).pinned);
  };
  await withEngine({ nodeId: 'c', port: 0, dataDir: join(folder, 'large') }, async (engine) => {
    await engine.start();
    await check(engine, 'c');
    await withEngine({ nodeId: 'w', role: 'worker', connect: engine.url ?? '' }, async (worker) => {
      const joined = once(engine, 'node:joined');
      await worker.start();
      await joined;
      await check(engine, 'w');
      assert.equal((await worker.healthCheck()).status, 'ok');
      assert.throws(() => worker.getNetworkStatus(), { code: 'INVALID_CONFIG' });
    });
  });
});

it('steps may be called as what every object has, and their bundle verifies and replays', async () => {
  await withEngine({}, async (engine) => {
    const ids = ['__proto__', 'constructor', 'toString'];
    const { status, outputs, run_id } = await engine.execute({
      workflow: 'odd-names',
      steps: ids.map((id, index) => step(id, index === 0 ? 1 : `$${ids[index - 1]}.result`)),
    });
    assert.equal(status, 'completed');
    assert.deepEqual(Object.keys(outputs), ids);
    const bundle = JSON.parse(encodeBundle(await engine.api.bundle(run_id)));
    assert.deepEqual(Object.keys(bundle.outputs).sort(), ids);
    assert.deepEqual(verifyBundle(bundle, { trust: await engine.api.trust() }).problems, []);
    assert.equal((await engine.replay(bundle)).verified, true);
  });
});

it('values as deep as values may be are in a bundle that verifies and replays, deeper ones in none', async () => {
  const nested = (levels: number): JSONValue => {
    let value: JSONValue = 1;
    for (let level = 0; level < levels; level++) value = [value];
    return value;
  };
  await withEngine({}, async (engine) => {
    // `{ input }` and `{ result }` are a level each.
    for (const levels of [62, 63]) {
      const { status, run_id } = await engine.execute(
        { workflow: 'deep', steps: [step('a', '$input')] },
        nested(levels),
      );
      assert.equal(status, 'completed');
      const text = encodeBundle(await engine.api.bundle(run_id));
      const bundle = parseStrictJSON(text, limits.bundleDepthMax) as unknown as Bundle;
      assert.deepEqual(verifyBundle(bundle, { trust: await engine.api.trust() }).problems, []);
      assert.equal((await engine.replay(bundle)).verified, true);
      const deeper = { ...bundle, outputs: { a: { value: nested(65) } } };
      assert.match(verifyBundle(deeper).problems[0]?.message ?? '', /nested deeper than 64/);
      assert.equal(verifyBundle(deeper).problems[0]?.where, 'outputs["a"]');
    }
  });
});

it('closes although somebody follows a run that goes on', async () => {
  const patient = { port: 0, localSteps: 'never' as const, coordinator: { unschedulableAfterMs: 600_000 } };
  await withEngine(patient, async (engine) => {
    await engine.start();
    const { run_id } = await engine.api.submit({ workflow: hello, input: { x: 1 } });
    const stream = await fetch(`${engine.httpUrl}/api/v1/runs/${run_id}/events`);
    const reader = stream.body?.getReader();
    assert.match(new TextDecoder().decode((await reader?.read())?.value), /run\.started/);
    await engine.close();
    await reader?.cancel().catch(() => undefined);
  });
});

it('runs that had not ended go on at the next start', async () => {
  const dataDir = join(folder, 'restart');
  const patient = { localSteps: 'never' as const, coordinator: { unschedulableAfterMs: 600_000 } };
  const first = new DistributedEngine({ dataDir, adapters: [adapterOf(() => 'never')], ...patient });
  await first.start();
  const { run_id } = await first.api.submit({ workflow: { workflow: 'w', steps: [{ id: 'a', type: 'raw_step' }] } });
  const soFar = await first.api.result(run_id);
  assert.equal(soFar.status, 'running');
  assert.match(soFar.waiting?.a ?? '', /no connected node can run it: coordinator may not run steps itself/);
  const waiting = assert.rejects(first.api.wait(run_id), { code: 'CLOSED' });
  await first.close();
  await waiting;
  await withEngine({ dataDir, adapters: [adapterOf(() => 'done')] }, async (engine) => {
    await engine.start();
    const result = await engine.api.wait(run_id);
    assert.deepEqual(result.outputs, { a: 'done' });
  });
});
