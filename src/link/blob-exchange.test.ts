import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from '../../test/support/cluster.ts';
import { sha256 } from '../lib/hash.ts';
import type { Connection, Packet } from '../ports/transport.ts';
import { limits } from '../protocol/limits.ts';
import { memoryTransport } from '../transport/memory/memory-transport.ts';
import { BlobExchange, type BlobMessage, type BlobShelf } from './blobs.ts';

interface End {
  connection: Connection;
  exchange: BlobExchange;
  stored: Map<string, Uint8Array>;
  seen: Packet[];
  closed: (Error | undefined)[];
}

function endOf(connection: Connection, side: 'connecting' | 'accepting', shelf: Partial<BlobShelf> = {}): End {
  const stored = new Map<string, Uint8Array>();
  const exchange = new BlobExchange(
    connection,
    {
      load: async (digest) => stored.get(digest),
      save: async (digest, bytes) => void stored.set(digest, bytes),
      ...shelf,
    },
    side,
  );
  const end: End = { connection, exchange, stored, seen: [], closed: [] };
  connection.onPacket((packet) => {
    end.seen.push(packet);
    exchange.receive(packet.message as BlobMessage, packet.bytes);
  });
  connection.onClose((error) => end.closed.push(error));
  return end;
}

async function pair(shelf: Partial<BlobShelf> = {}): Promise<{ near: End; far: End }> {
  const transport = memoryTransport();
  const accepted = Promise.withResolvers<Connection>();
  const listener = await transport.listen(accepted.resolve);
  const near = await transport.connect(listener.url);
  return { near: endOf(near, 'connecting'), far: endOf(await accepted.promise, 'accepting', shelf) };
}

/** A far end that says what the test tells it to. */
async function scripted(): Promise<{ near: End; far: Connection; said: Packet[] }> {
  const transport = memoryTransport();
  const accepted = Promise.withResolvers<Connection>();
  const listener = await transport.listen(accepted.resolve);
  const near = endOf(await transport.connect(listener.url), 'connecting');
  const far = await accepted.promise;
  const said: Packet[] = [];
  far.onPacket((packet) => said.push(packet));
  return { near, far, said };
}

const bytesOf = (length: number): Uint8Array => Buffer.alloc(length, 'abcdefg');

describe('blobs', () => {
  it('go both ways in chunks, whatever their size', async () => {
    const { near, far } = await pair();
    for (const length of [0, 1, limits.blobChunkBytes - 1, limits.blobChunkBytes, limits.blobChunkBytes * 9 + 1]) {
      const bytes = bytesOf(length);
      const digest = sha256(bytes);
      await near.exchange.put(digest, bytes);
      assert.deepEqual(far.stored.get(digest)?.length, length);
      near.seen.length = 0;
      assert.deepEqual(sha256(await near.exchange.get(digest)), digest);
      const chunks = near.seen.filter(({ message }) => message.kind === 'blob.data');
      assert.equal(chunks.length, Math.max(1, Math.ceil(length / limits.blobChunkBytes)));
      assert.ok(chunks.every(({ bytes: chunk }) => (chunk?.length ?? 0) <= limits.blobChunkBytes));
      await far.exchange.put(digest, bytes);
      assert.ok(near.stored.has(digest));
    }
  });

  it('at once in both directions do not mix', async () => {
    const { near, far } = await pair();
    const blobs = Array.from({ length: 20 }, (_, n) => bytesOf(n * 10_000 + 1));
    await Promise.all(
      blobs.flatMap((bytes) => [near.exchange.put(sha256(bytes), bytes), far.exchange.put(sha256(bytes), bytes)]),
    );
    for (const bytes of blobs) for (const end of [near, far]) assert.ok(end.stored.has(sha256(bytes)));
  });

  it('that are not there, or can not be stored, are told as such', async () => {
    const { near } = await pair({
      save: () => Promise.reject(new Error('full')),
      load: () => Promise.reject(new Error('broken')),
    });
    await assert.rejects(near.exchange.get('0'.repeat(64)), { code: 'NOT_FOUND' });
    await assert.rejects(near.exchange.put(sha256('x'), Buffer.from('x')), { code: 'NOT_FOUND' });
    assert.deepEqual(near.closed, [], 'the connection goes on');
  });

  it('whose bytes are not those of their digest are refused', async () => {
    const { near, far } = await pair();
    const wrong = '0'.repeat(64);
    await assert.rejects(near.exchange.put(wrong, Buffer.from('x')), { code: 'NOT_FOUND' });
    assert.ok(!far.stored.has(wrong));
    far.stored.set(wrong, Buffer.from('x'));
    await assert.rejects(near.exchange.get(wrong), { code: 'BAD_EVIDENCE' });
  });

  it('under way or wanted when the connection ends fail, to be tried over another', async () => {
    const { near, far } = await scripted();
    const under = assert.rejects(near.exchange.get('0'.repeat(64)), { code: 'NODE_UNREACHABLE', retriable: true });
    const queued = assert.rejects(near.exchange.put(sha256('x'), Buffer.from('x')), { code: 'NODE_UNREACHABLE' });
    far.close();
    await Promise.all([under, queued]);
    await assert.rejects(near.exchange.get('0'.repeat(64)), { code: 'NODE_UNREACHABLE' });
  });
});

