import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, test } from 'node:test';
import { SandboxFailure } from '../../../src/adapters/wasm/sandbox/answers.ts';
import { Sandbox } from '../../../src/adapters/wasm/sandbox/sandbox.ts';
import { StepError } from '../../../src/lib/errors.ts';
import { orderOf, sampler } from './sandbox-modules.ts';

const module = sampler();
const sandbox = new Sandbox({ threadsMax: 2 });
after(() => sandbox.close());

const failureOf = async (name: string, args: unknown[], fuel = 1_000_000n): Promise<SandboxFailure> => {
  try {
    await sandbox.call(orderOf(module, name, args, { fuel }));
  } catch (thrown) {
    assert.ok(thrown instanceof SandboxFailure, String(thrown));
    return thrown;
  }
  throw new Error('the call did not fail');
};

test('a call gives its result and what it used', async () => {
  const { result, fuelUsed, memoryBytes, stderr, logs } = await sandbox.call(orderOf(module, 'add', [40, 2]));
  assert.deepEqual(
    { result, fuelUsed, memoryBytes, stderr, logs },
    { result: 42, fuelUsed: 3n, memoryBytes: 131_072, stderr: '', logs: [] },
  );
});

test('each call has an instance of its own', async () => {
  for (let round = 0; round < 5; round += 1) assert.equal((await sandbox.call(orderOf(module, 'count', []))).result, 1);
});

test('a call that can not be sent to its thread fails, and the next one has its module', async () => {
  const unsent = orderOf(module, 'add', [1, () => 2]);
  for (let round = 0; round < 3; round += 1) {
    await assert.rejects(sandbox.call(unsent), { code: 'SANDBOX_CRASHED', message: /could not be sent/ });
    assert.equal((await sandbox.call(orderOf(module, 'add', [1, 2]))).result, 3);
  }
});

test('bytes go in and out, and the caller keeps its own', async () => {
  const input = Buffer.from('some bytes of a larger buffer').subarray(5, 10);
  const order = orderOf(module, 'process', [], {
    input: { kind: 'input', value: input },
    plan: { abi: 'buffer', output: 'bytes' },
  });
  const { result } = await sandbox.call(order);
  assert.equal(Buffer.from(result as Uint8Array).toString(), 'bytes');
  assert.equal(input.toString(), 'bytes');
  const json = await sandbox.call({
    ...order,
    input: { kind: 'args', args: { b: [1], a: 'x' } },
    plan: { abi: 'buffer', function: 'process' },
  });
  assert.deepEqual(json.result, { a: 'x', b: [1] });
});

test('each end of a call has its own code, in our words', async () => {
  const cases: [string, unknown[], string, RegExp][] = [
    ['burn', [], 'OUT_OF_FUEL', /fuel_limit/],
    ['deep', [20_000], 'CALL_DEPTH_EXCEEDED', /nested deeper/],
    [
      'outer',
      [],
      'WASM_TRAP',
      /^unreachable code was reached, in (sampler\.)?die \(function \d+\) ← (sampler\.)?outer \(function \d+\)$/,
    ],
    ['divide', [1, 0], 'WASM_TRAP', /^integer divide by zero, in /],
    ['divide', [-2_147_483_648, -1], 'WASM_TRAP', /^integer overflow, in /],
    ['remainder', [1, 0], 'WASM_TRAP', /^integer remainder by zero, in /],
    ['truncate', [1e20], 'WASM_TRAP', /^a float does not fit/],
    ['peek', [200_000], 'WASM_TRAP', /^memory access out of bounds, in /],
    ['indirect', [7], 'WASM_TRAP', /^table access out of bounds, in /],
    ['indirect', [1], 'WASM_TRAP', /^an indirect call to a function that is not there/],
    ['grab', [], 'MEMORY_LIMIT', /memory_pages/],
    ['grabTable', [], 'TABLE_LIMIT', /table/],
    ['nothing', [], 'FUNCTION_NOT_FOUND', /Its functions: "add"/],
    ['add', [1], 'ABI_MISMATCH', /takes 2 arguments/],
  ];
  for (const [name, args, code, message] of cases) {
    const failure = await failureOf(name, args);
    assert.equal(failure.code, code, `${name}: ${failure.message}`);
    assert.match(failure.message, message);
    assert.equal(failure.retryable, false);
  }
});

test('fuel that was used is told of failures too, and is the same each time', async () => {
  for (let round = 0; round < 3; round += 1) assert.equal((await failureOf('burn', [], 1_234n)).facts.fuelUsed, 1_234n);
});

