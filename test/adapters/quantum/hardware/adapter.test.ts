// Steps on hardware through the whole adapter, its threads included.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createQuantumAdapter } from '../../../../src/adapters/quantum/adapter.ts';
import type { JSONObject } from '../../../../src/lib/json.ts';
import { AdapterRegistry } from '../../../../src/worker/registry.ts';
import { contextFor } from '../../../compliance/adapter.ts';
import { loopback } from '../../network/support.ts';
import { contracts } from './support.ts';

for (const { name, open, config } of contracts)
  test(`${name}: a step names its device, and the receipt promises nothing`, async () => {
    await using server = await open();
    // Done at once: the waits between questions are those of real life here.
    server.plan = { ahead: 0, left: 0, ends: 'completed' };
    const registry = new AdapterRegistry();
    registry.register(createQuantumAdapter({ egress: loopback() }));
    const { provider, token, device, instance, baseUrl, iamUrl } = config(server);
    const access = {
      provider,
      token,
      ...(device === undefined ? {} : { device }),
      ...(instance === undefined ? {} : { instance }),
      ...(baseUrl === undefined ? {} : { base_url: baseUrl }),
      ...(iamUrl === undefined ? {} : { iam_url: iamUrl }),
    };
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
      assert.equal((bell.job as JSONObject).device, device);
      assert.ok(((bell.transpiled as JSONObject).depth as number) > 0);
      assert.ok(!JSON.stringify(bell).includes(token));
      const ghz = await run('quantum_sample', { circuit_type: 'ghz', qubits: 3, shots: 50 });
      assert.equal((ghz.samples as string[]).length, 50);
      assert.ok((ghz.samples as string[]).every((sample) => sample === '000' || sample === '111'));
      assert.deepEqual(server.breaches, []);
    } finally {
      await registry.close();
    }
  });
