// Steps on hardware through the whole adapter, its threads included.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { createQuantumAdapter } from '../../../../src/adapters/quantum/adapter.ts';
import { DistributedEngine } from '../../../../src/compose/distributed-engine.ts';
import type { JSONObject } from '../../../../src/lib/json.ts';
import { AdapterRegistry } from '../../../../src/worker/registry.ts';
import { contextFor } from '../../../compliance/adapter.ts';
import { loopback } from '../../network/support.ts';
import type { ContractServer } from './contract.ts';
import { type Contract, contracts, submissions } from './support.ts';

/** Where the provider is, as params say it. */
function accessTo({ config }: Contract, server: ContractServer): JSONObject {
  const { provider, token, device, instance, baseUrl, iamUrl } = config(server);
  return {
    provider,
    token,
    ...(device === undefined ? {} : { device }),
    ...(instance === undefined ? {} : { instance }),
    ...(baseUrl === undefined ? {} : { base_url: baseUrl }),
    ...(iamUrl === undefined ? {} : { iam_url: iamUrl }),
  };
}

for (const contract of contracts) {
  const { name, open } = contract;
  test(`${name}: a step names its device, and the receipt promises nothing`, async () => {
    await using server = await open();
    // Done at once: the waits between questions are those of real life here.
    server.plan = { ahead: 0, left: 0, ends: 'completed' };
    const registry = new AdapterRegistry();
    registry.register(createQuantumAdapter({ egress: loopback() }));
    const access = accessTo(contract, server);
    const run = async (type: string, params: JSONObject): Promise<JSONObject> => {
      const step = { id: type, type, params: { backend: 'real_quantum_hardware', ...access, ...params } };
      let varied = 0;
      const context = contextFor(step, undefined, {
        idempotency_key: `run/${type}`,
        varies: () => {
          varied += 1;
        },
      });
      const output = (await registry.run(step, context)) as JSONObject;
      assert.equal(varied, 1);
      return output;
    };
    try {
      const bell = await run('quantum_circuit', { circuit_type: 'bell', shots: 200 });
      assert.deepEqual(Object.keys(bell.counts as object).sort(), ['00', '11']);
      assert.equal((bell.job as JSONObject).device, access.device);
      assert.ok(((bell.transpiled as JSONObject).depth as number) > 0);
      assert.ok(!JSON.stringify(bell).includes(String(access.token)));
      const ghz = await run('quantum_sample', { circuit_type: 'ghz', qubits: 3, shots: 50 });
      assert.equal((ghz.samples as string[]).length, 50);
      assert.ok((ghz.samples as string[]).every((sample) => sample === '000' || sample === '111'));
      assert.deepEqual(server.breaches, []);
    } finally {
      await registry.close();
    }
  });

  // Closing gives steps some seconds to end.
  const skip = process.env.JSONFLOW_LONG !== '1';
  test(`${name}: an engine that closes leaves the job to the next on its disk, and cancels it where there is none`, {
    skip,
  }, async () => {
    await using server = await open();
    const params = {
      backend: 'real_quantum_hardware',
      ...accessTo(contract, server),
      circuit_type: 'bell',
      shots: 200,
    };
    const workflow = { workflow: 'bell', steps: [{ id: 'bell', type: 'quantum_circuit', params }] };
    const closedWhileItWaits = async (dataDir: string | false): Promise<string> => {
      server.plan = { ahead: 1_000_000, left: 0, ends: 'completed' };
      const before = server.jobs.length;
      const engine = new DistributedEngine({ dataDir });
      await engine.start();
      const { run_id } = await engine.api.submit({ workflow, input: {} });
      while (server.jobs.length === before) await setTimeout(20);
      await engine.close();
      server.plan = { ahead: 0, left: 0, ends: 'completed' };
      return run_id;
    };
    const dataDir = await mkdtemp(join(tmpdir(), 'jsonflow-hardware-'));
    try {
      const runId = await closedWhileItWaits(dataDir);
      assert.deepEqual(
        server.jobs.map(({ state }) => state),
        ['queued'],
      );
      for (const job of server.jobs) job.ahead = 0;
      const next = new DistributedEngine({ dataDir });
      await next.start();
      const { status, outputs } = await next.api.wait(runId);
      await next.close();
      assert.equal(status, 'completed');
      assert.equal(((outputs.bell as JSONObject).job as JSONObject).id, server.jobs[0]?.id);
      assert.equal(submissions(server), 1);
      await closedWhileItWaits(false);
      assert.deepEqual(
        server.jobs.map(({ state }) => state),
        ['completed', 'cancelled'],
      );
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
}
