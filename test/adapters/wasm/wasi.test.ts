import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { stderrBytesMax } from '../../../src/adapters/wasm/host/stdio.ts';
import { wasiFunctions } from '../../../src/adapters/wasm/host/wasi.ts';
import { GuestExit, type HostSettings } from '../../../src/adapters/wasm/types.ts';
import { defaults, type Live, live, runProgram } from './host.ts';

const all = Object.keys(wasiFunctions);
const wasi = (settings: Partial<HostSettings> = {}): Live => live('wasi_snapshot_preview1', all, settings);

test('all 46 functions of WASI preview 1 are there, and no name twice', () => {
  const names = all.map((key) => key.split(' ')[0]);
  assert.equal(new Set(names).size, 46);
  assert.equal(names.length, 46);
});

test('arguments and variables are laid out as WASI says', () => {
  const own = wasi({ argv: ['prog', 'zwei ä'], env: { A: '1', B: '' } });
  const { call } = own;
  assert.equal(call('args_sizes_get', 0, 4), 0);
  assert.deepEqual([own.memory.readUInt32LE(0), own.memory.readUInt32LE(4)], [2, 13]);
  assert.equal(call('args_get', 16, 100), 0);
  assert.deepEqual([own.memory.readUInt32LE(16), own.memory.readUInt32LE(20)], [100, 105]);
  assert.equal(own.memory.toString('utf8', 100, 113), 'prog\0zwei ä\0');
  assert.equal(call('environ_sizes_get', 0, 4), 0);
  assert.deepEqual([own.memory.readUInt32LE(0), own.memory.readUInt32LE(4)], [2, 7]);
  assert.equal(call('environ_get', 16, 200), 0);
  assert.equal(own.memory.toString('utf8', 200, 207), 'A=1\0B=\0');
  assert.equal(call('args_get', 65_532, 0), 21);
  assert.equal(call('args_get', 0, 65_530), 21);
  assert.equal(call('args_get', -4, 0), 21);
});

test('arguments and variables that a program would read otherwise are refused', () => {
  const refused = { code: 'INVALID_PARAMS' };
  assert.throws(() => wasi({ argv: ['prog', 'a\0b'] }).call('args_sizes_get', 0, 4), refused);
  for (const env of [{ 'A=B': '1' }, { '': '1' }, { A: 'a\0b' }, { 'A\0': '1' }])
    assert.throws(() => wasi({ env }).call('environ_get', 0, 100), refused);
});

function vectors(own: Live, at: number, parts: [number, number][]): void {
  parts.forEach(([pointer, length], index) => {
    own.memory.writeUInt32LE(pointer, at + 8 * index);
    own.memory.writeUInt32LE(length, at + 8 * index + 4);
  });
}

test('standard input is read in parts until its end, from bytes and from a source', () => {
  const text = Buffer.from('hello world');
  const source = (): ((into: Uint8Array) => number) => {
    let at = 0;
    return (into) => {
      const part = text.subarray(at, at + into.length);
      into.set(part);
      at += part.length;
      return part.length;
    };
  };
  for (const stdin of [text, source()]) {
    const own = wasi({ stdin });
    vectors(own, 0, [
      [100, 4],
      [200, 3],
    ]);
    const read = (): string => {
      assert.equal(own.call('fd_read', 0, 0, 2, 32), 0);
      const count = own.memory.readUInt32LE(32);
      return Buffer.concat([own.memory.subarray(100, 104), own.memory.subarray(200, 203)])
        .subarray(0, count)
        .toString();
    };
    assert.deepEqual([read(), read(), read()], ['hello w', 'orld', '']);
    assert.equal(own.call('fd_read', 1, 0, 2, 32), 8);
    assert.equal(own.call('fd_read', 3, 0, 2, 32), 8);
  }
});

