import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from '../../test/support/cluster.ts';
import { JSONFlowError } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import type { Connection } from '../ports/transport.ts';
import { limits } from '../protocol/limits.ts';
import type { Message } from '../protocol/messages.ts';
import { memoryPair } from '../transport/memory/memory-connection.ts';
import { BlobExchange, type BlobShelf, isBlobMessage } from './blobs.ts';

const bytesOf = (text: string): Uint8Array => Buffer.from(text);

/** Shelf of one end, whose saves wait until they are let through. */
class SlowShelf implements BlobShelf {
  readonly blobs = new Map<string, Uint8Array>();
  readonly saving: { digest: string; bytes: Uint8Array; done: () => void }[] = [];
  readonly loading: { digest: string; done: (bytes: Uint8Array | undefined) => void }[] = [];

  load(digest: string): Promise<Uint8Array | undefined> {
    return new Promise((done) => this.loading.push({ digest, done }));
  }

  save(digest: string, bytes: Uint8Array): Promise<void> {
    return new Promise((done) => this.saving.push({ digest, bytes, done }));
  }

  saved(): void {
    this.saving.shift()?.done();
  }
}

/** An accepting end with a slow shelf, and a peer that sends whatever a test wants. */
function ends(): { shelf: SlowShelf; peer: Connection; heard: Message[]; broken: () => unknown } {
  const [peer, near] = memoryPair('memory:a', 'memory:b');
  const shelf = new SlowShelf();
  const exchange = new BlobExchange(near, shelf, 'accepting');
  near.onPacket(({ message, bytes }) => {
    if (isBlobMessage(message)) exchange.receive(message, bytes);
  });
  const heard: Message[] = [];
  peer.onPacket(({ message }) => void heard.push(message));
  let broken: unknown;
  peer.onClose((error) => {
    broken = error ?? true;
  });
  return { shelf, peer, heard, broken: () => broken };
}

function put(peer: Connection, id: number, bytes: Uint8Array): void {
  peer.send({ message: { kind: 'blob.put', digest: sha256(bytes), id, total: bytes.length } });
  peer.send({ message: { kind: 'blob.data', id, offset: 0, total: bytes.length }, bytes });
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

describe('what a peer sends counts until it is saved', () => {
  it('by number: the ninth under way ends the connection', async () => {
    const { shelf, peer, broken } = ends();
    for (let each = 0; each < 8; each++) put(peer, 2 * each + 1, bytesOf(`blob ${each}`));
    await until(() => shelf.saving.length === 8);
    assert.equal(broken(), undefined);
    put(peer, 17, bytesOf('one more'));
    await until(() => broken() !== undefined);
    assert.equal(shelf.saving.length, 8);
  });

  it('and no longer: after an answer there is room again', async () => {
    const { shelf, peer, heard, broken } = ends();
    for (let each = 0; each < 40; each++) {
      put(peer, 2 * each + 1, bytesOf(`blob ${each}`));
      await until(() => shelf.saving.length === 1);
      shelf.saved();
      await until(() => heard.length === each + 1);
    }
    assert.ok(heard.every(({ kind }) => kind === 'blob.stored'));
    assert.equal(broken(), undefined);
  });

  it('by size: announced, before a byte has come', async () => {
    const { peer, broken } = ends();
    const digest = '0'.repeat(64);
    peer.send({ message: { kind: 'blob.put', digest, id: 1, total: limits.blobBytesMax - 10 } });
    peer.send({ message: { kind: 'blob.put', digest, id: 3, total: 10 } });
    await turns(5);
    assert.equal(broken(), undefined, 'exactly the limit is allowed');
    peer.send({ message: { kind: 'blob.put', digest, id: 5, total: 1 } });
    await until(() => broken() !== undefined);
  });

  it('as it was announced, not as its pieces say', async () => {
    const { peer, broken } = ends();
    const bytes = bytesOf('larger than announced');
    peer.send({ message: { kind: 'blob.put', digest: sha256(bytes), id: 1, total: 1 } });
    peer.send({ message: { kind: 'blob.data', id: 1, offset: 0, total: bytes.length }, bytes });
    await until(() => broken() !== undefined);
  });

  it('bytes of another digest are refused, and leave room', async () => {
    const { shelf, peer, heard, broken } = ends();
    for (let each = 0; each < 20; each++) {
      const id = 2 * each + 1;
      peer.send({ message: { kind: 'blob.put', digest: '0'.repeat(64), id, total: 3 } });
      peer.send({ message: { kind: 'blob.data', id, offset: 0, total: 3 }, bytes: bytesOf('abc') });
    }
    await until(() => heard.length === 20);
    assert.ok(heard.every(({ kind }) => kind === 'blob.missing'));
    assert.equal(shelf.saving.length, 0);
    assert.equal(broken(), undefined);
  });
});

it('a peer that asks for many blobs has one of them held for it at a time', async () => {
  const { shelf, peer, heard, broken } = ends();
  for (let each = 0; each < 8; each++)
    peer.send({ message: { kind: 'blob.get', digest: String(each).repeat(64), id: 2 * each + 1 } });
  for (let each = 0; each < 8; each++) {
    await until(() => shelf.loading.length === 1);
    await turns(3);
    assert.equal(shelf.loading.length, 1, 'the next is loaded when this one is sent');
    const { digest, done } = shelf.loading.shift() ?? { digest: '', done: () => undefined };
    assert.equal(digest, String(each).repeat(64), 'in the order asked');
    done(each % 2 === 0 ? bytesOf(`blob ${each}`) : undefined);
    await until(() => heard.length === each + 1);
    assert.equal(heard[each]?.kind, each % 2 === 0 ? 'blob.data' : 'blob.missing');
  }
  for (let each = 0; each < 9; each++)
    peer.send({ message: { kind: 'blob.get', digest: 'a'.repeat(64), id: 2 * each + 1 } });
  await until(() => broken() !== undefined);
});

it('two ends that keep to the protocol move blobs both ways, however many', async () => {
  const [left, right] = memoryPair('memory:a', 'memory:b');
  const shelf = new Map<string, Uint8Array>();
  const stock: BlobShelf = {
    load: async (digest) => shelf.get(digest),
    save: async (digest, bytes) => void shelf.set(digest, bytes),
  };
  const near = new BlobExchange(left, stock, 'connecting');
  const far = new BlobExchange(right, stock, 'accepting');
  for (const [connection, exchange] of [[left, near] as const, [right, far] as const])
    connection.onPacket(({ message, bytes }) => {
      if (isBlobMessage(message)) exchange.receive(message, bytes);
    });
  const blobs = Array.from({ length: 30 }, (_, index) => Buffer.alloc(index * 40_000, index));
  await Promise.all(blobs.flatMap((bytes) => [near.put(sha256(bytes), bytes), far.put(sha256(bytes), bytes)]));
  const back = await Promise.all(blobs.map((bytes) => near.get(sha256(bytes))));
  assert.deepEqual(back.map(sha256), blobs.map(sha256));
  await assert.rejects(
    near.get('f'.repeat(64)),
    (thrown) => thrown instanceof JSONFlowError && thrown.code === 'NOT_FOUND',
  );
  left.close();
  await assert.rejects(near.get('f'.repeat(64)), { code: 'NODE_UNREACHABLE' });
});
