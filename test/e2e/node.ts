// A node as a process of its own: node node.ts CONFIG, an EngineConfig as JSON. It ends with its parent.
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { DistributedEngine, type EngineConfig } from '../../src/compose/distributed-engine.ts';
import type { CustomAdapter } from '../../src/worker/registry.ts';

const { ledger, ...config } = JSON.parse(process.argv[2] ?? '{}') as EngineConfig & { ledger: string };

/**
 * An effect in the outside world: every execution leaves a line in the ledger with its idempotency key and attempt. `delay_ms`
 * makes it take a while, `until` makes it wait for a file.
 */
const ledgerAdapter: CustomAdapter = {
  getManifest: () => ({
    adapter_id: 'ledger',
    version: '1.0.0',
    step_types: [{ type: 'ledger_write', deterministic: true }],
  }),
  async execute({ params }, { idempotency_key, attempt, signal }) {
    console.log(JSON.stringify({ began: idempotency_key, attempt }));
    if (typeof params.delay_ms === 'number') await delay(params.delay_ms, undefined, { signal });
    while (typeof params.until === 'string' && !existsSync(params.until)) await delay(10, undefined, { signal });
    appendFileSync(ledger, `${idempotency_key} ${attempt}\n`);
    return { result: Number(params.value ?? 0) + (Array.isArray(params.add) ? params.add.reduce(sum, 0) : 0) };
  },
};
const sum = (total: number, value: unknown): number => total + Number(value);

const engine = new DistributedEngine({ ...config, adapters: [ledgerAdapter] });
engine.on('fatal', (error) => {
  console.error(error);
  process.exit(70);
});
process.stdin.on('end', () => process.exit(0)).resume();
await engine.start().catch((error: unknown) => {
  console.error(String(error), (error as { code?: string }).code);
  process.exit(5);
});
console.log(JSON.stringify({ ready: engine.nodeId, url: engine.url, http: engine.httpUrl }));
