// What every transport promises (src/ports/transport.ts). Each driver's test calls `transportCompliance`.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { JSONFlowError } from '../../src/lib/errors.ts';
import type { Connection, Listener, Packet, Transport } from '../../src/ports/transport.ts';
import { limits } from '../../src/protocol/limits.ts';

export interface TransportUnderTest {
  transport: Transport;
  /** An address of the right form at which nothing listens. */
  nowhere: string;
}

export interface Pair {
  /** The end that connected. */
  near: Connection;
  /** The end that was accepted, with a `welcome` sent from it already. */
  far: Connection;
  listener: Listener;
}

const seed = 20260117;

/** Connects two ends, and welcomes the connecting one, as limits for strangers do not matter here. */
export async function connectPair(transport: Transport): Promise<Pair> {
  const accepted = Promise.withResolvers<Connection>();
  const listener = await transport.listen(accepted.resolve);
  const near = await transport.connect(listener.url);
  const far = await accepted.promise;
  far.send({ message: { kind: 'welcome', epoch: 1, heartbeat_ms: 1000, drop: [] } });
  return { near, far, listener };
}

export const ping = (at: number): Packet => ({ message: { kind: 'ping', at } });
const chunk = (id: number, bytes: Uint8Array): Packet => ({
  message: { kind: 'blob.data', id, offset: 0, total: bytes.length },
  bytes,
});

/** The next `count` packets, without the welcome. */
export function receive(connection: Connection, count: number): Promise<Packet[]> {
  const packets: Packet[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<Packet[]>();
  connection.onPacket((packet) => {
    if (packet.message.kind === 'welcome') return;
    packets.push(packet);
    if (packets.length === count) resolve(packets);
  });
  connection.onClose((error) => reject(error ?? new Error(`closed after ${packets.length} of ${count} packets`)));
  return promise;
}

export const closed = (connection: Connection): Promise<Error | undefined> =>
  new Promise((resolve) => connection.onClose(resolve));

const code = (thrown: unknown): string => (thrown instanceof JSONFlowError ? thrown.code : String(thrown));
const failsWith = (expected: string, retriable?: boolean) => (thrown: unknown) => {
  assert.equal(code(thrown), expected);
  if (retriable !== undefined) assert.equal((thrown as JSONFlowError).retriable, retriable);
  return true;
};

type Make = () => TransportUnderTest | Promise<TransportUnderTest>;
type PairTest = (what: string, body: (pair: Pair) => Promise<void>) => void;

/** Every sentence of the Transport port as a test; `make` gives a fresh transport for each. */
export function transportCompliance(name: string, make: Make): void {
  const pairTest: PairTest = (what, body) => {
    test(what, async () => {
      const { transport } = await make();
      const pair = await connectPair(transport);
      try {
        await body(pair);
      } finally {
        await pair.listener.close();
      }
    });
  };

  describe(`${name} keeps the Transport port`, () => {
    packets(pairTest);
    backPressure(pairTest);
    ends(pairTest);
    listening(pairTest, make);
  });
}

function packets(pairTest: PairTest): void {
  pairTest('100,000 packets each way at once keep their order', async ({ near, far }) => {
    const count = 100_000;
    const sendAll = async (from: Connection): Promise<void> => {
      for (let at = 0; at < count; at++) {
        from.send(ping(at));
        if (at % 1000 === 999) await from.drained();
      }
    };
    const [atFar, atNear] = await Promise.all([receive(far, count), receive(near, count), sendAll(near), sendAll(far)]);
    for (const packets of [atFar, atNear])
      packets.forEach(({ message }, at) => {
        if (message.kind !== 'ping' || message.at !== at) assert.fail(`packet ${at} is ${JSON.stringify(message)}`);
      });
  });

  pairTest('bytes arrive as they were sent, whatever their size', async ({ near, far }) => {
    const sizes = fc.array(fc.oneof(fc.constantFrom(0, 1, 1024 * 1024), fc.nat(1024 * 1024)), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(255), async (lengths, fill) => {
        const sent = lengths.map((length, i) => new Uint8Array(length).map((_, at) => at * 31 + fill + i));
        const arrived = receive(far, sent.length + 1);
        for (const [id, bytes] of sent.entries()) near.send(chunk(id, bytes));
        near.send(ping(sent.length));
        const packets = await arrived;
        assert.equal(packets.at(-1)?.bytes, undefined);
        for (const [id, bytes] of sent.entries())
          assert.ok(Buffer.from(bytes).equals(packets[id]?.bytes ?? Buffer.alloc(0)));
      }),
      { seed, numRuns: 15 },
    );
  });

  pairTest('a message arrives as it was sent', async ({ near, far }) => {
    const params = {
      value: { text: 'Grüße, 世界 \u{1f680} "\\\n\u0000', n: [1e21, -0.5, null, true], deep: { a: [[]] } },
    };
    const checkpoint = {
      kind: 'checkpoint',
      run_id: 'r',
      step_id: 's',
      attempt: 1,
      epoch: 2,
      save: 3,
      state: params,
    } as const;
    near.send({ message: checkpoint });
    assert.deepEqual((await receive(far, 1))[0]?.message, checkpoint);
  });

  pairTest('nothing is delivered from within send', async ({ near, far }) => {
    let arrived = 0;
    const got = Promise.withResolvers<void>();
    far.onPacket(() => {
      arrived += 1;
      got.resolve();
    });
    near.send(ping(1));
    assert.equal(arrived, 0);
    await got.promise;
    assert.equal(arrived, 1);
  });

  pairTest('packets wait for their receiver', async ({ near, far }) => {
    for (let at = 0; at < 10; at++) near.send(ping(at));
    // An answer shows that the packets have arrived before there is a receiver.
    far.send(ping(99));
    await receive(near, 1);
    const packets = await receive(far, 10);
    assert.deepEqual(
      packets.map(({ message }) => message),
      Array.from({ length: 10 }, (_, at) => ping(at).message),
    );
  });

  pairTest('the receiver may be exchanged between two packets', async ({ near, far }) => {
    const first: Packet[] = [];
    const second = Promise.withResolvers<Packet>();
    far.onPacket((packet) => {
      first.push(packet);
      far.onPacket(second.resolve);
    });
    near.send(ping(1));
    near.send(ping(2));
    assert.deepEqual((await second.promise).message, ping(2).message);
    assert.deepEqual(
      first.map(({ message }) => message),
      [ping(1).message],
    );
  });

  pairTest('a receiver that throws ends its connection with INTERNAL', async ({ near, far }) => {
    far.onPacket(() => {
      throw new Error('a defect');
    });
    const [atFar, atNear] = [closed(far), closed(near)];
    near.send(ping(1));
    near.send(ping(2));
    assert.equal(code(await atFar), 'INTERNAL');
    assert.equal(code(await atNear), 'NODE_LOST');
  });
}