test('standard output is kept or passed on, and bounded; of standard error the end is kept', () => {
  const own = wasi({ outputBytesMax: 100 });
  own.memory.write('abcdefgh', 100);
  vectors(own, 0, [
    [100, 3],
    [0xffff_ffff, 0],
    [105, 2],
  ]);
  assert.equal(own.call('fd_write', 1, 0, 3, 32), 21);
  vectors(own, 8, [[103, 0]]);
  assert.equal(own.call('fd_write', 1, 0, 3, 32), 0);
  assert.equal(own.memory.readUInt32LE(32), 5);
  assert.equal(Buffer.from(own.host.stdout()).toString(), 'abcfg');
  vectors(own, 0, [[100, 96]]);
  assert.throws(() => own.call('fd_write', 1, 0, 1, 32), { code: 'RESULT_TOO_LARGE' });
  assert.equal(own.call('fd_write', 0, 0, 1, 32), 8);

  const passed: Uint8Array[] = [];
  const streamed = wasi({ stdout: (bytes) => passed.push(bytes) });
  streamed.memory.write('xyz', 100);
  vectors(streamed, 0, [[100, 3]]);
  streamed.call('fd_write', 1, 0, 1, 32);
  streamed.memory.write('---', 100);
  streamed.call('fd_write', 1, 0, 1, 32);
  assert.equal(Buffer.concat(passed).toString(), 'xyz---');

  const noisy = wasi();
  noisy.memory.fill('ä', 0, 65_536);
  vectors(noisy, 0, [[101, 40_001]]);
  assert.equal(noisy.call('fd_write', 2, 0, 1, 65_000), 0);
  noisy.memory.write('END', 100);
  vectors(noisy, 0, [[100, 3]]);
  noisy.call('fd_write', 2, 0, 1, 65_000);
  const kept = noisy.host.stderr();
  assert.ok(Buffer.byteLength(kept) <= stderrBytesMax && kept.length > 8000);
  assert.match(kept, /^ä+.?END$/su);
});

test('of standard error the last bytes are kept, however it is written', () => {
  const size = fc.oneof(fc.nat(100), fc.nat(30_000));
  fc.assert(
    fc.property(fc.array(fc.array(size, { maxLength: 4 }), { maxLength: 12 }), (writes) => {
      const own = wasi();
      own.memory.forEach((_, index) => {
        own.memory[index] = 97 + (index % 26);
      });
      const all: Buffer[] = [];
      for (const parts of writes) {
        vectors(
          own,
          0,
          parts.map((length, index) => [1000 + index, length]),
        );
        all.push(
          ...parts.map((length, index) => Buffer.from(own.memory.subarray(1000 + index, 1000 + index + length))),
        );
        assert.equal(own.call('fd_write', 2, 0, parts.length, 65_000), 0);
      }
      assert.equal(own.host.stderr(), Buffer.concat(all).toString().slice(-stderrBytesMax));
    }),
    { numRuns: 50 },
  );
});

test('parts that overlap are passed on one by one, each no larger than the memory', () => {
  let largest = 0;
  let total = 0;
  const own = wasi({
    stdout: (bytes) => {
      largest = Math.max(largest, bytes.buffer.byteLength);
      total += bytes.length;
    },
    outputBytesMax: Number.MAX_SAFE_INTEGER,
  });
  vectors(
    own,
    0,
    Array.from({ length: 1024 }, () => [16_384, 49_152]),
  );
  assert.equal(own.call('fd_write', 1, 0, 1024, 65_000), 0);
  assert.deepEqual([largest, total], [49_152, 1024 * 49_152]);
});

test('more parts than a read or write may have are refused', () => {
  const own = wasi();
  assert.equal(own.call('fd_write', 1, 0, 1025, 32), 28);
  assert.equal(own.call('fd_write', 1, 0, -1, 32), 28);
  assert.equal(own.call('fd_read', 0, 0, 0x7fff_ffff, 32), 28);
  assert.equal(own.call('poll_oneoff', 0, 0, 0, 0), 28);
  assert.equal(own.call('poll_oneoff', 0, 0, -1, 0), 28);
});

