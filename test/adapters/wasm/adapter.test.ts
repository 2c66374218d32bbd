import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { createWasmAdapter } from '../../../src/adapters/wasm/adapter.ts';
import { AssetFolders, ownModules } from '../../../src/compose/asset-folders.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { adapterCompliance, contextFor } from '../../compliance/adapter.ts';
import { assemble } from '../../support/wat.ts';

const base64 = (bytes: Uint8Array): JSONObject => ({ base64: Buffer.from(bytes).toString('base64') });
/** Gives what it is given. */
const echo = base64(
  assemble(`(module (memory (export "memory") 200) (global $next (mut i32) (i32.const 1024))
    (func (export "alloc") (param i32) (result i32)
      (local $at i32) (local.set $at (global.get $next))
      (global.set $next (i32.add (global.get $next) (local.get 0))) (local.get $at))
    (func (export "process") (param i32 i32) (result i64)
      (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1)))))`),
);

const make = () => createWasmAdapter({ egress: createEgress(), assets: new AssetFolders([ownModules]) });
const spin = base64(assemble('(module (func (export "spin") (loop $l (br $l))))'));

adapterCompliance('wasm', make, [
  {
    type: 'wasm_execute',
    params: { module: 'crypto_hash.wasm', function: 'sha256', args: { data: 'a' } },
    badParams: { module: 'crypto_hash.wasm', function: 'sha256', signature: 'not one' },
    endlessParams: { module: spin, function: 'spin', fuel_limit: Number.MAX_SAFE_INTEGER },
  },
  { type: 'wasm_load', params: { module: 'crypto_hash.wasm' }, badParams: { module: 7 } },
  {
    type: 'wasm_streaming',
    params: { module: 'crypto_hash.wasm', function: 'sha256', input: ['a', 'b'] },
    badParams: { module: 'crypto_hash.wasm', function: 'sha256' },
  },
]);

const registry = new AdapterRegistry();
registry.register(make());
after(() => registry.close());
const contextOf = () => contextFor({ id: 's', type: 'wasm_execute', params: {} });
const run = async (type: string, params: JSONObject, context = contextOf()): Promise<JSONObject> =>
  (await registry.run({ id: 's', type, params }, context)) as JSONObject;
const sha = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
const execute = { module: 'crypto_hash.wasm', function: 'sha256' };