test('the stack of the thread holds what the limit of depth allows, and its end is no crash', async () => {
  assert.equal((await sandbox.call(orderOf(module, 'deep', [9_990]))).result, 9_990);
  assert.equal((await failureOf('bottomless', [0])).code, 'CALL_DEPTH_EXCEEDED');
});

test('a result outside of the memory is refused', async () => {
  const order = orderOf(module, 'wild', [], { input: { kind: 'input', value: 'x' }, plan: { abi: 'buffer' } });
  await assert.rejects(sandbox.call(order), { code: 'RESULT_INVALID' });
  const large = {
    ...order,
    plan: { abi: 'buffer' as const, function: 'process' },
    settings: { ...order.settings, outputBytesMax: 2 },
  };
  await assert.rejects(sandbox.call(large), { code: 'RESULT_TOO_LARGE' });
});

test('a spinning module is ended with the reason of the signal, and the next call runs', async () => {
  const stop = new AbortController();
  const spinning = sandbox.call(orderOf(module, 'spin', []), stop.signal);
  await sandbox.call(orderOf(module, 'add', [1, 1]));
  stop.abort(new StepError('STEP_TIMEOUT', 'too slow'));
  await assert.rejects(spinning, { code: 'STEP_TIMEOUT' });
  assert.equal((await sandbox.call(orderOf(module, 'add', [1, 2]))).result, 3);
});

test('a call that was told to stop before it began never runs', async () => {
  await assert.rejects(sandbox.call(orderOf(module, 'spin', []), AbortSignal.abort(new Error('no'))), /no/);
});

test('calls wait for a thread, up to a limit; one that gives up leaves the queue', async () => {
  const small = new Sandbox({ threadsMax: 1, queueMax: 2 });
  const stop = new AbortController();
  const leave = new AbortController();
  const spinning = small.call(orderOf(module, 'spin', []), stop.signal);
  const waiting = small.call(orderOf(module, 'add', [1, 2]));
  const leaving = small.call(orderOf(module, 'add', [1, 2]), leave.signal);
  await assert.rejects(small.call(orderOf(module, 'add', [1, 2])), { code: 'OVERLOADED', retryable: true });
  leave.abort(new Error('left'));
  await assert.rejects(leaving, /left/);
  assert.equal(small.counts.waiting, 1);
  stop.abort(new Error('stopped'));
  await assert.rejects(spinning, /stopped/);
  assert.equal((await waiting).result, 3);
  const last = small.call(orderOf(module, 'spin', []));
  const ended = assert.rejects(last, { code: 'SANDBOX_CRASHED' });
  await small.close();
  await ended;
  await assert.rejects(small.call(orderOf(module, 'add', [1, 2])), { code: 'SANDBOX_CRASHED' });
  assert.equal(small.counts.threads, 0);
});

test('threads keep few modules and get them anew', async () => {
  const small = new Sandbox({ threadsMax: 1, modulesPerThreadMax: 2 });
  for (const key of ['a', 'b', 'c', 'a', 'b', 'b', 'c'])
    assert.equal((await small.call(orderOf({ ...module, key }, 'add', [1, 2]))).result, 3);
  await small.close();
});

test('many calls leave nothing behind', async () => {
  const rounds = process.env.JSONFLOW_LONG === '1' ? 10_000 : 500;
  const callAll = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 1) await sandbox.call(orderOf(module, 'add', [index, 1]));
  };
  await callAll(200);
  const before = process.memoryUsage().rss;
  await callAll(rounds);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 200 * 2 ** 20, `memory has grown by ${grown} bytes`);
});

test('an idle thread does not keep the process', () => {
  const file = new URL('./sandbox-modules.ts', import.meta.url).href;
  const code = `const { sampler, orderOf } = await import(${JSON.stringify(file)});
    const { Sandbox } = await import(${JSON.stringify(new URL('../../../src/adapters/wasm/sandbox/sandbox.ts', import.meta.url).href)});
    const { result } = await new Sandbox({ threadsMax: 2 }).call(orderOf(sampler(), 'add', [1, 2]));
    console.log(result);`;
  const { status, stdout, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.deepEqual({ status, stdout, signal }, { status: 0, stdout: '3\n', signal: null });
});

test('a thread that is lost costs its call alone', async () => {
  const small = new Sandbox({ threadsMax: 1, heapMb: 16 });
  const rows = Array.from({ length: 500_000 }, (_, index) => ({ index }));
  const large = orderOf(module, 'process', rows, { plan: { abi: 'buffer' } });
  await assert.rejects(small.call(large), { code: 'SANDBOX_CRASHED', retryable: true });
  assert.equal((await small.call(orderOf(module, 'add', [1, 2]))).result, 3);
  await small.close();
});