describe('a peer that breaks the rules loses the connection', () => {
  const put = (id: number, total = 10): Packet => ({
    message: { kind: 'blob.put', digest: '0'.repeat(64), id, total },
  });
  const data = (id: number, offset: number, total: number, length: number): Packet => ({
    message: { kind: 'blob.data', id, offset, total },
    bytes: new Uint8Array(length),
  });
  const broken: Record<string, Packet[]> = {
    'a number of ours': [put(3)],
    'a number in use': [put(2), put(2)],
    'too large a blob': [put(2, limits.blobBytesMax + 1)],
    'too many at once': Array.from({ length: 9 }, (_, n) => put(2 * n)),
    'a hole in the data': [put(2), data(2, 5, 10, 5)],
    'more data than there is': [put(2), data(2, 0, 10, 11)],
    'a total that changes': [put(2), data(2, 0, 10, 5), data(2, 5, 20, 5)],
    'a total above the limit': [put(2), data(2, 0, limits.blobBytesMax + 1, 1)],
    'another total than announced': [put(2, 10), data(2, 0, 1_000_000, 1)],
  };
  for (const [what, packets] of Object.entries(broken))
    it(what, async () => {
      const { near, far } = await scripted();
      for (const packet of packets) far.send(packet);
      await until(() => near.closed.length > 0);
      assert.match(String((near.closed[0] as { code?: string } | undefined)?.code), /INVALID_MESSAGE/);
      assert.equal(near.stored.size, 0);
    });

  it('also where it asks for more than is answered, or stores faster than is written', async () => {
    const never = new Promise<never>(() => undefined);
    const reading = await pair({ load: () => never });
    for (let id = 0; id < 9; id++)
      reading.near.connection.send({ message: { kind: 'blob.get', digest: '0'.repeat(64), id } });
    await until(() => reading.far.closed.length > 0);
    const writing = await pair({ save: () => never });
    const digest = sha256('x');
    for (let id = 1; id < 100 && writing.far.closed.length === 0; id += 2) {
      writing.near.connection.send({ message: { kind: 'blob.put', digest, id, total: 1 } });
      writing.near.connection.send({
        message: { kind: 'blob.data', id, offset: 0, total: 1 },
        bytes: Buffer.from('x'),
      });
    }
    await until(() => writing.far.closed.length > 0);
  });

  it('while data of a transfer that was given up is passed over', async () => {
    const { near, far } = await scripted();
    far.send(data(40, 0, 10, 10));
    far.send(data(41, 0, 10, 10));
    await until(() => far.bufferedBytes === 0);
    assert.deepEqual(near.closed, []);
  });
});
