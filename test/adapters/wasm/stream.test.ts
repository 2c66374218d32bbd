import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { CallInput } from '../../../src/adapters/wasm/abi/params.ts';
import type { StreamOrder } from '../../../src/adapters/wasm/sandbox/order.ts';
import { Sandbox } from '../../../src/adapters/wasm/sandbox/sandbox.ts';
import { orderOf, sampler } from './sandbox-modules.ts';

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
