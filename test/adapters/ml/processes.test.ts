// What native code does to its process costs its call, and nothing else.
import assert from 'node:assert/strict';
import childProcess, { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import type { Socket } from 'node:net';
import { it, mock } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SharedFile } from '../../../src/adapters/ml/process/exchange.ts';
import { Frames } from '../../../src/adapters/ml/process/frames.ts';
import { Processes, type ProcessesOptions } from '../../../src/adapters/ml/process/processes.ts';
import { StepError } from '../../../src/lib/errors.ts';

const programs = new URL('./programs/', import.meta.url);
const never = new AbortController().signal;
const long = process.env.JSONFLOW_LONG === '1';

async function withProcesses<T>(work: (pool: Processes) => Promise<T>, options: ProcessesOptions = {}): Promise<T> {
  const pool = new Processes({ programs, ...options });
  try {
    return await work(pool);
  } finally {
    await pool.close();
    assert.equal(pool.counts.children, 0);
  }
}

const call = (pool: Processes, method: string, args: unknown = null, hooks = {}): Promise<unknown> =>
  pool.call('onnx', 'cpu', { method, args }, { signal: never, ...hooks });

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    // One that has ended may wait for its new parent to take note.
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
};

async function isGone(pid: number): Promise<void> {
  while (isAlive(pid)) await wait(20);
}

const code =
  (expected: string, retryable = false, text = /./) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof StepError, String(thrown));
    assert.deepEqual([thrown.code, thrown.retryable], [expected, retryable], thrown.message);
    assert.match(thrown.message, text);
    return true;
  };

it('where the system sets no limits a process ends itself: with too much memory, or without a parent', () =>
  withProcesses(async (pool) => {
    const bomb = (args: object) => pool.call('train', 'cpu', { method: 'bomb', args }, { signal: never });
    await assert.rejects(bomb({ memoryMb: 256, parent: process.pid }), code('ML_OUT_OF_MEMORY'));
    await assert.rejects(bomb({ memoryMb: 4096, parent: 2 ** 22 + 1 }), code('ML_PROCESS_CRASHED', true, /SIGKILL/));
  }));

it('values cross as they are, events before the answer, errors with their codes; the process is used again', () =>
  withProcesses(async (pool) => {
    const value = {
      data: Float32Array.of(1, 2.5),
      big: BigInt64Array.of(-1n),
      text: 'ü',
      part: new Uint8Array(9).subarray(2, 4),
    };
    assert.deepEqual(await call(pool, 'echo', value), value);
    const events: unknown[] = [];
    assert.equal(await call(pool, 'events', 3, { onEvent: (event: unknown) => events.push(event) }), 3);
    assert.deepEqual(events, [0, 1, 2]);
    await assert.rejects(call(pool, 'refuse'), code('ML_INVALID_MODEL'));
    await assert.rejects(call(pool, 'fail'), code('ML_RUNTIME_FAILED', false, /a defect/));
    await assert.rejects(call(pool, 'toString'), code('ML_RUNTIME_FAILED', false, /no method/));
    await assert.rejects(
      call(pool, 'echo', () => 1),
      /could not be cloned/,
    );
    assert.equal(await call(pool, 'echo', 1), 1);
    assert.equal(pool.counts.started, 1);
  }));

it('a process has nothing of the environment but what libraries are found by', () => {
  process.env.JSONFLOW_SECRET = 'secret';
  process.env.POCL_CACHE_DIR ??= '/tmp/pocl-cache';
  return withProcesses(async (pool) => {
    const environment = (await call(pool, 'environment')) as NodeJS.ProcessEnv;
    assert.equal(environment.JSONFLOW_SECRET, undefined);
    assert.equal(environment.POCL_CACHE_DIR, process.env.POCL_CACHE_DIR);
  });
});

