import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { encodeBundle } from '../core/receipt/bundle.ts';
import { StepError } from '../lib/errors.ts';
import type { JSONValue } from '../lib/json.ts';
import { environmentVault } from '../vault/environment.ts';
import type { CustomAdapter } from '../worker/registry.ts';
import { DistributedEngine } from './distributed-engine.ts';

const secret = 'c4n@ry/§ecret+with spaces="&quotes"';
const forms = {
  raw: secret,
  'JSON text': JSON.stringify(secret).slice(1, -1),
  base64: Buffer.from(secret).toString('base64'),
  base64url: Buffer.from(secret).toString('base64url'),
  hex: Buffer.from(secret).toString('hex'),
  'upper-case hex': Buffer.from(secret).toString('hex').toUpperCase(),
  'URL-encoded': encodeURIComponent(secret),
};

/** Gives the secret away wherever an adapter can, in every form that one might. */
const blabber: CustomAdapter = {
  getManifest: () => ({ adapter_id: 'blabber', version: '1', step_types: [{ type: 'blab' }] }),
  async execute({ params }, { log, progress, checkpoint, attempt, vault }) {
    const known = String(params.key ?? (await vault.resolve('vault://canary')));
    const encoded = Buffer.from(known);
    const all = [
      known,
      JSON.stringify(known),
      encoded.toString('base64'),
      encoded.toString('base64url'),
      encoded.toString('hex'),
      encoded.toString('hex').toUpperCase(),
      encodeURIComponent(known),
      `Basic ${Buffer.from(`user:${known}`).toString('base64')}`,
    ];
    for (const text of all) {
      log.info(text);
      progress(1, text);
    }
    await checkpoint({ all, [known]: 1 });
    if (params.throws === 'step') throw new StepError('BLAB', all.join(' '), { retryable: attempt < 2 });
    if (params.throws === 'crash') throw new Error(all.join(' '));
    return {
      all,
      [known]: { nested: all.join('|') },
      large: params.large === true ? all.join('').repeat(2_000) : null,
    };
  },
};

it('a secret stays out of outputs, errors, logs, progress, checkpoints, events, bundles and files', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jsonflow-secrets-'));
  const engine = new DistributedEngine({
    dataDir,
    adapters: [blabber],
    vault: environmentVault({ JSONFLOW_VAULT_CANARY: secret }),
  });
  const seen: string[] = [];
  const show = (what: unknown): void => void seen.push(JSON.stringify(what));
  for (const name of ['step:completed', 'step:failed', 'workflow:completed', 'workflow:failed'] as const)
    engine.on(name, (event: unknown) => show(event));
  try {
    await engine.start();
    const steps: Record<string, Record<string, JSONValue>> = {
      whole: { key: 'vault://canary' },
      context: {},
      large: { key: 'vault://canary', large: true },
      fails: { key: 'vault://canary', throws: 'step' },
      crashes: { key: 'vault://canary', throws: 'crash' },
    };
    for (const [workflow, params] of Object.entries(steps)) {
      const { run_id } = await engine.api.submit({
        workflow: {
          workflow,
          fault_tolerance: { retry_failed_steps: true, backoff_ms: 1, failover_strategy: 'checkpoint' },
          steps: [
            { id: 'a', type: 'blab', params },
            { id: 'b', type: 'mock_compute', params: { input: '$a' } },
          ],
        },
      });
      let passing = 0;
      for await (const event of engine.api.events(run_id)) {
        passing += event.seq === null ? 1 : 0;
        show(event);
      }
      assert.ok(passing > 0 || workflow !== 'whole', 'logs and progress were heard at all');
      const result = await engine.api.wait(run_id);
      assert.equal(result.status, params.throws === undefined ? 'completed' : 'failed');
      show(result);
      show(engine.getStats());
      const bundle = await engine.api.bundle(run_id);
      seen.push(encodeBundle(bundle));
      for (const { payload } of [...bundle.receipts, bundle.run_statement])
        seen.push(Buffer.from(payload, 'base64').toString());
    }
    await engine.close();
    assert.ok(
      seen.some((text) => text.includes('vault://canary')),
      'the pointer stands in its place',
    );
    const files = await readdir(dataDir, { recursive: true, withFileTypes: true });
    const contents = await Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), 'latin1')),
    );
    assert.ok(contents.some((content) => content.includes('vault://canary')));
    for (const [form, text] of Object.entries(forms)) {
      const bytes = Buffer.from(text).toString('latin1');
      assert.ok(!seen.some((shown) => shown.includes(text)), `${form} in what is shown`);
      assert.ok(!contents.some((content) => content.includes(bytes)), `${form} in a file`);
    }
  } finally {
    await engine.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});
