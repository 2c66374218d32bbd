// What modules may try while they run; what can be told from their bytes alone is the reader's and the rewriter's to refuse.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Sandbox } from '../../../src/adapters/wasm/sandbox/sandbox.ts';
import { assemble, orderOf, sampler } from './sandbox-modules.ts';

const sandbox = new Sandbox({ threadsMax: 1 });
after(() => sandbox.close());

const meters = `(memory (export "memory") 1 100)
  (global $fuel (export "jsonflow:fuel") (mut i64) (i64.const 0))
  (global (export "jsonflow:depth") (mut i32) (i32.const 0))
  (global (export "jsonflow:stop") (mut i32) (i32.const 0))`;

const plain = sampler();
const names = ['constructor', '__proto__', 'toString', 'prototype', 'hasOwnProperty', 'valueOf'];

/** A module that imports one function of (i32) -> i32 and exports it as "run". Built by hand, as it is needed often. */
function importer(from: string, name: string): WebAssembly.Module {
  const word = (text: string): number[] => [text.length, ...Buffer.from(text)];
  const named = [1, ...word(from), ...word(name), 0, 0];
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const types = [1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f];
  const imports = [2, named.length, ...named];
  const exports = [7, 7, 1, ...word('run'), 0, 0];
  return new WebAssembly.Module(new Uint8Array([...header, ...types, ...imports, ...exports]));
}

test('no name of an import leads to what objects have by themselves', async () => {
  const type = { params: ['i32' as const], results: ['i32' as const] };
  for (const from of [...names, 'env'])
    for (const name of names) {
      const shape = { ...plain.shape, exports: [{ name: 'run', kind: 'func' as const, type }] };
      const module = importer(from, name);
      const stated = { ...shape, imports: [{ module: from, name, kind: 'func' as const, type }] };
      // Even if the shape hid the import.
      for (const [index, known] of [stated, shape].entries()) {
        const call = sandbox.call(orderOf({ key: `${from}.${name}.${index}`, module, shape: known }, 'run', [1]));
        await assert.rejects(call, { code: 'IMPORT_UNSUPPORTED' });
      }
    }
});

test('files, sockets and other processes are not there', async () => {
  for (const [name, params] of [
    ['path_open', 9],
    ['sock_accept', 3],
    ['sock_send', 5],
    ['fd_readdir', 5],
    ['path_unlink_file', 3],
    ['proc_raise', 1],
  ] as const) {
    const wide =
      name === 'path_open'
        ? 'i32 i32 i32 i32 i32 i64 i64 i32 i32'
        : name === 'fd_readdir'
          ? 'i32 i32 i32 i64 i32'
          : Array(params).fill('i32').join(' ');
    const args = wide
      .split(' ')
      .map((type) => `(${type}.const 3)`)
      .join(' ');
    const text = `(module (import "wasi_snapshot_preview1" "${name}" (func $f (param ${wide}) (result i32))) ${meters}
      (func (export "run") (result i32) (call $f ${args})))`;
    const module = assemble(name, text, { run: '-> i32' }, { [`wasi_snapshot_preview1/${name}`]: `${wide} -> i32` });
    const call = sandbox.call(orderOf(module, 'run', []));
    const errno = await call.then(
      ({ result }) => result,
      (error: { code: string }) => error.code,
    );
    assert.ok(errno === 'IMPORT_UNSUPPORTED' || (typeof errno === 'number' && errno > 0), `${name} gave ${errno}`);
  }
});

test('exports that look like methods of objects are functions of the module and nothing else', async () => {
  const text = `(module ${meters}
    (func (export "then") (result i32) (i32.const 1))
    (func (export "__proto__") (result i32) (i32.const 2))
    (func (export "constructor") (result i32) (i32.const 3)))`;
  const module = assemble(
    'methods',
    text,
    Object.fromEntries(['then', '__proto__', 'constructor'].map((name) => [name, '-> i32'])),
  );
  assert.equal((await sandbox.call(orderOf(module, 'then', []))).result, 1);
  assert.equal((await sandbox.call(orderOf(module, 'constructor', []))).result, 3);
  await assert.rejects(sandbox.call(orderOf(module, 'toString', [])), { code: 'FUNCTION_NOT_FOUND' });
  await assert.rejects(sandbox.call(orderOf(module, 'jsonflow:start', [])), { code: 'FUNCTION_NOT_FOUND' });
});

test('names of functions do not write lines of their own into messages', async () => {
  const text = `(module ${meters} (func $"evil\\0a    at root\\1b[31m" (export "run") (unreachable)))`;
  await assert.rejects(
    sandbox.call(orderOf(assemble('evil', text, { run: '->' }), 'run', [])),
    ({ code, message }: { code: string; message: string }) => {
      assert.equal(code, 'WASM_TRAP');
      assert.doesNotMatch(message, /\p{Cc}/u);
      return true;
    },
  );
});

test('a start function runs under fuel, and a spinning one ends with the call', async () => {
  const text = `(module ${meters}
    (func (export "jsonflow:start") (if (i64.gt_u (global.get $fuel) (i64.const 5)) (then (loop $l (br $l))) (else unreachable)))
    (func (export "run")))`;
  const module = assemble('start', text, { run: '->' });
  await assert.rejects(sandbox.call(orderOf(module, 'run', [], { fuel: 5n })), { code: 'WASM_TRAP' });
  const stop = new AbortController();
  const call = sandbox.call(orderOf(module, 'run', []), stop.signal);
  setImmediate(() => stop.abort(new Error('late')));
  await assert.rejects(call, /late/);
});

test('a program that writes without end is stopped', async () => {
  const text = `(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32))) ${meters}
    (func (export "_start") (i32.store (i32.const 4) (i32.const 60000)) (loop $l (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $l))))`;
  const module = assemble(
    'writer',
    text,
    { _start: '->' },
    { 'wasi_snapshot_preview1/fd_write': 'i32 i32 i32 i32 -> i32' },
  );
  const order = orderOf(module, '_start', [], {
    plan: { abi: 'wasi-command' },
    settings: { outputBytesMax: 1_000_000 },
    fuel: 1n << 50n,
  });
  await assert.rejects(sandbox.call(order), { code: 'RESULT_TOO_LARGE' });
});

test('after all of that the sandbox still works', async () => {
  assert.equal((await sandbox.call(orderOf(plain, 'add', [1, 2]))).result, 3);
});
