import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { contextFor } from '../../test/compliance/adapter.ts';
import type { JSONObject, JSONValue } from '../lib/json.ts';
import { RowSink, readRows } from './rows.ts';

const context = () => contextFor({ id: 'rows', type: 'rows', params: {} });
async function all(value: JSONValue | undefined, from: ReturnType<typeof context>): Promise<JSONObject[]> {
  const rows: JSONObject[] = [];
  for await (const batch of readRows(value, 'data', from)) rows.push(...batch);
  return rows;
}

it('few rows stand in the output, more go to the blob store; both read the same', async () => {
  const row = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })) as fc.Arbitrary<JSONObject>;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(row, { maxLength: 8 }), { maxLength: 8 }), fc.nat(20), async (batches, max) => {
      const at = context();
      const sink = new RowSink(at, max);
      for (const batch of batches) await sink.add(batch);
      const kept = await sink.end();
      const rows = JSON.parse(JSON.stringify(batches.flat())) as JSONObject[];
      assert.equal(kept.row_count, rows.length);
      assert.equal('stored' in kept, rows.length > max);
      const given = ('stored' in kept ? kept.stored : kept.rows) as unknown as JSONValue;
      assert.deepEqual(JSON.parse(JSON.stringify(await all(given, at))), rows);
    }),
  );
});

it('another sink goes on from the state of one, to the same rows', async () => {
  const batches = fc.array(fc.array(fc.record({ n: fc.nat(9) }) as fc.Arbitrary<JSONObject>, { maxLength: 5 }), {
    maxLength: 9,
  });
  await fc.assert(
    fc.asyncProperty(batches, fc.nat(20), fc.array(fc.nat(9), { maxLength: 4 }), async (given, max, breaks) => {
      const at = context();
      let sink = new RowSink(at, max);
      for (const [index, batch] of given.entries()) {
        if (breaks.includes(index)) {
          const state = JSON.parse(JSON.stringify(await sink.state()));
          // What came after the state is lost with the first sink.
          await sink.add(batch);
          sink = await RowSink.resume(state, at, max);
        }
        await sink.add(batch);
      }
      const kept = await sink.end();
      const rows = given.flat();
      assert.equal('stored' in kept, rows.length > max);
      assert.equal(kept.row_count, rows.length);
      const found = ('stored' in kept ? kept.stored : kept.rows) as unknown as JSONValue;
      assert.deepEqual(JSON.parse(JSON.stringify(await all(found, at))), JSON.parse(JSON.stringify(rows)));
    }),
    { seed: 11 },
  );
});

it('rows that are stored come in chunks of bounded size, and without secrets', async () => {
  const at = {
    ...context(),
    redact: (text: string) => text.replaceAll('hunter2', 'vault://pass').replaceAll('4711', 'vault://pin'),
  };
  const sink = new RowSink(at, 0);
  for (let index = 0; index < 100; index += 1)
    await sink.add([{ index, text: 'x'.repeat(100_000), secret: 'hunter2', number: 47110 }]);
  const kept = await sink.end();
  assert.ok('stored' in kept);
  assert.ok(kept.stored.chunks.length > 1 && kept.stored.chunks.every(({ bytes }) => bytes < 5_000_000));
  assert.equal(
    kept.stored.chunks.reduce((sum, { rows = 0 }) => sum + rows, 0),
    100,
  );
  const rows = await all(kept.stored as unknown as JSONValue, at);
  assert.ok(rows.every(({ secret, number }) => secret === 'vault://pass' && number === 47110));
});

it('what is no row is named with its place', async () => {
  await assert.rejects(all([{ a: 1 }, 2], context()), {
    code: 'INVALID_PARAMS',
    message: /^data\[1\] must be an object/,
  });
  await assert.rejects(all('text', context()), { code: 'INVALID_PARAMS', message: /^data must be an object/ });
  await assert.rejects(all({ stored: 'bytes', bytes: 1, chunks: [] }, context()), { code: 'INVALID_PARAMS' });
  assert.deepEqual(await all({ a: 1 }, context()), [{ a: 1 }]);
});
