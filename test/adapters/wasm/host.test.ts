import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkImports, resolveImports } from '../../../src/adapters/wasm/host/imports.ts';
import { GuestExit, type ModuleImport } from '../../../src/adapters/wasm/types.ts';
import { defaults, live, shapeOf, TestGuest, typeOf } from './host.ts';

const func = (module: string, name: string, type: string): ModuleImport => ({
  module,
  name,
  kind: 'func',
  type: typeOf(type),
});

test('what is not offered is told all at once, each with a fix', () => {
  const imports: ModuleImport[] = [
    func('wasi_snapshot_preview1', 'fd_write', 'iiii:i'),
    func('wasi_snapshot_preview1', 'fd_write', 'iii:i'),
    func('wasi_snapshot_preview1', 'fd_wrte', 'iiii:i'),
    func('wasi_unstable', 'fd_write', 'iiii:i'),
    func('env', 'read_file', 'i:i'),
    func('extism:host/user', 'lookup', 'j:j'),
    func('__proto__', 'toString', ':'),
    func('env', '__proto__', ':'),
    func('env', 'constructor', ':'),
    { module: 'env', name: 'memory', kind: 'memory' },
    { module: 'env', name: '__indirect_function_table', kind: 'table' },
    { module: 'env', name: '__stack_pointer', kind: 'global' },
    func('a', 'b', 'i:i'),
    func('env', 'invoke_vi', 'ii:'),
    func('wasi', 'thread-spawn', 'i:i'),
  ];
  const problems = checkImports(shapeOf(imports));
  assert.equal(problems.length, imports.length - 1);
  assert.ok(problems.every(({ fix, problem }) => fix.length > 10 && problem.length > 10));
  assert.match(
    problems[0]?.problem ?? '',
    /imported as \(i32, i32, i32\) -> \(i32\), and is offered as \(i32, i32, i32, i32\)/,
  );
  assert.match(problems[1]?.problem ?? '', /did you mean "fd_write"/);
  assert.match(problems[2]?.fix ?? '', /wasi_snapshot_preview1/);
  assert.throws(
    () => resolveImports(shapeOf(imports), defaults, new TestGuest()),
    (error: unknown) => {
      const { code, message } = error as { code: string; message: string };
      assert.equal(code, 'IMPORT_UNSUPPORTED');
      for (const problem of problems) assert.ok(message.includes(problem.import));
      return true;
    },
  );
});

test('a module with thousands of bad imports gets a message of bounded length', () => {
  const imports = Array.from({ length: 5000 }, (_, index) => func('env', `${'x'.repeat(10_000)}${index}`, ':'));
  assert.throws(
    () => resolveImports(shapeOf(imports), defaults, new TestGuest()),
    (error: unknown) => (error as Error).message.length < 40_000 && /and 4950 more/.test((error as Error).message),
  );
});

test('only what a module imports is given, by objects without a prototype', () => {
  const { imports } = resolveImports(shapeOf([func('env', 'seed', ':d')]), defaults, new TestGuest());
  assert.deepEqual(Object.keys(imports), ['env']);
  assert.equal(Object.getPrototypeOf(imports), null);
  assert.equal(Object.getPrototypeOf(imports.env), null);
  assert.deepEqual(Object.keys(imports.env ?? {}), ['seed']);
});

test('each call of a host function takes fuel', () => {
  const own = live('env', ['Math.random :d']);
  own.guest.fuelMax = 50n;
  own.call('Math.random');
  own.call('Math.random');
  assert.throws(() => own.call('Math.random'), /out of fuel/);
});

function managed(memory: Buffer, at: number, text: string): number {
  memory.writeUInt32LE(text.length * 2, at - 4);
  memory.write(text, at, 'utf16le');
  return at;
}

test('AssemblyScript: abort says what and where, console and trace are logged, clock and seed are the call’s own', () => {
  const functions = [
    'abort iiii:',
    'trace iiddddd:',
    'seed :d',
    'console.log i:',
    'console.error i:',
    'Date.now :d',
    'process.exit i:',
  ];
  const own = live('env', functions);
  const message = managed(own.memory, 100, 'no such ä');
  const file = managed(own.memory, 200, 'assembly/index.ts');
  assert.throws(() => own.call('abort', message, file, 12, 5), {
    code: 'WASM_EXITED',
    message: 'the module aborted: no such ä (assembly/index.ts:12:5)',
  });
  assert.throws(() => own.call('abort', 0, 0, 0, 0), { code: 'WASM_EXITED', message: 'the module aborted' });
  own.call('console.log', message);
  own.call('console.error', file);
  own.call('trace', message, 2, 1.5, 2, 3, 4, 5);
  assert.deepEqual(own.host.logs(), [
    { level: 'info', text: 'no such ä' },
    { level: 'error', text: 'assembly/index.ts' },
    { level: 'debug', text: 'no such ä 1.5 2' },
  ]);
  assert.equal(own.call('Date.now'), defaults.timeMs);
  assert.equal(own.call('seed'), live('env', functions).call('seed'));
  assert.notEqual(own.call('seed'), live('env', functions, { seed: 'other' }).call('seed'));
  assert.throws(() => own.call('process.exit', 3), GuestExit);
  assert.throws(() => own.call('console.log', 65_536 + 4), { code: 'WASM_TRAP' });
  own.memory.writeUInt32LE(0xffff_fffe, 60_000);
  assert.throws(() => own.call('console.log', 60_004), { code: 'WASM_TRAP' });
});