it('a crash costs its call, and says how it was', () =>
  withProcesses(async (pool) => {
    await assert.rejects(call(pool, 'crash'), code('ML_PROCESS_CRASHED', true, /SIGABRT|SIGTRAP|exit code/));
    await assert.rejects(call(pool, 'fault'), code('ML_PROCESS_CRASHED', true, /SIGSEGV/));
    await assert.rejects(call(pool, 'end', 3), code('ML_PROCESS_CRASHED', true, /exit code 3/));
    assert.equal(await call(pool, 'echo', 1), 1);
    assert.equal(pool.counts.crashed, 3);
  }));

it('what is no message costs its call, and so does an answer that is too large', () =>
  withProcesses(async (pool) => {
    const garbage = { 'can not be read': [4, 0, 0, 0, 1, 2, 3, 4], 'of 4294967295 bytes': [255, 255, 255, 255] };
    for (const [why, bytes] of Object.entries(garbage))
      await assert.rejects(call(pool, 'write', Uint8Array.from(bytes)), code('ML_PROCESS_CRASHED', true, RegExp(why)));
    await assert.rejects(call(pool, 'flood'), code('ML_TENSOR_TOO_LARGE', false, /1073741824 bytes/));
    assert.equal(await call(pool, 'echo', 1), 1);
  }));

it('what a listener throws costs its call', () =>
  withProcesses(async (pool) => {
    const onEvent = (): never => {
      throw new StepError('STEP_CANCELLED', 'no more');
    };
    await assert.rejects(call(pool, 'events', 3, { onEvent }), code('STEP_CANCELLED'));
    assert.equal(await call(pool, 'echo', 1), 1);
  }));

it('where the system has no room for a process, calls fail', async () => {
  const spawned = mock.method(childProcess, 'spawn', () => {
    throw new Error('spawn ENOMEM');
  });
  syncBuiltinESMExports();
  try {
    await withProcesses((pool) => assert.rejects(call(pool, 'echo'), code('ML_PROCESS_CRASHED', true, /ENOMEM/)));
  } finally {
    spawned.mock.restore();
    syncBuiltinESMExports();
  }
});

it('a call that never ends is killed when its time is over', () =>
  withProcesses(async (pool) => {
    const pid = (await call(pool, 'pid')) as number;
    const reason = new StepError('STEP_TIMEOUT', 'too long');
    const stop = new AbortController();
    const hanging = call(pool, 'hang', null, { signal: stop.signal });
    setTimeout(() => stop.abort(reason), 50);
    await assert.rejects(hanging, (thrown) => thrown === reason);
    await isGone(pid);
    assert.notEqual(await call(pool, 'pid'), pid);
    assert.equal(pool.counts.killed, 1);
  }));

it('memory beyond the limit is an error of its own, and within it there is room', () =>
  withProcesses(async (pool) => {
    assert.equal(await call(pool, 'allocate', 64, { memoryMb: 256 }), 64 * 1024 * 1024);
    await assert.rejects(call(pool, 'allocate', 400, { memoryMb: 256 }), code('ML_OUT_OF_MEMORY'));
    await assert.rejects(call(pool, 'bomb', null, { memoryMb: 200 }), code('ML_OUT_OF_MEMORY'));
    assert.equal(await call(pool, 'allocate', 400, { memoryMb: 1024 }), 400 * 1024 * 1024);
  }));

it(
  'memory is watched where the system sets no limit',
  { skip: process.platform !== 'linux' && 'only Linux says what a process has' },
  () =>
    withProcesses(async (pool) => {
      const bomb = pool.call('cuda', 'cuda:0', { method: 'bomb', args: null }, { signal: never, memoryMb: 300 });
      await assert.rejects(bomb, code('ML_OUT_OF_MEMORY', false, /300 MiB/));
      assert.equal(pool.counts.killed, 1);
    }),
);

it('calls wait for a free process in order, those who give up leave, and too many are refused', () =>
  withProcesses(
    async (pool) => {
      const stop = new AbortController();
      const hanging = call(pool, 'hang', null, { signal: stop.signal });
      const gone = new AbortController();
      const left = call(pool, 'echo', 1, { signal: gone.signal });
      const stays = call(pool, 'echo', 2);
      await assert.rejects(call(pool, 'echo', 3), code('OVERLOADED', true));
      gone.abort(new StepError('STEP_CANCELLED', 'gone'));
      await assert.rejects(left, code('STEP_CANCELLED'));
      stop.abort(new StepError('STEP_CANCELLED', 'stopped'));
      await assert.rejects(hanging, code('STEP_CANCELLED'));
      assert.equal(await stays, 2);
    },
    { per_device: 1, queue: 2 },
  ));

