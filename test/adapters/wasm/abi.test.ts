import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { detectAbi } from '../../../src/adapters/wasm/abi/detect.ts';
import { parseSignature } from '../../../src/adapters/wasm/abi/signature.ts';
import { Sandbox } from '../../../src/adapters/wasm/sandbox/sandbox.ts';
import { assemble, copier, orderOf, sampler } from './sandbox-modules.ts';

const sandbox = new Sandbox({ threadsMax: 1 });
after(() => sandbox.close());

const module = assemble(
  'abi',
  `(module
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 1024))
    (func (export "malloc") (param i32) (result i32)
      (global.get $top) (global.set $top (i32.add (global.get $top) (local.get 0))))
    (func (export "free") (param i32))
    (func (export "same64") (param i64) (result i64) (local.get 0))
    (func (export "same32") (param i32) (result i32) (local.get 0))
    (func (export "sameF") (param f64) (result f64) (local.get 0))
    (func (export "two") (param i32 f64) (result i32 f64) (local.get 0) (local.get 1))
    (func (export "none"))
    (func (export "length") (param i32) (result i32) (local $n i32)
      (block $end (loop $l
        (br_if $end (i32.eqz (i32.load8_u (i32.add (local.get 0) (local.get $n)))))
        (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $l)))
      (local.get $n))
    (func (export "echo") (param i32) (result i32) (local.get 0)))`,
  {
    malloc: 'i32 -> i32',
    free: 'i32 ->',
    same64: 'i64 -> i64',
    same32: 'i32 -> i32',
    sameF: 'f64 -> f64',
    two: 'i32 f64 -> i32 f64',
    none: '->',
    length: 'i32 -> i32',
    echo: 'i32 -> i32',
  },
);

const run = async (name: string, args: unknown, signature?: string): Promise<unknown> => {
  const order = orderOf(module, name, args as [], {
    plan: { abi: 'cstring', ...(signature === undefined ? {} : { signature: parseSignature(signature) }) },
  });
  return (await sandbox.call(order)).result;
};

test('numbers cross exactly or not at all', async () => {
  assert.equal(await run('same64', ['9223372036854775807']), '9223372036854775807');
  assert.equal(await run('same64', [-5]), -5);
  assert.equal(await run('same32', [-1], 'same32(i32) -> u32'), 4_294_967_295);
  assert.equal(await run('sameF', ['NaN']), 'NaN');
  assert.equal(await run('sameF', ['-Infinity']), '-Infinity');
  assert.equal(await run('sameF', [0.1]), 0.1);
  assert.deepEqual(await run('two', [7, 1.5]), [7, 1.5]);
  assert.deepEqual(await run('two', { b: 1.5, a: 7 }, 'two(a: i32, b: f64) -> (i32, f64)'), [7, 1.5]);
  assert.equal(await run('none', []), null);
  for (const [name, value] of [
    ['same32', 4_294_967_296],
    ['same32', 1.5],
    ['same64', '9999999999999999999999'],
  ] as const)
    await assert.rejects(run(name, [value]), { code: 'ABI_MISMATCH' });
  await assert.rejects(run('two', { a: 1, b: 2 }), { code: 'ABI_MISMATCH' });
});

test('texts cross as UTF-8 that ends with a zero', async () => {
  assert.equal(await run('length', ['héllo']), 6);
  assert.equal(await run('echo', ['grüße'], 'echo(s: string) -> string'), 'grüße');
  await assert.rejects(run('echo', ['a\0b'], 'echo(s: string) -> string'), { code: 'ABI_MISMATCH' });
  await assert.rejects(run('same32', [70_000], 'same32(i32) -> string'), { code: 'RESULT_INVALID' });
});

test('the ABI is told from what a module imports and exports', () => {
  assert.equal(detectAbi(module.shape), 'cstring');
  assert.equal(detectAbi(sampler().shape), 'buffer');
  assert.equal(detectAbi(copier().shape), 'wasi-command');
  const { shape } = module;
  const like = (exports: string[], from = ''): string =>
    detectAbi({
      ...shape,
      exports: exports.map((name) => ({ name, kind: 'func', type: { params: [], results: [] } })),
      imports: from === '' ? [] : [{ module: from, name: 'f', kind: 'func', type: { params: [], results: [] } }],
    });
  assert.equal(like(['add']), 'numeric');
  assert.equal(like(['__new', '__pin', '__rtti_base']), 'assemblyscript');
  assert.equal(like(['run'], 'extism:host/env'), 'extism');
  assert.equal(like(['run'], 'wasi_snapshot_preview1'), 'wasi-reactor');
  assert.equal(like(['__wbindgen_malloc']), 'wasm-bindgen');
  assert.throws(() => like(['run'], 'gojs'), { code: 'MODULE_UNSUPPORTED' });
});

test('signatures say where they are wrong', () => {
  assert.deepEqual(parseSignature('f(a: i32, string, len) -> bytes(32)'), {
    name: 'f',
    params: [
      { name: 'a', type: { kind: 'number', type: 'i32' } },
      { type: { kind: 'string' } },
      { type: { kind: 'len' } },
    ],
    results: [{ kind: 'bytes', length: 32 }],
  });
  for (const text of ['f', 'f(', 'f(a:)', 'f(i33)', 'f() ->', 'f(len)', 'f() -> len', 'f() x', 'f(Array<string>)'])
    assert.throws(() => parseSignature(text), { code: 'INVALID_PARAMS' }, text);
});
