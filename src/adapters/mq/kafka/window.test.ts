import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PartitionWindow } from './window.ts';

const restored = (window: PartitionWindow): PartitionWindow =>
  new PartitionWindow(window.partition, window.committed, window.metadata());

/** Takes what may be taken of `to` offsets that exist. */
function takeAll(window: PartitionWindow, to: number, nowMs = 0): number[] {
  const taken: number[] = [];
  for (;;) {
    const offset = window.next(nowMs, true);
    if (offset === undefined || offset >= to) return taken;
    window.take(offset, nowMs);
    taken.push(offset);
  }
}

describe('what a group has had of a partition', () => {
  test('settled out of order, the lowest unsettled offset is committed, and the others do not come again', () => {
    const window = new PartitionWindow(0, 10);
    assert.deepEqual(takeAll(window, 15), [10, 11, 12, 13, 14]);
    for (const offset of [10, 12, 14]) window.settle(offset);
    assert.equal(window.committed, 11);
    const next = restored(window);
    assert.deepEqual(takeAll(next, 16), [11, 13, 15]);
  });

  test('deliveries are counted by whoever comes next', () => {
    let window = new PartitionWindow(0, 0);
    for (let before = 0; before < 4; before += 1) {
      assert.equal(window.take(window.next(0, true) ?? -1, 0), before);
      window = restored(window);
    }
  });

  test('a delay outlives whoever asked for it', () => {
    const window = new PartitionWindow(0, 0);
    takeAll(window, 2);
    window.giveBack(0, 60_000);
    window.giveBack(1, 0);
    const next = restored(window);
    assert.equal(next.next(59_999, true), 1);
    next.take(1, 59_999);
    assert.equal(next.next(59_999, true), 2);
    assert.equal(next.next(60_000, true), 0);
    assert.equal(next.nextDueMs(), 60_000);
  });

  test('metadata of others is left alone', () => {
    for (const metadata of [
      '',
      'x',
      'jsonflow1',
      'jsonflow1,zz,1',
      'jsonflow1,2,5.1.1',
      'jsonflow1,-1',
      'jsonflow1,5,0.99999999.1',
    ]) {
      const window = new PartitionWindow(0, 7, metadata);
      assert.equal(window.committed, 7, metadata);
      assert.equal(window.next(0, true), 7, metadata);
    }
  });

  test('however scattered, the text fits, and nothing is lost by it', () => {
    const window = new PartitionWindow(0, 1_000_000_000);
    const to = 1_000_004_000;
    takeAll(window, to);
    for (let offset = 1_000_000_000; offset < to; offset += 2) window.settle(offset);
    assert.ok(Buffer.byteLength(window.metadata()) <= 4096);
    assert.equal(window.mayAdvance, false, 'the oldest must be settled first');
    const again = new Set(takeAll(restored(window), to));
    for (let offset = 1_000_000_001; offset < to; offset += 2) assert.ok(again.has(offset));
  });

  test('what does not exist holds nothing up', () => {
    const window = new PartitionWindow(0, 0);
    window.skipMissing(0, 5);
    assert.equal(window.committed, 5);
    window.take(5, 0);
    window.giveBack(5, 0);
    window.skipMissing(5, 6);
    assert.equal(window.committed, 6);
    window.take(6, 0);
    window.giveBack(6, 0);
    window.skipTo(100);
    assert.equal(window.committed, 100);
  });

  test('any order of taking, settling and giving back delivers each until it is settled, and none after', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('take' as const) }),
      fc.record({ kind: fc.constantFrom('settle' as const, 'back' as const), pick: fc.nat() }),
      fc.record({ kind: fc.constant('restart' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        let window = new PartitionWindow(0, 0);
        const held: number[] = [];
        const settled = new Set<number>();
        const counts = new Map<number, number>();
        for (const one of steps) {
          if (one.kind === 'take') {
            const offset = window.next(0, true) ?? -1;
            assert.ok(!settled.has(offset) && !held.includes(offset));
            assert.equal(window.take(offset, 0), counts.get(offset) ?? 0);
            counts.set(offset, (counts.get(offset) ?? 0) + 1);
            held.push(offset);
          } else if (one.kind === 'restart') {
            window = restored(window);
            held.length = 0;
          } else if (held.length > 0) {
            const [offset = -1] = held.splice(one.pick % held.length, 1);
            if (one.kind === 'settle') {
              window.settle(offset);
              settled.add(offset);
            } else window.giveBack(offset, 0);
          }
          for (let offset = 0; offset < window.committed; offset += 1) assert.ok(settled.has(offset));
        }
      }),
    );
  });
});
