import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createTransformAdapter } from '../../src/adapters/transform/adapter.ts';
import { RowSink } from '../../src/kit/rows.ts';
import type { JSONObject } from '../../src/lib/json.ts';
import { contextFor } from '../compliance/adapter.ts';

/** Params whose input are rows that were stored, as a query gives them above its limit. */
async function outputOf(type: string, params: JSONObject): Promise<unknown> {
  const adapter = createTransformAdapter();
  const step = { id: 's', type, params };
  const context = contextFor(step);
  const sink = new RowSink(context, 10);
  await sink.add(Array.from({ length: 25 }, (_, n) => ({ n, even: n % 2 === 0 })));
  const rows = await sink.end();
  assert.ok('stored' in rows);
  return adapter.execute({ ...step, params: { ...params, input: rows.stored as unknown as JSONObject } }, context);
}

it('transforms read rows that a step has stored', async () => {
  assert.deepEqual(await outputOf('transform_reduce', { operation: 'sum', key: 'n' }), { result: 300 });
  assert.deepEqual(await outputOf('transform_filter', { expression: 'item.n > 23' }), {
    result: [{ n: 24, even: true }],
    count: 1,
  });
  const mapped = (await outputOf('transform_map', { fields: ['n'] })) as { count: number; result: unknown[] };
  assert.equal(mapped.count, 25);
  assert.deepEqual(mapped.result[24], { n: 24 });
});

it('stored bytes are no rows, and an object is no list', async () => {
  const adapter = createTransformAdapter();
  for (const input of [{ stored: 'bytes', bytes: 1, chunks: [] }, { a: 1 }]) {
    const step = { id: 's', type: 'transform_reduce', params: { input, operation: 'count' } };
    await assert.rejects(async () => adapter.execute(step, contextFor(step)), { code: 'INVALID_PARAMS' });
  }
});
