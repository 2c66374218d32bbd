import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { Gathering, Portions, sizeOf } from './gathering.ts';

it('headers and keys count as well as bodies', () => {
  assert.equal(
    sizeOf({ body: Buffer.from('abc'), headers: { name: 'text' }, properties: { key: 'xy', other: 'z' } }),
    13,
  );
});

it('few messages are asked for at first, then as many as fit', () => {
  const portions = new Portions();
  assert.equal(portions.next(10, 1_000), 10);
  assert.equal(portions.next(50_000, 1_000_000), 32);
  portions.came(32, 320);
  assert.equal(portions.next(50_000, 1_000_000), 256);
  portions.came(256, 2_560_000);
  assert.equal(portions.next(50_000, 1_000_000), 100);
  portions.came(0, 0);
  portions.came(1, 10_000_000);
  assert.equal(portions.next(50_000, 1_000_000), 1);
});

it('whatever the sizes, a portion is never more than eight times the one before', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1_000_000), { minLength: 1 }), (sizes) => {
      const portions = new Portions();
      let before = 4;
      for (const size of sizes) {
        const next = portions.next(50_000, 32_000_000);
        assert.ok(next >= 1 && next <= Math.max(32, before * 8));
        portions.came(next, next * size);
        before = next;
      }
    }),
  );
});

it('a batch ends at its messages, at its bytes, or at its time, even where more keeps coming', (context) => {
  let now = 0;
  context.mock.method(performance, 'now', () => now);
  const gathering = new Gathering({ max: 1_000, bytesMax: 100, waitMs: 500 });
  assert.deepEqual([gathering.leftMs, gathering.satisfied], [500, false]);
  now = 499;
  gathering.took(10);
  assert.deepEqual([gathering.leftMs, gathering.room], [50, { messages: 999, bytes: 90 }]);
  for (; gathering.leftMs > 0; now += 40) gathering.took(0);
  assert.ok(now >= 1_500 && now < 1_600, String(now));
  gathering.took(90);
  assert.deepEqual([gathering.satisfied, gathering.room.bytes], [true, 0]);
  const counted = new Gathering({ max: 1, bytesMax: 100, waitMs: 0 });
  assert.equal(counted.leftMs, 0);
  counted.took(1);
  assert.equal(counted.satisfied, true);
});

it('waits longer for the first message while some are known to be there, and not for ever', (context) => {
  let nowMs = 0;
  context.mock.method(performance, 'now', () => nowMs);
  const gathering = new Gathering({ max: 10, bytesMax: 1_000, waitMs: 500 });
  nowMs = 400;
  gathering.delayed();
  assert.equal(gathering.leftMs, 2_000);
  nowMs = 20_400;
  gathering.delayed();
  assert.equal(gathering.leftMs, 100);
  gathering.took(1);
  assert.equal(gathering.leftMs, 50);
  nowMs = 20_420;
  gathering.delayed();
  assert.equal(gathering.leftMs, 30, 'once one has come, the moment that the next may take stays as it is');
});
