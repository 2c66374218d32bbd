import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { closed, connectPair, ping, receive } from '../../../test/compliance/transport.ts';
import { JSONFlowError } from '../../lib/errors.ts';
import type { Connection, Packet } from '../../ports/transport.ts';
import { limits } from '../../protocol/limits.ts';
import { decodeFrame, encodeFrames, encodePacket, frameSize } from './frame.ts';
import { wsTransport } from './ws-transport.ts';

const seed = 20260118;

const encode = (packets: Packet[]): Buffer[] => encodeFrames(packets.map(encodePacket));
const packet: fc.Arbitrary<Packet> = fc.oneof(
  fc.record({
    message: fc.record({ kind: fc.constant('goodbye' as const), why: fc.string({ unit: 'binary', maxLength: 300 }) }),
  }),
  fc.record({
    message: fc.record({ kind: fc.constant('blob.stored' as const), id: fc.nat() }),
    bytes: fc.uint8Array({ maxLength: 3000 }),
  }),
);

/** A frame as it would be on the wire, with every part free to be wrong. */
function rawFrame(parts: {
  version?: number;
  json: string | Buffer;
  jsonBytes?: number;
  entries?: [number, number][];
  count?: number;
  rest?: Buffer;
}): Buffer {
  const { version = 1, entries = [], rest = Buffer.alloc(0) } = parts;
  const json = Buffer.from(parts.json);
  const head = Buffer.alloc(9 + 8 * entries.length);
  head[0] = version;
  head.writeUInt32BE(parts.jsonBytes ?? json.length, 1);
  head.writeUInt32BE(parts.count ?? entries.length, 5);
  entries.forEach(([index, length], i) => {
    head.writeUInt32BE(index, 9 + 8 * i);
    head.writeUInt32BE(length, 13 + 8 * i);
  });
  return Buffer.concat([head, json, rest]);
}

const good = '[{"kind":"ping","at":1},{"kind":"ping","at":2}]';
const four = Buffer.from('four');
const hostile: Record<string, Buffer> = {
  empty: Buffer.alloc(0),
  'too short': Buffer.alloc(10),
  'another version': rawFrame({ version: 2, json: good }),
  'no JSON': rawFrame({ json: 'nonsense' }),
  'half of the JSON': rawFrame({ json: good, jsonBytes: 20 }),
  'a huge JSON length': rawFrame({ json: good, jsonBytes: 0xffff_ffff }),
  'a huge number of attachments': rawFrame({ json: good, count: 0xffff_ffff }),
  'a huge attachment': rawFrame({ json: good, entries: [[0, 0xffff_ffff]], rest: four }),
  'an attachment of no message': rawFrame({ json: good, entries: [[2, 4]], rest: four }),
  'two attachments of one message': rawFrame({
    json: good,
    entries: [
      [0, 2],
      [0, 2],
    ],
    rest: four,
  }),
  'attachments out of order': rawFrame({
    json: good,
    entries: [
      [1, 2],
      [0, 2],
    ],
    rest: four,
  }),
  'an attachment cut short': rawFrame({ json: good, entries: [[0, 5]], rest: four }),
  'bytes too many': rawFrame({ json: good, rest: four }),
  'bytes that are not UTF-8': rawFrame({ json: Buffer.from('[{"kind":"goodbye","why":"\xff\xfe"}]', 'latin1') }),
  'no array': rawFrame({ json: '{"kind":"ping","at":1}' }),
  'an array of numbers': rawFrame({ json: '[1,2,3,4]' }),
  'an unknown kind': rawFrame({ json: '[{"kind":"overthrow"}]' }),
  'a field of the wrong type': rawFrame({ json: '[{"kind":"ping","at":"now"}]' }),
  'a kind through the prototype': rawFrame({ json: '[{"__proto__":{"kind":"ping","at":1}}]' }),
  'a deep value': rawFrame({ json: `[{"kind":"ping","at":1,"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}]` }),
};

test('packets survive frames, in order, with their bytes', () => {
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 20 }), (packets) => {
      const decoded = encode(packets).flatMap(decodeFrame);
      assert.equal(decoded.length, packets.length);
      decoded.forEach(({ message, bytes }, i) => {
        assert.deepEqual(message, JSON.parse(JSON.stringify(packets[i]?.message)));
        assert.deepEqual(bytes && [...bytes], packets[i]?.bytes && [...(packets[i]?.bytes ?? [])]);
      });
    }),
    { seed, numRuns: 300 },
  );
});