test('clocks follow from the fuel and from what was slept; sleep takes no time', () => {
  const own = wasi({ timeMs: 5 });
  const time = (id: number): bigint => {
    assert.equal(own.call('clock_time_get', id, 0n, 0), 0);
    return own.memory.readBigUInt64LE(0);
  };
  assert.equal(time(0), 5_000_020n);
  assert.equal(time(1), 40n);
  own.guest.charge(1000);
  assert.equal(time(1), 1060n);
  // Two sleeps: one of an hour and one of ten ns.
  own.memory.fill(0, 100, 196);
  own.memory.writeBigUInt64LE(7n, 100);
  own.memory.writeUInt32LE(1, 116);
  own.memory.writeBigUInt64LE(3_600_000_000_000n, 124);
  own.memory.writeBigUInt64LE(9n, 148);
  own.memory.writeUInt32LE(1, 164);
  own.memory.writeBigUInt64LE(10_000_000n, 172);
  assert.equal(own.call('poll_oneoff', 100, 300, 2, 8), 0);
  assert.equal(own.memory.readUInt32LE(8), 1);
  assert.equal(own.memory.readBigUInt64LE(300), 9n);
  const later = time(1);
  assert.ok(later > 10_000_000n && later < 10_002_000n);
  assert.ok(time(2) < 10_000n, 'the time of the processor does not pass in sleep');
  assert.equal(own.call('clock_time_get', 4, 0n, 0), 28);
  assert.equal(own.call('clock_res_get', 1, 0), 0);
  // Sleeping for ever again and again ends nowhere but at the end of the clock.
  own.memory.writeBigUInt64LE(2n ** 64n - 1n, 124);
  for (let round = 0; round < 5; round += 1) assert.equal(own.call('poll_oneoff', 100, 300, 1, 8), 0);
});

test('streams that are waited for are ready; others are named as missing', () => {
  const own = wasi({ stdin: Buffer.from('abc') });
  own.memory.writeBigUInt64LE(1n, 100);
  own.memory.writeUInt8(1, 108);
  own.memory.writeUInt32LE(0, 116);
  own.memory.writeBigUInt64LE(2n, 148);
  own.memory.writeUInt8(2, 156);
  own.memory.writeUInt32LE(9, 164);
  assert.equal(own.call('poll_oneoff', 100, 300, 2, 8), 0);
  assert.equal(own.memory.readUInt32LE(8), 2);
  assert.deepEqual(
    [own.memory.readUInt16LE(308), own.memory.readUInt8(310), own.memory.readBigUInt64LE(316)],
    [0, 1, 3n],
  );
  assert.deepEqual([own.memory.readBigUInt64LE(332), own.memory.readUInt16LE(340)], [2n, 8]);
});

test('randomness follows from the seed alone', () => {
  const bytes = (seed: string, parts: number[]): string => {
    const own = wasi({ seed });
    let at = 0;
    for (const length of parts) {
      assert.equal(own.call('random_get', at, length), 0);
      at += length;
    }
    return own.memory.toString('hex', 0, at);
  };
  assert.equal(bytes('aa', [100]), bytes('aa', [1, 60, 39]));
  assert.notEqual(bytes('aa', [100]), bytes('ab', [100]));
  assert.equal(wasi().call('random_get', 65_000, 65_000), 21);
});

test('there are no files, folders or sockets, and streams can be closed and given up', () => {
  const own = wasi();
  assert.equal(own.call('fd_prestat_get', 3, 0), 8);
  assert.equal(own.call('path_open', 3, 0, 0, 4, 0, 0n, 0n, 0, 0), 8);
  assert.equal(own.call('path_open', 0, 0, 0, 4, 0, 0n, 0n, 0, 0), 76);
  assert.equal(own.call('path_symlink', 0, 4, 3, 0, 4), 8);
  assert.equal(own.call('sock_send', 1, 0, 0, 0, 0), 57);
  assert.equal(own.call('sock_accept', 5, 0, 0), 8);
  assert.equal(own.call('fd_seek', 1, 0n, 0, 0), 70);
  assert.equal(own.call('fd_fdstat_get', 1, 0), 0);
  assert.equal(own.memory.readUInt8(0), 0);
  assert.equal(own.memory.readBigUInt64LE(8) & (1n << 6n), 1n << 6n);
  assert.equal(own.call('fd_fdstat_set_rights', 1, 1n << 30n, 0n), 76);
  assert.equal(own.call('fd_fdstat_set_rights', 1, 0n, 0n), 0);
  assert.equal(own.call('fd_write', 1, 100, 0, 32), 76);
  assert.equal(own.call('fd_renumber', 2, 1), 0);
  vectors(own, 0, [[100, 3]]);
  own.memory.write('err', 100);
  assert.equal(own.call('fd_write', 1, 0, 1, 32), 0);
  assert.equal(own.host.stderr(), 'err');
  assert.equal(own.call('fd_close', 1), 0);
  assert.equal(own.call('fd_close', 1), 8);
  assert.equal(own.call('fd_write', 2, 0, 1, 32), 8);
  assert.equal(own.call('fd_filestat_get', 0, 65_500), 21);
  assert.equal(own.call('sched_yield'), 0);
  assert.equal(own.call('proc_raise', 9), 52);
});

