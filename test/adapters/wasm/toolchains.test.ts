// Modules that real toolchains made, through the whole adapter.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { zstdCompressSync } from 'node:zlib';
import { createWasmAdapter } from '../../../src/adapters/wasm/adapter.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { contextFor } from '../../compliance/adapter.ts';

const registry = new AdapterRegistry();
registry.register(createWasmAdapter({ egress: createEgress() }));
after(() => registry.close());

const require = createRequire(import.meta.url);
const sources = fileURLToPath(new URL('toolchains/', import.meta.url));
const base64 = (bytes: Uint8Array): JSONObject => ({ base64: Buffer.from(bytes).toString('base64') });
const bytesOf = (value: JSONValue | undefined): Buffer => Buffer.from((value as { base64: string }).base64, 'base64');

async function run(params: JSONObject, type = 'wasm_execute', heard: string[] = []): Promise<JSONObject> {
  const step = { id: 's', type, params };
  const context = contextFor(step);
  const log = { ...context.log, info: (line: string) => void heard.push(line) };
  return (await registry.run(step, { ...context, log })) as JSONObject;
}

/** Compiled from a source that no tool of this project should take for TypeScript. */
async function assemblyscript(name: string, flags: readonly string[]): Promise<JSONObject> {
  const folder = mkdtempSync(join(tmpdir(), 'jsonflow-as-'));
  try {
    copyFileSync(join(sources, `${name}.as`), join(folder, `${name}.ts`));
    const compiler = join(dirname(require.resolve('assemblyscript/package.json')), 'bin', 'asc.js');
    const packages = dirname(dirname(dirname(require.resolve('@extism/as-pdk/package.json'))));
    const more = ['--path', packages, '--optimize', '-o', `${name}.wasm`, ...flags];
    await promisify(execFile)(process.execPath, [compiler, `${name}.ts`, ...more], { cwd: folder });
    return base64(readFileSync(join(folder, `${name}.wasm`)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const compiled = Promise.all([
  assemblyscript('plugin', ['--use', 'abort=plugin/stop']),
  assemblyscript('lists', ['--exportRuntime']),
]);

describe('an Extism plug-in, by its kit for AssemblyScript', () => {
  it('reads its input and configuration, keeps variables, logs and answers', async () => {
    const [module] = await compiled;
    const heard: string[] = [];
    const output = await run({ module, function: 'count_words', input: 'one two  three' }, 'wasm_execute', heard);
    assert.deepEqual([output.result, output.abi], [{ words: 3 }, 'extism']);
    assert.deepEqual(heard, ['counted 3']);
    const configured = { module, function: 'count_words', input: 'a,b c', config: { separator: ',' } };
    assert.deepEqual((await run(configured)).result, { words: 2 });
  });

  it('takes and gives any bytes', async () => {
    const [module] = await compiled;
    for (const size of [0, 1, 7, 8, 9, 100_001]) {
      const bytes = randomBytes(size);
      const { result } = await run({ module, function: 'same', input: base64(bytes), output: 'bytes' });
      assert.ok(bytesOf(result).equals(bytes), `${size} bytes`);
    }
  });

  it('says why it failed', async () => {
    const [module] = await compiled;
    await assert.rejects(run({ module, function: 'fail' }), { code: 'WASM_EXITED', message: /code 3: no such luck/ });
  });
});

describe('AssemblyScript, with its runtime', () => {
  it('texts, lists and bytes cross by a signature', async () => {
    const [, module] = await compiled;
    const call = async (signature: string, args: JSONValue, more: JSONObject = {}): Promise<JSONValue | undefined> => {
      const output = await run({ module, function: signature.replace(/\(.*/, ''), signature, args, ...more });
      assert.equal(output.abi, 'assemblyscript');
      return output.result;
    };
    assert.equal(await call('reversed(text: string) -> string', { text: 'grüße' }), 'eßürg');
    assert.equal(await call('mean(values: Float64Array) -> f64', { values: [1, 2, 4.5] }), 2.5);
    assert.deepEqual(await call('squares(values: Array<i32>) -> Array<i32>', [[1, -2, 30]]), [1, 4, 900]);
    assert.deepEqual(
      bytesOf(await call('bytes(count: i32) -> bytes', [4], { output: 'bytes' })),
      Buffer.of(0, 1, 2, 3),
    );
    await assert.rejects(call('refuse(why: string)', ['enough']), {
      code: 'WASM_EXITED',
      message: /aborted: enough.*lists/,
    });
  });

  it('a stream of calls leaves no garbage', async () => {
    const [, module] = await compiled;
    const input = Array.from({ length: 2_000 }, () => 'x'.repeat(1_000));
    const signature = 'reversed(text: string) -> string';
    const { memory_used_bytes } = await run({ module, function: 'reversed', signature, input }, 'wasm_streaming');
    // All the texts together have 4 MB, and what it takes to reverse them far more.
    assert.ok(Number(memory_used_bytes) <= 4 * 2 ** 20, `${memory_used_bytes} bytes`);
  });
});

describe('wasm-bindgen', () => {
  const module = base64(readFileSync(require.resolve('lz4-wasm-nodejs/lz4_wasm_nodejs_bg.wasm')));
  const call = (name: string, bytes: Uint8Array) =>
    run({
      module,
      function: name,
      signature: `${name}(input: bytes) -> bytes`,
      args: { input: base64(bytes) },
      output: 'bytes',
    });

  it('LZ4 of Rust packs and unpacks bytes, without the JavaScript beside it', async () => {
    const bytes = Buffer.from('a text that comes again, '.repeat(400));
    const packed = await call('compress', bytes);
    assert.equal(packed.abi, 'wasm-bindgen');
    assert.ok(bytesOf(packed.result).length < bytes.length / 10);
    assert.ok(bytesOf((await call('decompress', bytesOf(packed.result))).result).equals(bytes));
  });

  it('an Err of Rust is an error that says what it says', async () => {
    const packed = bytesOf((await call('compress', Buffer.alloc(1_000, 'abc'))).result);
    await assert.rejects(call('decompress', packed.subarray(0, 6)), {
      code: 'WASM_EXITED',
      message: /gave an error: literal is out of bounds/,
    });
  });
});

describe('Emscripten', () => {
  const module = (name: string): JSONObject => base64(readFileSync(join(sources, `emscripten-${name}.wasm`)));

  for (const name of ['standalone', 'javascript']) {
    it(`${name}: texts by the C library, after the constructors have run`, async () => {
      const greeting = { module: module(name), function: 'greet', signature: 'greet(name: string) -> string' };
      assert.equal((await run({ ...greeting, args: { name: 'Ada' } })).result, 'Hello, Ada! 262, 37.429');
      assert.equal((await run({ module: module(name), function: 'ready' })).result, 42);
      await assert.rejects(run({ ...greeting, args: { nome: 'Ada' } }), {
        code: 'ABI_MISMATCH',
        message: /"name".*"nome"/,
      });
    });

    it(`${name}: its memory grows, up to what the step allows, and growth has its price`, async () => {
      const fill = (more: JSONObject) => run({ module: module(name), function: 'fill', args: [20], ...more });
      const { result, memory_used_bytes, fuel_used } = await fill({});
      assert.equal(result, 20);
      assert.ok(Number(memory_used_bytes) > 20 * 2 ** 20 && Number(memory_used_bytes) < 30 * 2 ** 20);
      const bounded = await fill({ memory_pages: 160 });
      assert.ok(Number(bounded.result) >= 7 && Number(bounded.result) < 10, `${bounded.result} MiB`);
      assert.ok(Number(bounded.memory_used_bytes) <= 160 * 65_536);
      assert.deepEqual(await fill({}), { ...(await fill({})), fuel_used });
      await assert.rejects(fill({ fuel_limit: 5_000 }), { code: 'OUT_OF_FUEL' });
    });
  }

  it('the decoder of Zstandard that npm has: C, as somebody else built it', async () => {
    const text = readFileSync(require.resolve('zstddec'), 'utf8');
    const zstd = { base64: /"([A-Za-z0-9+/=]{9999,})"/.exec(text)?.[1] ?? '' };
    const packed = zstdCompressSync(Buffer.alloc(12_345, 'abc'));
    const name = 'ZSTD_findDecompressedSize';
    const { result, abi } = await run({
      module: zstd,
      function: name,
      signature: `${name}(data: bytes, length: len) -> i64`,
      args: { data: base64(packed) },
    });
    assert.deepEqual([result, abi], [12_345, 'cstring']);
    assert.equal((await run({ module: zstd, function: 'ZSTD_isError', args: [-1] })).result, 1);
  });
});

describe('programs of WASI, by the compilers of C and Rust', () => {
  const program = (name: string): JSONObject => ({
    module: base64(readFileSync(new URL(`wasi-programs/${name}.wasm`, import.meta.url))),
    wasi: { args: ['one', 'two'], env: { NAME: 'me' }, stdin: 'a b a\nc\n', time_ms: 1_700_000_000_000 },
  });

  it('C: an exit code comes with what was said last', async () => {
    const heard: string[] = [];
    const failure = { code: 'WASM_EXITED', message: /exit code 3; it wrote last: open: Capabilities insufficient/ };
    await assert.rejects(run(program('c'), 'wasm_execute', heard), failure);
    assert.deepEqual(heard, ['open: Capabilities insufficient']);
  });

  it('Rust: a panic comes with its message and its place', async () => {
    const failure = {
      code: 'WASM_TRAP',
      message: /unreachable code .*it wrote last: [\s\S]*thread 'main' panicked at 'the end'/,
    };
    await assert.rejects(run(program('rust')), failure);
  });
});