describe('wasm_execute', () => {
  it('gives what the function gives, with what it used, and states its module', async () => {
    const pinned: string[][] = [];
    const context = { ...contextOf(), pin: (name: string, digest: string) => void pinned.push([name, digest]) };
    const output = await run('wasm_execute', { ...execute, args: { data: 'Hello, WASM!' }, memory_pages: 10 }, context);
    const digest = sha(await readFile(new URL('../../../modules/crypto_hash.wasm', import.meta.url)));
    assert.equal(output.result, sha('Hello, WASM!'));
    assert.equal(output.module_digest, digest);
    assert.deepEqual(pinned, [['crypto_hash.wasm', digest]]);
    const again = await run('wasm_execute', { ...execute, args: { data: 'Hello, WASM!' }, memory_pages: 10 });
    assert.deepEqual(again, output);
  });

  it('ends at its fuel, at the same place each time', async () => {
    const params = { ...execute, args: { data: 'x' } };
    const { fuel_used: used } = await run('wasm_execute', params);
    await run('wasm_execute', { ...params, fuel_limit: Number(used) });
    await assert.rejects(run('wasm_execute', { ...params, fuel_limit: Number(used) - 1 }), { code: 'OUT_OF_FUEL' });
  });

  it('has no more memory than the step asks for or reserves', async () => {
    const grow = base64(assemble('(module (memory 1) (func (export "f") (result i32) (memory.grow (i32.const 15))))'));
    const grown = async (params: JSONObject, resources = {}) =>
      (await run('wasm_execute', { module: grow, function: 'f', ...params }, { ...contextOf(), resources })).result;
    assert.equal(await grown({}), 1);
    assert.equal(await grown({ memory_pages: 15 }), -1);
    assert.equal(await grown({}, { ram_mb: 0.5 }), -1);
    await assert.rejects(
      run('wasm_execute', { ...execute, args: { data: 'x' }, memory_pages: 1, digest: '0'.repeat(64) }),
      {
        code: 'MODULE_DIGEST_MISMATCH',
      },
    );
  });

  it('names what is wrong', async () => {
    const rejected = (params: JSONObject, code: string, message = /./) =>
      assert.rejects(run('wasm_execute', params), (thrown: { code: string; message: string }) => {
        assert.equal(thrown.code, code, thrown.message);
        assert.match(thrown.message, message);
        return true;
      });
    await rejected({ module: 'none.wasm', function: 'f' }, 'MODULE_NOT_FOUND', /none\.wasm.*--assets/);
    await rejected({ module: `sha256:${'0'.repeat(64)}`, function: 'f' }, 'MODULE_NOT_FOUND');
    await rejected({ module: 'crypto_hash.wasm' }, 'INVALID_PARAMS', /function is needed: .*sha256/);
    await rejected({ ...execute, function: 'sha25' }, 'FUNCTION_NOT_FOUND', /sha256/);
    await rejected({ module: base64(Buffer.from('no module')), function: 'f' }, 'MODULE_INVALID', /byte 0/);
    await rejected({ module: { base64: '%' }, function: 'f' }, 'INVALID_PARAMS', /not base64/);
    await rejected({ ...execute, args: [1], input: 2 }, 'INVALID_PARAMS', /not both/);
    const trap = base64(assemble('(module (func $f (export "f") (unreachable)))'));
    await rejected({ module: trap, function: 'f' }, 'WASM_TRAP', /unreachable/);
    const reaching = base64(assemble('(module (import "fs" "readFile" (func)) (func (export "f")))'));
    await rejected({ module: reaching, function: 'f' }, 'IMPORT_UNSUPPORTED', /fs\.readFile/);
  });

  it('has modules from URLs, within the egress rules', async () => {
    const bytes = await readFile(new URL('../../../modules/crypto_hash.wasm', import.meta.url));
    let served = 0;
    const server = createServer((request, response) => {
      if (request.url === '/moved.wasm') response.writeHead(302, { location: '/m.wasm' }).end();
      else if (request.url === '/m.wasm') {
        served += 1;
        response.end(bytes);
      } else if (request.url === '/busy.wasm') response.writeHead(503).end();
      else if (request.url === '/away.wasm') response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
      else response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const open = new AdapterRegistry();
    open.register(createWasmAdapter({ egress: createEgress({ allow: [`127.0.0.1:${port}`] }) }));
    const from = (path: string, registered = open, more: JSONObject = {}) => {
      const params = { module: `http://127.0.0.1:${port}${path}`, function: 'sha256', args: { data: 'a' }, ...more };
      return registered.run({ id: 's', type: 'wasm_execute', params }, contextOf()) as Promise<JSONObject>;
    };
    try {
      assert.equal((await from('/moved.wasm')).result, sha('a'));
      const before = served;
      const pinned = { digest: sha(bytes), fuel_limit: 1_000_000 };
      for (let each = 0; each < 3; each += 1) assert.equal((await from('/m.wasm', open, pinned)).result, sha('a'));
      assert.equal(served, before, 'a module of that digest is compiled already');
      await assert.rejects(from('/m.wasm', open, { digest: '0'.repeat(64) }), { code: 'MODULE_DIGEST_MISMATCH' });
      await assert.rejects(from('/busy.wasm'), { code: 'MODULE_FETCH_FAILED', retryable: true });
      await assert.rejects(from('/none.wasm'), { code: 'MODULE_FETCH_FAILED', retryable: false });
      await assert.rejects(from('/away.wasm'), { code: 'EGRESS_DENIED' });
      await assert.rejects(from('/m.wasm', registry), { code: 'EGRESS_DENIED' });
    } finally {
      await open.close();
      server.close();
    }
  });
});

it('a WASI command reads the input, and takes its arguments where they belong', async () => {
  const module = base64(await readFile(new URL('./wasi-testsuite/fd_write-to-stdout.wasm', import.meta.url)));
  assert.equal(typeof (await run('wasm_execute', { module, input: 'x' })).result, 'string');
  const echo = base64(
    assemble(`(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 1000))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`),
  );
  const read = async (params: JSONObject) => (await run('wasm_execute', { module: echo, ...params })).result;
  assert.equal(await read({ input: 'hello' }), 'hello');
  assert.equal(await read({ input: 'hello', wasi: { stdin: 'other' } }), 'other');
  assert.deepEqual(await read({ input: { a: 1 } }), { a: 1 });
  await assert.rejects(read({ args: ['q'] }), { code: 'INVALID_PARAMS', message: /wasi\.args/ });
});

it('wasm_load says what a module has', async () => {
  const output = await run('wasm_load', { module: 'crypto_hash.wasm' });
  assert.equal(output.loaded, true);
  assert.equal(output.abi, 'buffer');
  const names = (output.exports as { name: string }[]).map(({ name }) => name);
  assert.ok(names.includes('sha256') && !names.some((name) => name.startsWith('jsonflow:')));
  const reaching = base64(assemble('(module (import "fs" "readFile" (func)) (func (export "f")))'));
  await assert.rejects(run('wasm_load', { module: reaching }), { code: 'IMPORT_UNSUPPORTED', message: /fs\.readFile/ });
});

it('no secret leaves in bytes, in line or stored', async () => {
  const secret = 'a-secret-of-the-vault';
  const stored: string[] = [];
  const context = contextOf();
  const careful = {
    ...context,
    redact: (text: string) => text.replaceAll(secret, 'vault://x'),
    blobs: {
      get: context.blobs.get,
      put(bytes: Uint8Array) {
        stored.push(Buffer.from(bytes).toString('latin1'));
        return context.blobs.put(bytes);
      },
    },
  };
  for (const padding of [10, 2_000_000]) {
    const input = base64(Buffer.concat([Buffer.alloc(padding, 0xff), Buffer.from(secret)]));
    for (const type of ['wasm_execute', 'wasm_streaming']) {
      const { result } = await run(type, { module: echo, function: 'process', input, output: 'bytes' }, careful);
      const inLine = Buffer.from(String((result as JSONObject).base64 ?? ''), 'base64').toString('latin1');
      assert.equal(inLine === '', padding > 1_000_000, type);
      assert.ok(!inLine.includes(secret) && stored.every((text) => !text.includes(secret)), type);
    }
  }
});

describe('wasm_streaming', () => {
  it('sends a list through one instance', async () => {
    const { results, processed_count } = await run('wasm_streaming', { ...execute, input: ['a', 'b', 'c'] });
    assert.deepEqual(results, ['a', 'b', 'c'].map(sha));
    assert.equal(processed_count, 3);
  });

  it('sends bytes in chunks, also those that a step has stored', async () => {
    const bytes = randomBytes(300_000);
    const context = contextOf();
    const half = bytes.length / 2;
    const chunks = await Promise.all(
      [bytes.subarray(0, half), bytes.subarray(half)].map(async (part) => ({
        digest: await context.blobs.put(part),
        bytes: part.length,
      })),
    );
    const stream = { module: 'crypto_hash.wasm', function: 'update', finish: 'finish' };
    for (const input of [base64(bytes), { stored: 'bytes', bytes: bytes.length, chunks }]) {
      const { results } = await run('wasm_streaming', { ...stream, input: input as JSONObject }, context);
      assert.equal(results, sha(bytes));
    }
  });

  it('puts the pieces of a text together before it is read', async () => {
    const text = '{ "b": 1 } x \u00e4, and so on';
    const params = { module: echo, function: 'process', input: text, chunk_bytes: 1 };
    for (const output of ['auto', 'text'])
      assert.equal((await run('wasm_streaming', { ...params, output })).result, text, output);
    const json = { ...params, input: '{"a": [1, "\u00e4"]}', output: 'json' };
    assert.deepEqual((await run('wasm_streaming', json)).result, { a: [1, '\u00e4'] });
  });

  it('a module that fails is heard', async () => {
    const lines: string[] = [];
    const context = contextOf();
    const hearing = { ...context, log: { ...context.log, info: (line: string) => void lines.push(line) } };
    const params = { module: 'image_processor.wasm', function: 'apply_filter', args: { image: '!', filter: 'invert' } };
    await assert.rejects(run('wasm_execute', params, hearing), { code: 'WASM_EXITED' });
    assert.match(lines.join(), /not base64/);
  });

  it('ends where one item takes more than it may', async () => {
    const params = { ...execute, input: ['a', 'x'.repeat(10_000)], fuel_per_item: 20_000 };
    await assert.rejects(run('wasm_streaming', params), { code: 'OUT_OF_FUEL' });
  });
});