test('an exit ends the call with its code, without a sign', () => {
  assert.throws(
    () => wasi().call('proc_exit', -1),
    (error: unknown) => error instanceof GuestExit && error.code === 0xffff_ffff,
  );
});

test('whatever numbers a module passes, its functions answer with an error number, and touch nothing outside', () => {
  const number = fc.oneof(
    fc.constantFrom(0, 1, 2, 3, 8, 65_528, 65_535, 65_536, -1, -8, 0x7fff_ffff, -0x8000_0000, 1024, 1025),
    fc.integer({ min: 0, max: 70_000 }),
    fc.integer(),
  );
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.constantFrom(...all.filter((key) => !key.startsWith('proc_exit'))),
          fc.array(number, { minLength: 9, maxLength: 9 }),
        ),
        {
          maxLength: 12,
        },
      ),
      fc.uint8Array({ minLength: 512, maxLength: 512 }),
      (calls, content) => {
        const own = wasi({ stdin: content, argv: ['a', 'b'], env: { c: 'd' } });
        own.memory.set(content);
        for (const [key, numbers] of calls) {
          const [name = '', type = ''] = key.split(' ');
          const args = [...(type.split(':')[0] ?? '')].map((letter, index) =>
            letter === 'j' ? BigInt(numbers[index] ?? 0) : (numbers[index] ?? 0),
          );
          const before = own.guest.used;
          let given: unknown;
          try {
            given = own.call(name, ...args);
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'RESULT_TOO_LARGE');
            continue;
          }
          assert.ok(typeof given === 'number' && given >= 0 && given <= 76, `${name} gave ${given}`);
          assert.ok(own.guest.used - before >= 20n);
        }
      },
    ),
    { numRuns: 400 },
  );
});

const folder = new URL('wasi-testsuite/', import.meta.url);
const suite = readdirSync(folder).filter((file) => file.endsWith('.wasm'));

test('the selection of the public test suite is complete', () => assert.equal(suite.length, 17));

for (const file of suite)
  test(`public test suite: ${file}`, () => {
    let how: { args?: string[]; env?: Record<string, string>; stdout?: string; exit_code?: number } = {};
    try {
      how = JSON.parse(readFileSync(new URL(file.replace('.wasm', '.json'), folder), 'utf8'));
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOENT') throw error;
    }
    const { host, exitCode } = runProgram(readFileSync(new URL(file, folder)), {
      argv: [file, ...(how.args ?? [])],
      env: how.env ?? {},
    });
    assert.equal(exitCode, how.exit_code ?? 0, host.stderr());
    if (how.stdout !== undefined) assert.equal(Buffer.from(host.stdout()).toString(), how.stdout);
  });

const programs = new URL('wasi-programs/', import.meta.url);
const called = { argv: ['p', 'one', 'two'], env: { NAME: 'me' }, stdin: Buffer.from('a b a\nc\n') };

test('a program in C reads, writes, sleeps an hour at once, and finds no files', () => {
  const run = () => runProgram(readFileSync(new URL('c.wasm', programs)), called);
  const { host, exitCode } = run();
  assert.equal(exitCode, 3);
  const lines = Buffer.from(host.stdout()).toString().split('\n');
  assert.deepEqual(lines.slice(0, 6), [
    '2 lines, 8 bytes',
    'arg one',
    'arg two',
    'NAME=me',
    'year 2023',
    'slept 3600 s',
  ]);
  assert.match(lines[6] ?? '', /^[0-9a-f]{16}$/);
  assert.equal(lines[7], 'tty 0');
  assert.equal(host.stderr(), 'open: Capabilities insufficient\n');
  assert.deepEqual(run().host.stdout(), host.stdout());
});

test('a program in Rust reads, writes and sleeps until it panics', () => {
  const written: Uint8Array[] = [];
  const run = () =>
    runProgram(readFileSync(new URL('rust.wasm', programs)), { ...called, stdout: (bytes) => written.push(bytes) });
  assert.throws(run, WebAssembly.RuntimeError);
  const lines = Buffer.concat(written).toString().split('\n');
  assert.deepEqual(lines.slice(0, 2), ['4 words ["one", "two"] Ok("me")', '3600']);
  assert.equal(lines[2], String(defaults.timeMs / 1000 + 3600));
  assert.equal(lines[3], '{1: 2}');
});