function backPressure(pairTest: PairTest): void {
  pairTest('drained waits for a peer that does not read yet', async ({ near, far }) => {
    const bytes = new Uint8Array(limits.blobChunkBytes);
    const count = 60;
    for (let id = 0; id < count; id++) near.send(chunk(id, bytes));
    assert.ok(near.bufferedBytes > limits.sendBufferBytesMax);
    let drained = false;
    const waited = near.drained().then(() => {
      drained = true;
    });
    await undefined;
    assert.equal(drained, false);
    await Promise.all([receive(far, count), waited]);
    assert.ok(near.bufferedBytes <= limits.sendBufferBytesMax);
  });

  pairTest('a peer that never reads is given up before memory runs out', async ({ near }) => {
    const bytes = new Uint8Array(1024 * 1024);
    const waited = near.drained();
    let sent = 0;
    let ended = false;
    near.onClose(() => {
      ended = true;
    });
    const end = closed(near);
    while (!ended && sent < 200) {
      near.send(chunk(sent++, bytes));
      if (sent % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      assert.ok(near.bufferedBytes <= 4 * limits.sendBufferBytesMax + 2 * bytes.length);
    }
    assert.equal(code(await end), 'OVERLOADED');
    await Promise.all([waited, near.drained()]);
    assert.equal(near.bufferedBytes, 0);
  });

  pairTest('a packet above the limit is refused, and the next one is not', async ({ near, far }) => {
    const tooLarge = chunk(1, new Uint8Array(limits.frameBytesMax + 1));
    assert.throws(() => near.send(tooLarge), failsWith('LIMIT_EXCEEDED'));
    near.send(ping(1));
    assert.deepEqual((await receive(far, 1))[0]?.message, ping(1).message);
  });
}

function ends(pairTest: PairTest): void {
  pairTest('close sends what is queued first', async ({ near, far }) => {
    const ends = Promise.all([closed(near), closed(far)]);
    const arrived = receive(far, 1000);
    for (let at = 0; at < 1000; at++) near.send(ping(at));
    near.close();
    assert.equal((await arrived).length, 1000);
    assert.deepEqual(await ends, [undefined, undefined]);
  });

  pairTest('a late receiver still gets what came before the close', async ({ near, far }) => {
    near.send(ping(1));
    near.close();
    await closed(far);
    const order: string[] = [];
    const end = Promise.withResolvers<void>();
    far.onClose(() => {
      order.push('close');
      end.resolve();
    });
    far.onPacket(() => order.push('packet'));
    await end.promise;
    assert.deepEqual(order, ['packet', 'close']);
  });

  pairTest('destroy drops what is queued', async ({ near, far }) => {
    const reason = new Error('enough');
    const ends = Promise.all([closed(near), closed(far)]);
    let arrived = 0;
    far.onPacket(() => {
      arrived += 1;
    });
    near.send(ping(1));
    near.destroy(reason);
    const [atNear, atFar] = await ends;
    assert.equal(atNear, reason);
    assert.equal(code(atFar), 'NODE_LOST');
    assert.equal(arrived, 0);
  });

  pairTest('destroy without a reason is no error where it is called', async ({ near, far }) => {
    const ends = Promise.all([closed(near), closed(far)]);
    near.destroy();
    const [atNear, atFar] = await ends;
    assert.equal(atNear, undefined);
    assert.equal(code(atFar), 'NODE_LOST');
  });

  pairTest('every onClose is called once, late ones too', async ({ near, far }) => {
    const calls: (Error | undefined)[] = [];
    near.onClose((error) => calls.push(error));
    far.onClose((error) => calls.push(error));
    const ends = Promise.all([closed(near), closed(far)]);
    near.close();
    near.close();
    await ends;
    near.destroy(new Error('too late'));
    far.destroy(new Error('too late'));
    far.close();
    const late = await Promise.all([closed(near), closed(far)]);
    assert.deepEqual(late, [undefined, undefined]);
    assert.deepEqual(calls, [undefined, undefined]);
  });

  pairTest('after the close nothing is sent, and nobody waits', async ({ near, far }) => {
    let arrived = 0;
    near.onPacket(() => {
      arrived += 1;
    });
    const end = closed(near);
    near.close();
    near.send(ping(1));
    far.send(ping(1));
    await near.drained();
    await end;
    await closed(far);
    far.send(ping(2));
    await far.drained();
    assert.equal(near.bufferedBytes + far.bufferedBytes, 0);
    assert.equal(arrived, 0);
  });

  pairTest('a receiver that closes gets no further packet', async ({ near, far }) => {
    let arrived = 0;
    const end = closed(near);
    far.onPacket(() => {
      arrived += 1;
      far.close();
    });
    for (let at = 0; at < 10; at++) near.send(ping(at));
    assert.equal(await end, undefined);
    assert.equal(arrived, 1);
  });
}

function listening(pairTest: PairTest, make: Make): void {
  test('connections are independent of each other', async () => {
    const { transport } = await make();
    const echo = (connection: Connection): void => connection.onPacket((packet) => connection.send(packet));
    const listener = await transport.listen(echo);
    const connections = await Promise.all(Array.from({ length: 20 }, () => transport.connect(listener.url)));
    const [first, ...others] = connections;
    first?.destroy();
    await Promise.all(
      others.map(async (connection, at) => {
        connection.send(ping(at));
        assert.deepEqual((await receive(connection, 1))[0]?.message, ping(at).message);
      }),
    );
    await listener.close();
  });

  test('a closed listener takes no more, and has closed what it had', async () => {
    const { transport } = await make();
    const { near, far, listener } = await connectPair(transport);
    const ends = Promise.all([closed(near), closed(far)]);
    await Promise.all([listener.close(), listener.close()]);
    assert.deepEqual(await ends, [undefined, undefined]);
    await assert.rejects(transport.connect(listener.url), failsWith('NODE_UNREACHABLE', true));
  });

  test('an accept that throws ends that connection alone', async () => {
    const { transport } = await make();
    let refuse = true;
    const listener = await transport.listen((connection) => {
      if (refuse) throw new Error('a defect');
      connection.onPacket((packet) => connection.send(packet));
    });
    const unlucky = await transport.connect(listener.url);
    assert.equal(code(await closed(unlucky)), 'NODE_LOST');
    refuse = false;
    const lucky = await transport.connect(listener.url);
    lucky.send(ping(7));
    assert.deepEqual((await receive(lucky, 1))[0]?.message, ping(7).message);
    await listener.close();
  });

  test('connecting to nothing is NODE_UNREACHABLE, and worth another try', async () => {
    const { transport, nowhere } = await make();
    await assert.rejects(transport.connect(nowhere), failsWith('NODE_UNREACHABLE', true));
  });

  test('an address of the wrong kind is NODE_UNREACHABLE for good', async () => {
    const { transport } = await make();
    for (const url of ['', 'nonsense://x', 'http://localhost:1'])
      await assert.rejects(transport.connect(url), failsWith('NODE_UNREACHABLE', false), url);
  });

  test('connecting ends with the reason of the signal', async () => {
    const { transport, nowhere } = await make();
    const reason = new Error('never mind');
    await assert.rejects(transport.connect(nowhere, { signal: AbortSignal.abort(reason) }), reason);
  });

  pairTest('both ends name their peer', async ({ near, far, listener }) => {
    assert.equal(near.peer, listener.url);
    assert.match(far.peer, /^\w+:\/\/./);
    assert.equal(near.local, far.local);
  });
}
