import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Slots } from './slots.ts';

const { signal } = new AbortController();

it('gives out so many places, in turn, and each back once', async () => {
  const slots = new Slots(2);
  const [first, second] = [await slots.take(signal), await slots.take(signal)];
  const order: string[] = [];
  const waiting = ['third', 'fourth'].map(async (name) => {
    const give = await slots.take(signal);
    order.push(name);
    return give;
  });
  first();
  first();
  const third = await waiting[0];
  assert.deepEqual(order, ['third']);
  second();
  const fourth = await waiting[1];
  assert.deepEqual(order, ['third', 'fourth']);
  third?.();
  fourth?.();
  await Promise.all([slots.take(signal), slots.take(signal)]);
});

it('lets go of who waits no longer, and of places that are too many', async () => {
  const slots = new Slots(1);
  const held = await slots.take(signal);
  const forced = slots.force();
  const stop = new AbortController();
  const waiting = slots.take(stop.signal);
  stop.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(slots.take(stop.signal), /enough/);
  let turn = false;
  const next = slots.take(signal).then(() => {
    turn = true;
  });
  held();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(turn, false, 'what was forced takes a place, too');
  slots.resize(2);
  await next;
  forced();
});
