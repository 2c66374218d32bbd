import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectPair, ping, receive, transportCompliance } from '../../../test/compliance/transport.ts';
import type { Packet } from '../../ports/transport.ts';
import { memoryTransport } from './memory-transport.ts';

transportCompliance('memory', () => ({ transport: memoryTransport(), nowhere: 'memory://nobody' }));

test('packets travel by reference, within one process', async () => {
  const { near, far } = await connectPair(memoryTransport());
  assert.equal(near.local, true);
  const packet = ping(1);
  near.send(packet);
  assert.equal((await receive(far, 1))[0], packet);
});

test('listeners have names; two transports are two networks', async () => {
  const transport = memoryTransport({ name: 'hub' });
  const first = await transport.listen(() => {});
  const second = await transport.listen(() => {});
  assert.deepEqual([first.url, second.url], ['memory://hub', 'memory://hub-2']);
  await first.close();
  assert.equal((await transport.listen(() => {})).url, 'memory://hub');
  await assert.rejects(memoryTransport().connect('memory://hub'), { code: 'NODE_UNREACHABLE' });
});

test('microtasks alone carry packets, and all of one turn come together', async () => {
  const { near, far } = await connectPair(memoryTransport());
  const log: (string | Packet)[] = [];
  far.onPacket((packet) => log.push(packet));
  const [one, two] = [ping(1), ping(2)];
  near.send(one);
  queueMicrotask(() => log.push('between'));
  near.send(two);
  await undefined;
  await undefined;
  assert.deepEqual(log, [one, two, 'between']);
});
