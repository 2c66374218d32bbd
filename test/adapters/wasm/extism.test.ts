import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { extismFunctions } from '../../../src/adapters/wasm/host/extism.ts';
import type { HostSettings } from '../../../src/adapters/wasm/types.ts';
import { type Live, live } from './host.ts';

const all = Object.keys(extismFunctions);
const plugin = (settings: Partial<HostSettings> = {}): Live => live('extism:host/env', all, settings);

function put(own: Live, text: string): bigint {
  const bytes = Buffer.from(text);
  const handle = own.call('alloc', BigInt(bytes.length)) as bigint;
  bytes.forEach((byte, index) => {
    own.call('store_u8', handle + BigInt(index), byte);
  });
  return handle;
}

function take(own: Live, handle: bigint): string {
  const length = Number(own.call('length', handle));
  return Buffer.from(
    Array.from({ length }, (_, index) => own.call('load_u8', handle + BigInt(index)) as number),
  ).toString();
}

test('input is read by byte, by word and through its block', () => {
  const own = plugin({ input: Buffer.from('0123456789') });
  assert.equal(own.call('input_length'), 10n);
  assert.equal(own.call('input_load_u8', 9n), '9'.charCodeAt(0));
  assert.equal(own.call('input_load_u8', 10n), 0);
  assert.equal(own.call('input_load_u64', 2n), Buffer.from('23456789').readBigInt64LE());
  assert.equal(own.call('input_load_u64', 3n), 0n);
  assert.equal(own.call('input_load_u64', -1n), 0n);
  const handle = own.call('input_offset') as bigint;
  assert.equal(handle, own.call('input_offset'));
  assert.equal(take(own, handle), '0123456789');
});

test('output and error are what was set last', () => {
  const own = plugin({ outputBytesMax: 100 });
  assert.equal(own.host.pluginError(), undefined);
  assert.equal(own.host.output().length, 0);
  const handle = put(own, 'the result');
  own.call('output_set', handle + 4n, 6n);
  assert.equal(Buffer.from(own.host.output()).toString(), 'result');
  assert.equal(own.call('output_length'), 6n);
  assert.equal(own.call('output_offset'), handle + 4n);
  own.call('error_set', put(own, 'went wrong'));
  assert.equal(own.host.pluginError(), 'went wrong');
  own.call('error_set', 0n);
  assert.equal(own.host.pluginError(), undefined);
  assert.throws(() => own.call('output_set', handle, 101n), { code: 'RESULT_TOO_LARGE' });
  own.call('output_set', 1n << 40n, 6n);
  assert.equal(Buffer.from(own.host.output()).toString(), 'result');
});

test('blocks are given, freed and given again, apart from the memory of the plug-in', () => {
  const own = plugin();
  assert.equal(own.call('alloc', 0n), 0n);
  const first = put(own, 'first');
  const second = put(own, 'second');
  assert.equal(take(own, first), 'first');
  own.call('free', first);
  assert.equal(own.call('length', first), 0n);
  assert.equal(put(own, 'third'), first);
  assert.equal(take(own, second), 'second');
  own.call('store_u64', second, 0x1122334455667788n);
  assert.equal(own.call('load_u64', second), 0x1122334455667788n);
  assert.ok(own.memory.every((byte) => byte === 0));
  const size = own.call('memory_bytes');
  for (let round = 0; round < 1000; round += 1) own.call('free', own.call('alloc', 100n) as bigint);
  assert.ok((own.call('memory_bytes') as bigint) - (size as bigint) <= 256n);
});

test('memory of the kernel and variables are bounded', () => {
  const own = plugin();
  assert.throws(() => own.call('alloc', -1n), { code: 'MEMORY_LIMIT' });
  assert.throws(
    () => {
      for (;;) own.call('alloc', 8_000_000n);
    },
    { code: 'MEMORY_LIMIT' },
  );
  const other = plugin();
  const value = other.call('alloc', 600_000n) as bigint;
  other.call('var_set', put(other, 'a'), value);
  other.call('var_set', put(other, 'a'), value);
  assert.throws(() => other.call('var_set', put(other, 'b'), value), { code: 'MEMORY_LIMIT' });
});

test('configuration and variables are found by their own names only', () => {
  const own = plugin({ config: { key: 'value ä' } });
  assert.equal(take(own, own.call('config_get', put(own, 'key')) as bigint), 'value ä');
  assert.equal(own.call('config_get', put(own, 'constructor')), 0n);
  assert.equal(own.call('config_get', 0n), 0n);
  assert.equal(own.call('var_get', put(own, '__proto__')), 0n);
  own.call('var_set', put(own, '__proto__'), put(own, 'kept'));
  assert.equal(take(own, own.call('var_get', put(own, '__proto__')) as bigint), 'kept');
  own.call('var_set', put(own, '__proto__'), 0n);
  assert.equal(own.call('var_get', put(own, '__proto__')), 0n);
});

test('what is copied for a plug-in costs fuel by its size', () => {
  const own = plugin({ config: { key: 'x'.repeat(64_000) } });
  const cost = (name: string, ...args: bigint[]): bigint => {
    const before = own.guest.used;
    own.call(name, ...args);
    return own.guest.used - before;
  };
  const key = put(own, 'key');
  assert.ok(cost('config_get', key) >= 1_000n);
  own.call('var_set', key, own.call('alloc', 640_000n) as bigint);
  assert.ok(cost('var_get', key) >= 10_000n);
  const long = own.call('alloc', 6_400_000n) as bigint;
  for (const name of ['config_get', 'var_get']) assert.ok(cost(name, long) >= 100_000n);
  assert.throws(() => own.call('var_set', long, key), { code: 'MEMORY_LIMIT' });
});

test('logs are kept by level, the first lines only; HTTP is refused', () => {
  const own = plugin();
  for (const level of ['trace', 'debug', 'info', 'warn', 'error']) own.call(`log_${level}`, put(own, level));
  assert.deepEqual(
    own.host.logs().map(({ level, text }) => `${level} ${text}`),
    ['debug trace', 'debug debug', 'info info', 'warn warn', 'error error'],
  );
  const long = put(own, 'x'.repeat(5000));
  for (let round = 0; round < 200; round += 1) own.call('log_info', long);
  assert.equal(own.host.logs().length, 100);
  assert.equal(own.host.logs()[99]?.text.length, 1000);
  assert.throws(() => own.call('http_request', 0n, 0n), { code: 'IMPORT_UNSUPPORTED', message: /network step/ });
});

test('whatever numbers a plug-in passes, it gets an answer or a typed end', () => {
  const number = fc.oneof(
    fc.constantFrom(0n, 1n, 63n, 64n, 128n, -1n, 1n << 31n, 1n << 32n, 1n << 53n, 1n << 63n),
    fc.bigInt({ min: 0n, max: 2000n }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...all), number, number), { maxLength: 30 }), (calls) => {
      const own = plugin({ input: Buffer.from('input') });
      for (const [key, first, second] of calls) {
        const [name = '', type = ''] = key.split(' ');
        const args = [...(type.split(':')[0] ?? '')].map((letter, index) => {
          const value = index === 0 ? first : second;
          return letter === 'i' ? Number(BigInt.asIntN(32, value)) : value;
        });
        try {
          own.call(name, ...args);
        } catch (error) {
          assert.match(
            String((error as { code?: string }).code),
            /^(MEMORY_LIMIT|RESULT_TOO_LARGE|IMPORT_UNSUPPORTED)$/,
          );
        }
      }
      own.host.output();
      own.host.pluginError();
    }),
    { numRuns: 300 },
  );
});
