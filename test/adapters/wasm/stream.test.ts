import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { CallInput } from '../../../src/adapters/wasm/abi/params.ts';
import type { StreamOrder } from '../../../src/adapters/wasm/sandbox/order.ts';
import { Sandbox } from '../../../src/adapters/wasm/sandbox/sandbox.ts';
import { copier, orderOf, sampler } from './sandbox-modules.ts';

const module = sampler();
const sandbox = new Sandbox({ threadsMax: 2 });
after(() => sandbox.close());

const bytes = (text: string): CallInput => ({ kind: 'input', value: Buffer.from(text) });
const order = (name: string, more: Partial<StreamOrder> = {}): StreamOrder => ({
  ...orderOf(module, name, [], { plan: name === 'process' ? { abi: 'buffer', output: 'text' } : {} }),
  ...more,
});
async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

test('items go through one live instance in order', async () => {
  const stream = sandbox.stream(order('process'), ['a', 'bc', '', 'def'].map(bytes));
  assert.deepEqual(await collect(stream), ['a', 'bc', '', 'def']);
  assert.equal(stream.facts().fuelUsed, 4n + 4n + 6n);
  assert.equal(stream.facts().memoryBytes, 131_072);
  const none: CallInput = { kind: 'args', args: [] };
  assert.deepEqual(await collect(sandbox.stream(order('count'), [none, none, none])), [1, 2, 3]);
  assert.deepEqual(await collect(sandbox.stream(order('count'), [])), []);
});

test('fuel is for all items, and for each', async () => {
  const items = Array.from({ length: 5 }, () => bytes('x'.repeat(10)));
  const all = sandbox.stream(order('process', { fuel: 30n }), items);
  await assert.rejects(collect(all), { code: 'OUT_OF_FUEL' });
  assert.equal(all.facts().fuelUsed, 30n);
  const each = sandbox.stream(order('process', { fuelPerChunk: 12n }), items);
  assert.equal((await collect(each)).length, 5);
  assert.equal(each.facts().fuelUsed, 60n);
  const fewer = sandbox.stream(order('process', { fuelPerChunk: 11n }), items);
  await assert.rejects(collect(fewer), { code: 'OUT_OF_FUEL' });
});

test('a reader that leaves ends the producer, which never was far ahead', async () => {
  let made = 0;
  let ended = false;
  async function* source(): AsyncGenerator<CallInput> {
    try {
      for (;;) {
        made += 1;
        yield bytes(String(made));
      }
    } finally {
      ended = true;
    }
  }
  for await (const item of sandbox.stream(order('process'), source())) if (item === '3' || item === 3) break;
  assert.equal(ended, true);
  assert.ok(made <= 3 + 4, `made ${made}`);
  assert.equal((await sandbox.call(orderOf(module, 'add', [1, 2]))).result, 3);
});

test('a producer that fails ends the stream with its error', async () => {
  async function* source(): AsyncGenerator<CallInput> {
    yield bytes('a');
    throw new Error('the source is broken');
  }
  await assert.rejects(collect(sandbox.stream(order('process'), source())), /the source is broken/);
});

test('a function for the end that is not there, or does not fit, ends the stream before its items', async () => {
  for (const [finish, code] of [
    ['nope', 'FUNCTION_NOT_FOUND'],
    ['add', 'ABI_MISMATCH'],
  ] as const) {
    const seen: unknown[] = [];
    const read = async (): Promise<void> => {
      for await (const item of sandbox.stream(order('process', { finish }), [bytes('a')])) seen.push(item);
    };
    await assert.rejects(read, { code });
    assert.deepEqual(seen, []);
  }
  assert.deepEqual(await collect(sandbox.stream(order('process', { finish: 'process' }), [bytes('a')])), ['a']);
});