test('Emscripten: copies, assertions, calendar, and system calls that there are not', () => {
  const own = live('env', [
    'abort :',
    '__assert_fail iiii:',
    '_emscripten_memcpy_js iii:',
    'emscripten_memcpy_big iii:i',
    'emscripten_resize_heap i:i',
    'emscripten_notify_memory_growth i:',
    '__syscall_openat iiii:i',
    '__syscall_made_up ij:i',
    '_gmtime_js ji:',
    '_timegm_js i:j',
    '_tzset_js iiii:',
    'setTempRet0 i:',
    'getTempRet0 :i',
    'emscripten_console_log i:',
    '__cxa_throw iii:',
  ]);
  own.memory.write('text\0', 100);
  own.call('_emscripten_memcpy_js', 200, 100, 5);
  assert.equal(own.memory.toString('utf8', 200, 204), 'text');
  assert.equal(own.call('emscripten_memcpy_big', 202, 200, 4), 202);
  assert.equal(own.memory.toString('utf8', 200, 206), 'tetext');
  assert.throws(() => own.call('_emscripten_memcpy_js', 65_535, 100, 5), { code: 'WASM_TRAP' });
  assert.throws(() => own.call('_emscripten_memcpy_js', 0, 100, -1), { code: 'WASM_TRAP' });
  assert.equal(own.call('emscripten_resize_heap', 1 << 30), 0);
  assert.equal(own.call('__syscall_openat', 0, 0, 0, 0), -52);
  assert.equal(own.call('__syscall_made_up', 0, 0n), -52);
  assert.throws(() => own.call('abort'), { code: 'WASM_EXITED' });
  own.memory.write('x > 0\0a.c\0main\0', 300);
  assert.throws(() => own.call('__assert_fail', 300, 306, 7, 310), {
    code: 'WASM_EXITED',
    message: 'the module aborted: assertion failed: x > 0 (a.c:7, main)',
  });
  // 2024-02-29 12:34:56 UTC, a Thursday, day 59 of its year.
  own.call('_gmtime_js', 1_709_210_096n, 400);
  assert.deepEqual(
    Array.from({ length: 9 }, (_, index) => own.memory.readInt32LE(400 + 4 * index)),
    [56, 34, 12, 29, 1, 124, 4, 59, 0],
  );
  assert.equal(own.call('_timegm_js', 400), 1_709_210_096n);
  own.call('_gmtime_js', 2n ** 63n - 1n, 400);
  own.memory.fill(0x7f, 400, 440);
  assert.equal(own.call('_timegm_js', 400), -1n);
  own.call('_tzset_js', 500, 504, 508, 528);
  assert.equal(own.memory.toString('utf8', 508, 511), 'UTC');
  own.call('setTempRet0', -5);
  assert.equal(own.call('getTempRet0'), -5);
  own.memory.write('logged\0', 600);
  own.call('emscripten_console_log', 600);
  assert.deepEqual(own.host.logs(), [{ level: 'info', text: 'logged' }]);
  own.memory.fill(0x61, 65_000, 65_536);
  assert.throws(() => own.call('emscripten_console_log', 65_500), { code: 'WASM_TRAP' });
  assert.throws(() => own.call('__cxa_throw', 0, 0, 0), { code: 'WASM_EXITED' });
});

test('wasm-bindgen: an error is thrown with its text, with and without a hash in the name', () => {
  for (const name of ['__wbindgen_throw', '__wbg___wbindgen_throw_0123456789abcdef']) {
    const own = live('wbg', [`${name} ii:`]);
    own.memory.write('bad value', 100);
    assert.throws(() => own.call(name, 100, 9), { code: 'WASM_EXITED', message: /bad value/ });
  }
  assert.equal(checkImports(shapeOf([func('wbg', '__wbg_log_0123', 'i:')])).length, 1);
});