it('an idle process makes room for one of another device, and ends after a while', () =>
  withProcesses(
    async (pool) => {
      const pid = (await call(pool, 'pid')) as number;
      const request = { method: 'pid', args: null };
      const other = (await pool.call('onnx', 'other', request, { signal: never })) as number;
      assert.equal(isAlive(pid), false);
      await isGone(other);
    },
    { total: 1, idle_ms: 100 },
  ));

it('at the bound of all processes everyone has a turn, and no more idle ones end than needed', () =>
  withProcesses(
    async (pool) => {
      const on = (device: string): Promise<unknown> =>
        pool.call('onnx', device, { method: 'pid', args: null }, { signal: never });
      // Those who call on and on wait behind one who came before.
      let isServed = false;
      const lane = async (device: string): Promise<void> => {
        while (!isServed) await on(device);
      };
      const lanes = ['a', 'b', 'c'].map(lane);
      await on('d');
      isServed = true;
      await Promise.all(lanes);
      const [a, b] = [await on('a'), await on('b'), await on('c')];
      // The least recently used makes room: for one process, however many calls wait for it.
      await Promise.all([on('d'), on('d')]);
      assert.equal(await on('b'), b);
      assert.notEqual(await on('a'), a);
    },
    { total: 3, per_device: 1 },
  ));

it('a thousand waiting calls are served in order', () =>
  withProcesses(
    async (pool) => {
      const order: number[] = [];
      const calls = Array.from({ length: 1000 }, async (_, index) =>
        order.push((await call(pool, 'echo', index)) as number),
      );
      await Promise.all(calls);
      assert.deepEqual(
        order,
        [...order].toSorted((a, b) => a - b),
      );
    },
    { per_device: 1 },
  ));

it('what is under way when the pool is closed fails, and no process is left', async () => {
  const pool = new Processes({ programs });
  const pid = (await call(pool, 'pid')) as number;
  const hanging = assert.rejects(call(pool, 'hang'), code('CLOSED', true));
  await pool.close();
  await hanging;
  assert.equal(isAlive(pid), false);
  await assert.rejects(call(pool, 'echo'), code('CLOSED', true));
});

