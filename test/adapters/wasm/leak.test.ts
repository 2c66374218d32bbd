// Thousands of calls through the whole adapter, good and bad ones, leave nothing behind. JSONFLOW_LONG=1 for 10,000.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createWasmAdapter } from '../../../src/adapters/wasm/adapter.ts';
import { AssetFolders, ownModules } from '../../../src/compose/asset-folders.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { contextFor } from '../../compliance/adapter.ts';
import { assemble } from '../../support/wat.ts';

const long = process.env.JSONFLOW_LONG === '1';
const rounds = long ? 10_000 : 500;
/** Calls before the first look: caches and the allocators' arenas take some 8,000 to fill, at about 330 MB in all. */
const roundsBefore = long ? 8_000 : 200;
const megabyte = 2 ** 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const registry = new AdapterRegistry();
registry.register(createWasmAdapter({ egress: createEgress(), assets: new AssetFolders([ownModules]) }));
after(() => registry.close());

const base64 = (bytes: Uint8Array): JSONObject => ({ base64: Buffer.from(bytes).toString('base64') });
const crypto = readFileSync(new URL('../../../modules/crypto_hash.wasm', import.meta.url));
const rough = base64(
  assemble(`(module (memory (export "memory") 1)
    (func (export "spin") (loop $l (br $l)))
    (func (export "trap") (unreachable))
    (func (export "grow") (result i32) (drop (memory.grow (i32.const 63))) (i32.store (i32.const 4000000) (i32.const 7))
      (memory.size)))`),
);
/** The same module under a digest of its own: a custom section differs. */
const variant = (index: number): JSONObject =>
  base64(Buffer.concat([crypto, Buffer.from([0, 6, 4, 0x6e, 0x72]), int(index)]));
const int = (index: number): Buffer => Buffer.from([index & 0x7f, (index >> 7) & 0x7f, index >> 14]);
const sha = (data: string): string => createHash('sha256').update(data).digest('hex');

async function run(type: string, params: JSONObject, signal?: AbortSignal): Promise<JSONObject> {
  const step = { id: 's', type, params };
  return (await registry.run(step, contextFor(step, signal))) as JSONObject;
}

/** One call of those that a node sees; each kind comes again after a few. */
async function call(index: number): Promise<void> {
  const hash = { function: 'sha256', args: { data: `text ${index}` } };
  if (index % 100 === 50) {
    const stop = new AbortController();
    const spinning = run('wasm_execute', { module: rough, function: 'spin' }, stop.signal);
    setImmediate(() => stop.abort(new Error('left')));
    return assert.rejects(spinning, /left/);
  }
  if (index % 10 === 5) {
    const output = await run('wasm_execute', { module: variant(index), ...hash });
    return assert.equal(output.result, sha(`text ${index}`));
  }
  switch (index % 5) {
    case 0: {
      const output = await run('wasm_streaming', {
        module: 'crypto_hash.wasm',
        function: 'update',
        finish: 'finish',
        input: 'x'.repeat(200_000),
      });
      return assert.equal(output.result, sha('x'.repeat(200_000)));
    }
    case 1:
      return assert.equal((await run('wasm_execute', { module: rough, function: 'grow' })).result, 64);
    case 2:
      return assert.rejects(run('wasm_execute', { module: rough, function: 'trap' }), { code: 'WASM_TRAP' });
    case 3:
      return assert.rejects(run('wasm_execute', { module: rough, function: 'spin', fuel_limit: 10_000 }), {
        code: 'OUT_OF_FUEL',
      });
    default:
      return assert.equal(
        (await run('wasm_execute', { module: 'crypto_hash.wasm', ...hash })).result,
        sha(`text ${index}`),
      );
  }
}

async function callAll(from: number, count: number): Promise<void> {
  // Four at a time, more than there may be threads.
  let next = from;
  const lane = async (): Promise<void> => {
    while (next < from + count) {
      next += 1;
      await call(next - 1);
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
}

/** Threads of the process, where the system tells. */
const threads = (): number => {
  try {
    return readdirSync('/proc/self/task').length;
  } catch {
    return 0;
  }
};

function measure(): { rss: number; heap: number; buffers: number; threads: number } {
  collect();
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed, buffers: external, threads: threads() };
}

test(`${rounds} calls through the adapter leave no memory and no thread behind`, async () => {
  await callAll(0, roundsBefore);
  const before = measure();
  await callAll(roundsBefore, rounds);
  const now = measure();
  const grown = { rss: now.rss - before.rss, heap: now.heap - before.heap, buffers: now.buffers - before.buffers };
  const told = JSON.stringify({ before, now });
  if (long) console.log(told);
  assert.ok(grown.heap < 16 * megabyte, told);
  assert.ok(grown.buffers < 32 * megabyte, told);
  assert.ok(grown.rss < 128 * megabyte, told);
  assert.ok(now.threads <= before.threads + 2, told);
});