test('a trap ends the stream and gives the thread back', async () => {
  const args = [
    [6, 3],
    [1, 0],
    [1, 1],
  ].map((list): CallInput => ({ kind: 'args', args: list }));
  const seen: unknown[] = [];
  await assert.rejects(
    async () => {
      for await (const item of sandbox.stream(order('divide'), args)) seen.push(item);
    },
    { code: 'WASM_TRAP' },
  );
  assert.deepEqual(seen, [2]);
  assert.equal((await sandbox.call(orderOf(module, 'add', [1, 2]))).result, 3);
});

test('a signal ends a stream within an item', async () => {
  const stop = new AbortController();
  const stream = sandbox.stream(order('spin'), [{ kind: 'args', args: [] }], stop.signal);
  const ended = assert.rejects(collect(stream), /enough/);
  await sandbox.call(orderOf(module, 'add', [1, 2]));
  stop.abort(new Error('enough'));
  await ended;
});

const program = copier();
const piped = (more: Partial<StreamOrder> = {}): StreamOrder => ({
  ...orderOf(program, '_start', [], { plan: { abi: 'wasi-command' }, fuel: 1n << 40n }),
  ...more,
});

test('a program reads and writes through its standard input and output, as a call and as a stream', async () => {
  const order = orderOf(program, '_start', [], {
    plan: { abi: 'wasi-command' },
    settings: { stdin: Buffer.from('abc') },
  });
  assert.equal((await sandbox.call(order)).result, 'abc');
  const input = Buffer.alloc(1_500_000, 'some words, ');
  const parts = Array.from(
    { length: 15 },
    (_, index): CallInput => ({
      kind: 'input',
      value: input.subarray(index * 100_000, (index + 1) * 100_000),
    }),
  );
  const stream = sandbox.stream(piped({ chunkBytes: 40_000 }), parts);
  const pieces = (await collect(stream)) as Uint8Array[];
  assert.ok(Buffer.concat(pieces).equals(input));
  assert.deepEqual([pieces.length, pieces[0]?.length, pieces.at(-1)?.length], [38, 40_000, 20_000]);
  assert.equal(stream.facts().memoryBytes, 3 * 65_536);
});

test('what a program writes comes as it is written, in whatever form the whole is wanted', async () => {
  const text = '{ "a": 1 }\n[1, 2]\nä€😀 12 ';
  for (const output of ['auto', 'json', 'text', 'bytes'] as const)
    for (const chunkBytes of [1, 7, 11, 1000]) {
      const stream = sandbox.stream(piped({ chunkBytes, plan: { ...piped().plan, output } }), [bytes(text)]);
      assert.equal(Buffer.concat((await collect(stream)) as Uint8Array[]).toString(), text);
    }
});

test('items that are no bytes go to a program as lines of JSON', async () => {
  const items = [{ b: 1, a: 2 }, 'x'].map((value): CallInput => ({ kind: 'input', value }));
  assert.equal(
    Buffer.concat((await collect(sandbox.stream(piped(), items))) as Uint8Array[]).toString(),
    '{"a":2,"b":1}\n"x"\n',
  );
});

test('a program that ends early, or is left, ends its producer', async () => {
  let ended = 0;
  async function* source(first: string): AsyncGenerator<CallInput> {
    try {
      yield bytes(first);
      for (;;) yield { kind: 'input', value: Buffer.alloc(100_000, 'y') };
    } finally {
      ended += 1;
    }
  }
  await assert.rejects(collect(sandbox.stream(piped(), source('x'))), { code: 'WASM_EXITED' });
  for await (const _ of sandbox.stream(piped(), source('y'))) break;
  // A source that is busy hears of it as soon as it has given its item.
  while (ended < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await sandbox.call(orderOf(module, 'add', [1, 2]))).result, 3);
});

test('a signal ends a program that waits for its input', async () => {
  const stop = new AbortController();
  async function* source(): AsyncGenerator<CallInput> {
    yield bytes('a');
    stop.abort(new Error('enough'));
    await new Promise(() => undefined);
  }
  await assert.rejects(collect(sandbox.stream(piped(), source(), stop.signal)), /enough/);
});
