import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { after, test } from 'node:test';
import * as mongo from 'mongodb';
import { createEgress } from '../../../egress/egress.ts';
import { StepError } from '../../../lib/errors.ts';
import type { Egress } from '../../../ports/egress.ts';
import type { Call, Target } from '../driver.ts';
import { optionDefaults } from '../options.ts';
import { AnnouncedHosts, parseHost } from './hosts.ts';
import { openMongo } from './mongodb.ts';

const servers: Server[] = [];
const sockets: Socket[] = [];
after(() => {
  for (const server of servers) server.close();
  for (const socket of sockets) socket.destroy();
});

async function listening(host: string, serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.push(socket);
    serve(socket);
  }).listen(0, host);
  servers.push(server);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Answers every command as a primary of a replica set that names these members. */
function primaryNaming(hosts: () => string[]): (socket: Socket) => void {
  return (socket) => {
    let bytes = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (more) => {
      bytes = Buffer.concat([bytes, more]);
      while (bytes.length >= 16 && bytes.length >= bytes.readInt32LE(0)) {
        const size = bytes.readInt32LE(0);
        socket.write(reply(bytes.subarray(0, size), hosts()));
        bytes = bytes.subarray(size);
      }
    });
  };
}

function reply(request: Buffer, hosts: string[]): Buffer {
  const document = mongo.BSON.serialize({
    ok: 1,
    ismaster: true,
    isWritablePrimary: true,
    helloOk: true,
    setName: 'rs',
    setVersion: 1,
    hosts,
    primary: hosts[0],
    me: hosts[0],
    minWireVersion: 0,
    maxWireVersion: 21,
    maxBsonObjectSize: 16_777_216,
    maxMessageSizeBytes: 48_000_000,
    maxWriteBatchSize: 100_000,
    localTime: new Date(),
    cursor: { id: mongo.Long.ZERO, ns: 'db.c', firstBatch: [{ found: true }] },
  });
  const query = request.readInt32LE(12) === 2004;
  const head = Buffer.alloc(query ? 36 : 21);
  head.writeInt32LE(head.length + document.length, 0);
  head.writeInt32LE(request.readInt32LE(4), 8);
  head.writeInt32LE(query ? 1 : 2013, 12);
  if (query) head.writeInt32LE(1, 32);
  return Buffer.concat([head, document]);
}

const target = (port: number, egress: Egress): Target => ({
  url: new URL(`mongodb://127.0.0.1:${port}/db?serverSelectionTimeoutMS=1500&heartbeatFrequencyMS=500`),
  reach: 'operator',
  egress,
  options: optionDefaults,
});

const call = (): Call => {
  const signal = new AbortController().signal;
  const options = { ...optionDefaults, retry_attempts: 0 };
  return {
    context: { signal, redact: (text: string) => text } as Call['context'],
    signal,
    timeoutMs: 10_000,
    options,
    effectKey: undefined,
  };
};

test('a member that the server names by a forbidden address is never connected to', async () => {
  let reached = 0;
  const inner = await listening('127.0.0.2', (socket) => {
    reached += 1;
    socket.destroy();
  });
  let own = 0;
  own = await listening(
    '127.0.0.1',
    primaryNaming(() => [
      `127.0.0.1:${own}`,
      `127.0.0.2:${inner}`,
      '/tmp/x.sock',
      `127.2:${inner}`,
      `[::ffff:127.0.0.2]:${inner}`,
    ]),
  );
  const driver = await openMongo(target(own, createEgress({ deny: ['127.0.0.2/32'] })));
  const { rows } = await driver.query({ collection: 'c' }, call());
  assert.deepEqual(rows, [{ found: true }]);
  await driver.close();
  assert.equal(reached, 0);
});

test('where every member is forbidden, the error says why', async () => {
  let reached = 0;
  const inner = await listening('127.0.0.3', (socket) => {
    reached += 1;
    socket.destroy();
  });
  const own = await listening(
    '127.0.0.1',
    primaryNaming(() => [`127.0.0.3:${inner}`]),
  );
  const driver = await openMongo(target(own, createEgress({ deny: ['127.0.0.3/32'] })));
  await assert.rejects(driver.query({ collection: 'c' }, call()), { code: 'EGRESS_DENIED' });
  await driver.close();
  assert.equal(reached, 0);
});

test('an allowed member is used', async () => {
  let reached = 0;
  let other = 0;
  const hosts = (): string[] => [`127.0.0.4:${other}`];
  other = await listening('127.0.0.4', (socket) => {
    reached += 1;
    primaryNaming(hosts)(socket);
  });
  const own = await listening('127.0.0.1', primaryNaming(hosts));
  const driver = await openMongo(target(own, createEgress()));
  assert.deepEqual((await driver.query({ collection: 'c' }, call())).rows, [{ found: true }]);
  await driver.close();
  assert.ok(reached > 0);
});

test('names are judged with the port that is connected to', async () => {
  const asked: string[] = [];
  const egress: Egress = {
    ...createEgress(),
    async addresses({ host, port }) {
      asked.push(`${host}:${port}`);
      if (port === 22) throw new StepError('EGRESS_DENIED', 'no');
      return [{ address: '192.0.2.1', family: 4 }];
    },
  };
  const announced = new AnnouncedHosts(egress, 'operator', 'mongodb', [{ host: 'seed', port: 27017 }]);
  const hello = () => ({
    hosts: ['seed', 'seed:22', 'DB.example'],
    arbiters: ['arb:1'],
    setName: 'rs',
    isWritablePrimary: true,
  });
  const first: Record<string, unknown> = hello();
  announced.filter(first);
  assert.deepEqual(
    [first.hosts, first.setName, first.isreplicaset],
    [undefined, undefined, true],
    'nothing is told before all are judged',
  );
  await new Promise(setImmediate);
  const second: Record<string, unknown> = hello();
  announced.filter(second);
  assert.deepEqual([second.hosts, second.arbiters, second.setName], [['seed', 'DB.example'], ['arb:1'], 'rs']);
  assert.deepEqual(asked, ['seed:22', 'DB.example:27017', 'arb:1']);
  assert.equal(announced.denial?.code, 'EGRESS_DENIED');
});

test('parseHost', () => {
  assert.deepEqual(parseHost('a'), { host: 'a', port: 27017 });
  assert.deepEqual(parseHost('[::1]:5'), { host: '::1', port: 5 });
  for (const bad of ['/tmp/x', 'x.sock', 'a:0', 'a:65536', 'a:b', '', '::1', 'a b'])
    assert.equal(parseHost(bad), undefined, bad);
});