test('much is split over frames, none above its limit, and sizes are as announced', () => {
  const bytes = new Uint8Array(700_000);
  const packets: Packet[] = Array.from({ length: 5 }, (_, id) => ({ message: { kind: 'blob.stored', id }, bytes }));
  const frames = encode(packets);
  assert.equal(frames.length, 5);
  for (const small of packets) assert.equal(frameSize(encodePacket(small)) - 1, encode([small])[0]?.length);
  assert.equal(encode(Array.from({ length: 1000 }, (_, at) => ping(at))).length, 1);
  const largest = new Uint8Array(limits.frameBytesMax - 100);
  const [frame] = encode([{ message: { kind: 'blob.stored', id: 1 }, bytes: largest }]);
  assert.ok(frame !== undefined && frame.length <= limits.frameBytesMax);
  assert.deepEqual(encode([]), []);
});

const isInvalid = (thrown: unknown): boolean => thrown instanceof JSONFlowError && thrown.code === 'INVALID_MESSAGE';

test('every malformed frame is INVALID_MESSAGE', () => {
  for (const [what, frame] of Object.entries(hostile)) assert.throws(() => decodeFrame(frame), isInvalid, what);
});

test('a frame that is cut anywhere is INVALID_MESSAGE', () => {
  const [frame = Buffer.alloc(0)] = encode([
    ping(1),
    { message: { kind: 'blob.stored', id: 1 }, bytes: four },
    ping(2),
  ]);
  for (let length = 0; length < frame.length; length++)
    assert.throws(() => decodeFrame(frame.subarray(0, length)), isInvalid, `${length} of ${frame.length} bytes`);
});

test('random and damaged frames give packets or INVALID_MESSAGE, nothing else', () => {
  const harmless = (frame: Buffer): void => {
    try {
      decodeFrame(frame);
    } catch (thrown) {
      assert.ok(isInvalid(thrown), String(thrown));
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => harmless(Buffer.from(bytes))),
    { seed, numRuns: 2000 },
  );
  const damaged = fc.tuple(fc.array(packet, { minLength: 1, maxLength: 5 }), fc.nat(), fc.nat(255));
  fc.assert(
    fc.property(damaged, ([packets, at, byte]) => {
      const [frame = Buffer.alloc(0)] = encode(packets);
      frame[at % Math.min(frame.length, 100)] = byte;
      harmless(frame);
    }),
    { seed, numRuns: 2000 },
  );
});

test('hostile frames end their own connection; the others and the listener live on', async () => {
  const accepted: Connection[] = [];
  const { near, far, listener } = await connectPair({
    ...wsTransport(),
    listen: (accept) =>
      wsTransport().listen((connection) => {
        accepted.push(connection);
        accept(connection);
      }),
  });
  const attack = async (send: (socket: WebSocket) => void): Promise<Error | undefined> => {
    const socket = new WebSocket(listener.url);
    await once(socket, 'open');
    const end = closed(accepted.at(-1) ?? assert.fail());
    const seen = once(socket, 'close');
    socket.on('error', () => {});
    send(socket);
    const [error] = await Promise.all([end, seen]);
    return error;
  };
  for (const [what, frame] of Object.entries(hostile))
    assert.ok(isInvalid(await attack((socket) => socket.send(frame))), what);
  assert.ok(isInvalid(await attack((socket) => socket.send(good))), 'text');
  // Below the WebSocket: reserved bits, then a length of 2^62.
  const under = (bytes: number[]) => (socket: WebSocket) =>
    (socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(Buffer.from(bytes));
  assert.ok(isInvalid(await attack(under([0xf2, 0x80, 1, 2, 3, 4]))));
  const huge = await attack(under([0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
  assert.match(String((huge as { code?: string }).code), /LIMIT_EXCEEDED|INVALID_MESSAGE/);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (bytes) => {
      assert.ok(isInvalid(await attack((socket) => socket.send(bytes))));
    }),
    { seed, numRuns: 30 },
  );

  near.send(ping(1));
  assert.deepEqual((await receive(far, 1))[0]?.message, ping(1).message);
  await (await connectPair(wsTransport())).listener.close();
  await listener.close();
});