it('a process that never returns ends with the node, and an idle one keeps no node alive', async () => {
  const source = `
    import { Processes } from ${JSON.stringify(new URL('../../../src/adapters/ml/process/processes.ts', import.meta.url).href)};
    const pool = new Processes({ programs: new URL(${JSON.stringify(programs.href)}) });
    const signal = new AbortController().signal;
    console.log(await pool.call('onnx', 'cpu', { method: 'pid', args: null }, { signal }));
    if (process.argv[1] === 'hang') await pool.call('onnx', 'cpu', { method: 'hang', args: null }, { signal });`;
  for (const how of ['hang', 'idle']) {
    const node = spawn(process.execPath, ['--input-type=module', '-e', source, how], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(node, 'exit');
    const [line] = await once(node.stdout, 'data');
    const pid = Number(line);
    assert.ok(isAlive(pid) || how === 'idle');
    if (how === 'hang') {
      // Until it hangs indeed.
      await wait(100);
      node.kill('SIGKILL');
    }
    const [status] = await exited;
    assert.equal(status, how === 'hang' ? null : 0);
    await isGone(pid);
  }
});

it('a process whose node ended before it looked ends, with a call that never returns at hand', async () => {
  const program = fileURLToPath(new URL('onnx.ts', programs));
  const gone = spawn(process.execPath, ['-e', '']);
  await once(gone, 'exit');
  const child = spawn(process.execPath, ['--no-warnings', program, 'cpu', 'onnx', String(gone.pid)], {
    stdio: ['ignore', 'inherit', 'inherit', 'overlapped'],
  });
  const shared = new SharedFile(undefined, 0);
  const frames = new Frames(child.stdio[3] as Socket, shared, { onValue: () => undefined, onBroken: () => undefined });
  (child.stdio[3] as Socket).on('error', () => undefined);
  frames.send({ id: 1, method: 'hang', args: null, memoryMb: 1024 });
  const [, signal] = await once(child, 'exit');
  assert.equal(signal, 'SIGKILL');
});

/** Files in shared memory that this process has open. */
const sharedFiles = (fds = readdirSync('/proc/self/fd')): string[] =>
  fds.flatMap((fd) => {
    try {
      const name = readlinkSync(`/proc/self/fd/${fd}`);
      return name.startsWith('/dev/shm/') ? [name] : [];
    } catch {
      return [];
    }
  });

it(
  `large tensors cross in shared memory, and nothing of it is left after ${long ? 1000 : 40} calls and crashes`,
  { skip: process.platform !== 'linux' && 'only Linux has such files' },
  () =>
    withProcesses(async (pool) => {
      const tensor = Float64Array.from({ length: 50_000 }, (_, index) => index);
      const sent = { tensor, twice: [tensor, tensor.subarray(1)], small: Uint8Array.of(1, 2) };
      for (let index = 0; index < (long ? 1000 : 40); index += 1) {
        if (index % 10 === 9) await assert.rejects(call(pool, 'fault', sent), code('ML_PROCESS_CRASHED', true));
        else assert.deepEqual(await call(pool, 'echo', sent), sent);
        assert.ok(sharedFiles().length <= 2);
      }
      const events: unknown[] = [];
      await call(pool, 'tell', [tensor, sent], { onEvent: (event: unknown) => events.push(event) });
      assert.deepEqual(events, [tensor, sent]);
      await pool.close();
      assert.deepEqual(sharedFiles(), []);
    }),
);

it(
  'the next call has the shared memory of the last, there and back',
  { skip: process.platform !== 'linux' && 'only Linux has such files' },
  () =>
    withProcesses(async (pool) => {
      const tensor = new Uint8Array(1024 * 1024).fill(7);
      for (let index = 0; index < 6; index += 1) assert.deepEqual(await call(pool, 'echo', tensor), tensor);
      const [fd] = readdirSync('/proc/self/fd').filter((name) => sharedFiles([name]).length > 0);
      assert.equal(fstatSync(Number(fd)).size, 2 * tensor.length);
    }),
);

it('without shared memory, or with too little, tensors cross all the same', async () => {
  for (const shared_mb of [0, 1])
    await withProcesses(
      async (pool) => {
        const value = Array.from({ length: 3 }, (_, index) => new Float32Array(200_000).fill(index));
        assert.deepEqual(await call(pool, 'echo', value), value);
      },
      { shared_mb },
    );
});

it(`${long ? 1000 : 30} crashes and hangs among sound calls`, () =>
  withProcesses(async (pool) => {
    const faults = ['crash', 'fault', 'end', 'hang', 'hang'] as const;
    const pids = new Set<number>();
    const round = async (index: number): Promise<void> => {
      pids.add((await call(pool, 'pid')) as number);
      const method = faults[index % faults.length] ?? 'crash';
      if (method !== 'hang') return assert.rejects(call(pool, method, 1), code('ML_PROCESS_CRASHED', true));
      const stop = new AbortController();
      // A process that has begun and one that has not end alike.
      setTimeout(() => stop.abort(new StepError('STEP_TIMEOUT', 'too long')), index % 60);
      await assert.rejects(call(pool, method, 1, { signal: stop.signal }), code('STEP_TIMEOUT'));
    };
    const count = long ? 1000 : 30;
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < count) await round(next++);
    };
    await Promise.all([lane(), lane(), lane()]);
    assert.equal(await call(pool, 'echo', 'sound'), 'sound');
    await pool.close();
    assert.deepEqual([...pids].filter(isAlive), []);
    const { crashed, killed } = pool.counts;
    assert.equal(crashed + killed <= count, true);
  }));
