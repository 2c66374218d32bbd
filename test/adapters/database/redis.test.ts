import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer as createPlainServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createServer, type Server } from 'node:tls';
import { createClient } from 'redis';
import type { Driver } from '../../../src/adapters/database/driver.ts';
import { openRedis } from '../../../src/adapters/database/redis/redis.ts';
import { effectKeyOf } from '../../../src/adapters/database/redis/script.ts';
import type { StoredData } from '../../../src/protocol/stored-data.ts';
import { type Certificate, makeCertificates } from '../../support/certificates.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith, privateServer, privateSkipReason } from '../../support/services.ts';
import { callOf, code, MemoryBlobs, targetOf } from './nosql.ts';

describeWith('redis', 'Redis', () => {
  let url: string;
  let drop: () => Promise<void>;
  let driver: Driver;
  let bare: ReturnType<typeof createClient>;
  before(async () => {
    ({ url, drop } = await freshDatabase('redis'));
    driver = await openRedis(targetOf(url));
    bare = createClient({ url });
    await bare.connect();
  });
  after(async () => {
    await driver.close();
    bare.destroy();
    await drop();
  });
  beforeEach(() => bare.flushDb());

  test('replies come in order, in the shape that suits the command', async () => {
    await driver.update(
      {
        commands: [
          ['SET', 'text', 'é'],
          ['SET', 'bytes', { $bytes: '/wD+' }],
          ['SET', 'json', { $json: { a: [1, null] } }],
          ['HSET', 'hash', 'a', 1, '__proto__', 'x'],
          ['ZADD', 'scores', 1.5, 'm', 2, 'n'],
          ['RPUSH', 'list', 'a', 'b'],
          ['XADD', 'stream', '1-1', 'f', 'v'],
          ['SET', 'large', '9007199254740993'],
          ['SET', 'small', '41'],
        ],
      },
      callOf({ key: 'k' }),
    );
    const { rows, row_count } = await driver.query(
      {
        commands: [
          ['GET', 'text'],
          ['get', 'bytes'],
          ['GET', 'json'],
          ['HGETALL', 'hash'],
          ['ZRANGE', 'scores', 0, -1, 'WITHSCORES'],
          ['ZSCORE', 'scores', 'm'],
          ['LRANGE', 'list', 0, -1],
          ['XRANGE', 'stream', '-', '+'],
          ['MGET', 'text', 'nothing'],
          ['STRLEN', 'text'],
          ['TYPE', 'hash'],
        ],
      },
      callOf(),
    );
    assert.equal(row_count, 11);
    const hash = JSON.parse('{"a":"1","__proto__":"x"}');
    assert.deepEqual(rows, [
      'é',
      { $bytes: '/wD+' },
      '{"a":[1,null]}',
      hash,
      [
        ['m', 1.5],
        ['n', 2],
      ],
      1.5,
      ['a', 'b'],
      [{ id: '1-1', fields: { f: 'v' } }],
      ['é', null],
      2,
      'hash',
    ]);
    const big = await driver.query({ commands: [['BITFIELD_RO', 'x', 'GET', 'i64', 0]] }, callOf());
    assert.deepEqual(big.rows, [[0]]);
  });

  test('keys, key and pattern', async () => {
    await bare.set('a:1', 'x');
    await bare.hSet('a:2', { f: 'v' });
    await bare.zAdd('a:3', { score: 2, value: 'm' });
    const { rows } = await driver.query({ keys: ['a:1', 'a:2', 'a:3', 'a:4'] }, callOf());
    assert.deepEqual(rows, [
      { key: 'a:1', type: 'string', value: 'x' },
      { key: 'a:2', type: 'hash', value: { f: 'v' } },
      { key: 'a:3', type: 'zset', value: [['m', 2]] },
      { key: 'a:4', type: 'none', value: null },
    ]);
    assert.equal((await driver.query({ key: 'a:1' }, callOf())).row_count, 1);
    const found = await driver.query({ pattern: 'a:*', values: true, key_type: 'hash' }, callOf());
    assert.deepEqual(found.rows, [{ key: 'a:2', type: 'hash', value: { f: 'v' } }]);
    assert.equal((await driver.query({ pattern: 'a:*', limit: 2 }, callOf())).row_count, 2);
  });

  test('more rows than max_rows go to the blob store', async () => {
    const data = Array.from({ length: 500 }, (_, id) => ({ id, name: `n${id}` }));
    await driver.insert({ data, key_field: 'id', key_prefix: 'u:' }, callOf({ key: 'k', batch_size: 100 }));
    const blobs = new MemoryBlobs();
    const { stored, row_count } = await driver.query({ pattern: 'u:*', values: true }, callOf({ blobs, max_rows: 10 }));
    assert.equal(row_count, 500);
    assert.equal((stored as unknown as StoredData).stored, 'ndjson');
    const copied = await driver.insert(
      { data: stored ?? null, key_field: 'key', key_prefix: 'copy:' },
      callOf({ key: 'copy', blobs, batch_size: 64 }),
    );
    assert.equal(copied.inserted, 500);
    assert.equal(await bare.hGet('copy:u:7', 'value'), '{"id":"7","name":"n7"}');
  });

  test('commands that write, block, run code or change the server are refused', async () => {
    await assert.rejects(driver.query({ commands: [['SET', 'a', '1']] }, callOf()), code('READ_ONLY'));
    for (const name of [
      'CONFIG',
      'EVAL',
      'FLUSHALL',
      'KEYS',
      'SHUTDOWN',
      'DEBUG',
      'SUBSCRIBE',
      'BLPOP',
      'MULTI',
      'SELECT',
      'MIGRATE',
      'FCALL',
      'SORT',
      'X\r\nFLUSHALL',
    ])
      for (const call of [driver.query, driver.update, driver.insert, driver.transaction])
        await assert.rejects(call({ commands: [[name, 'a']] }, callOf({ key: 'k' })), code('UNSUPPORTED'));
    await assert.rejects(driver.update({ commands: [['COPY', 'a', 'b', 'db', 1]] }, callOf()), code('UNSUPPORTED'));
    for (const wrong of [true, null, [1], { a: 1 }, { $bytes: '!' }])
      await assert.rejects(driver.update({ commands: [['SET', 'a', wrong]] }, callOf()), code('INVALID_PARAMS'));
    await assert.rejects(
      driver.update({ commands: [['SET', 'a', '1']] }, callOf({ read_only: true })),
      code('READ_ONLY'),
    );
    await assert.rejects(driver.migrate({}, callOf()), code('UNSUPPORTED'));
  });

  test('a value can not become another command', async () => {
    const evil = 'x\r\nFLUSHALL\r\n*1\r\n$8\r\nFLUSHALL\r\n';
    await driver.update({ key: evil, value: evil }, callOf({ key: 'k' }));
    assert.equal(await bare.get(evil), evil);
  });

  test('the same step writes once and answers the same; other params are a conflict', async () => {
    const params = {
      commands: [
        ['INCR', 'n'],
        ['APPEND', 'log', 'x'],
        ['SET', 'b', { $bytes: '/w==' }],
        ['HGETALL', 'none'],
      ],
    };
    const first = await driver.update(params, callOf({ key: 'once' }));
    const second = await driver.update(params, callOf({ key: 'once' }));
    assert.deepEqual(second, first);
    assert.deepEqual(first.results, [1, 1, 'OK', {}]);
    assert.equal(await bare.get('n'), '1');
    await assert.rejects(
      driver.update({ commands: [['INCR', 'n']] }, callOf({ key: 'once' })),
      code('EFFECT_CONFLICT'),
    );
    await driver.update({ commands: [['INCR', 'n']] }, callOf({ key: 'other' }));
    await driver.update({ commands: [['INCR', 'n']] }, callOf());
    assert.equal(await bare.get('n'), '3');
    const left = await bare.pTTL(effectKeyOf('once'));
    assert.ok(left > 6 * 86_400_000 && left <= 7 * 86_400_000, String(left));
  });

  test('all or nothing: what came before a failing command is undone', async () => {
    await bare.set('text', 'old', { expiration: { type: 'EX', value: 1000 } });
    await bare.hSet('hash', { a: '1' });
    const commands = [
      ['SET', 'text', 'new'],
      ['DEL', 'hash'],
      ['MSET', 'm1', '1', 'm2', '2'],
      ['RENAME', 'm1', 'm3'],
      ['RPUSH', 'list', 'x'],
      ['LPUSH', 'text', 'x'],
      ['SET', 'never', '1'],
    ];
    await assert.rejects(
      driver.update({ commands }, callOf({ key: 'k' })),
      code('QUERY_FAILED', /commands\[5\] \(LPUSH\), nothing was done: WRONGTYPE/),
    );
    assert.deepEqual((await bare.keys('*')).sort(), ['hash', 'text']);
    assert.equal(await bare.get('text'), 'old');
    assert.ok((await bare.ttl('text')) > 900);
    assert.deepEqual({ ...(await bare.hGetAll('hash')) }, { a: '1' });
  });

  test('insert: error, ignore, update', async () => {
    assert.deepEqual(await driver.insert({ key: 'a', value: { b: 1 }, ttl_ms: 60_000 }, callOf({ key: '1' })), {
      inserted: 1,
      inserted_id: 'a',
      affected_rows: 1,
    });
    assert.ok((await bare.pTTL('a')) > 50_000);
    await assert.rejects(driver.insert({ key: 'a', value: 'x' }, callOf({ key: '2' })), code('CONSTRAINT_VIOLATED'));
    assert.equal(
      (await driver.insert({ key: 'a', value: 'x', if_exists: 'ignore' }, callOf({ key: '3' }))).inserted,
      0,
    );
    await driver.insert({ key: 'a', value: 'x', if_exists: 'update' }, callOf({ key: '4' }));
    assert.equal(await bare.get('a'), 'x');

    const data = [
      { id: 1, name: 'A', gone: null, list: [1] },
      { id: 2, name: 'B' },
    ];
    await driver.insert({ data, key_field: 'id' }, callOf({ key: '5' }));
    assert.deepEqual({ ...(await bare.hGetAll('1')) }, { id: '1', name: 'A', list: '[1]' });
    await bare.del('1');
    await assert.rejects(
      driver.insert({ data, key_field: 'id' }, callOf({ key: '6' })),
      code('CONSTRAINT_VIOLATED', /data\[1\].*nothing was done/),
    );
    assert.equal(await bare.exists('1'), 0);
    const again = { data, key_field: 'id', if_exists: 'ignore' };
    assert.equal((await driver.insert(again, callOf({ key: '7' }))).inserted, 1);
    assert.equal((await driver.insert(again, callOf({ key: '7' }))).inserted, 1);
    assert.equal((await driver.insert(again, callOf({ key: '8' }))).inserted, 0);
    await bare.set('2', 'text');
    await bare.del('1');
    await assert.rejects(
      driver.update({ data, key_field: 'id' }, callOf({ key: '9' })),
      code('QUERY_FAILED', /something else than a hash/),
    );
    assert.equal(await bare.exists('1'), 0);
    await assert.rejects(
      driver.insert({ data: [{ id: 3 }, { id: 3 }], key_field: 'id' }, callOf()),
      code('CONSTRAINT_VIOLATED'),
    );
    await assert.rejects(
      driver.insert({ data: [{ name: 'x' }], key_field: 'id' }, callOf()),
      code('INVALID_PARAMS', /data\[0\]\.id/),
    );
  });

  test('update deletes', async () => {
    await bare.mSet({ a: '1', b: '1' });
    const params = { keys: ['a', 'b', 'c'], delete: true };
    assert.equal((await driver.update(params, callOf({ key: 'k' }))).affected_rows, 2);
    assert.equal((await driver.update(params, callOf({ key: 'k' }))).affected_rows, 2);
  });

  test('a transaction uses earlier replies', async () => {
    await bare.hSet('account:1', { owner: 'ann', balance: '10' });
    const operations = [
      { id: 'next', command: ['INCR', 'ids'] },
      { id: 'account', command: ['HGETALL', 'account:1'] },
      { command: ['SET', { $result: 'account.owner' }, { $result: 'next' }] },
      { id: 'both', command: ['MGET', 'ids', 'none'] },
      { command: ['RPUSH', 'log', { $result: 'both.0' }, { $result: 'account.balance' }] },
    ];
    const first = await driver.transaction({ operations }, callOf({ key: 't' }));
    assert.equal(first.transaction_completed, true);
    assert.equal(first.operations_count, 5);
    assert.deepEqual(first.results, [1, { owner: 'ann', balance: '10' }, 'OK', ['1', null], 2]);
    assert.deepEqual(await driver.transaction({ operations }, callOf({ key: 't' })), first);
    assert.equal(await bare.get('ann'), '1');
    assert.deepEqual(await bare.lRange('log', 0, -1), ['1', '10']);
  });

  test('a transaction whose reference finds nothing does nothing', async () => {
    const operations = [
      { command: ['INCR', 'ids'] },
      { id: 'none', command: ['GET', 'nothing'] },
      { command: ['SET', 'x', { $result: 'none' }] },
    ];
    await assert.rejects(
      driver.transaction({ operations }, callOf({ key: 't' })),
      code('REFERENCE_FAILED', /operations\[2\]/),
    );
    assert.deepEqual(await bare.keys('*'), []);
    for (const $result of ['later', 'none.x', 'a.b'])
      await assert.rejects(
        driver.transaction(
          { operations: [{ id: 'none', command: ['GET', 'a'] }, { command: ['SET', 'x', { $result }] }] },
          callOf(),
        ),
        code('INVALID_PARAMS'),
      );
  });

  test('passwords and values stay out of errors', async () => {
    const wrong = new URL(url);
    wrong.password = 'canary-secret';
    const other = await openRedis(targetOf(wrong.href));
    await assert.rejects(other.query({ commands: [['GET', 'a']] }, callOf()), (thrown: Error) => {
      assert.ok(!thrown.message.includes('canary'));
      return code('AUTHENTICATION_FAILED')(thrown);
    });
    await other.close();
    await assert.rejects(driver.update({ commands: [['INCRBY', 'a', 'canary-secret']] }, callOf()), (thrown: Error) => {
      assert.ok(!thrown.message.includes('canary'));
      return code('QUERY_FAILED', /INCRBY/)(thrown);
    });
  });

  test('a tenant reaches no private address', async () => {
    await assert.rejects(openRedis(targetOf(url, {}, 'public')), code('EGRESS_DENIED'));
  });

  test('TLS: the certificate must be by a known authority, and for the host', async () => {
    const certificates = makeCertificates();
    const folder = await mkdtemp(join(tmpdir(), 'jsonflow-redis-tls-'));
    const ca = join(folder, 'ca.crt');
    await writeFile(ca, certificates.ca.cert);
    const { hostname, port } = new URL(url);
    const at = async (certificate: Certificate): Promise<{ server: Server; through: string }> => {
      const server = createServer({ ...certificate }, (near) => {
        const far = connect(Number(port), hostname);
        near.on('error', () => far.destroy());
        far.on('error', () => near.destroy());
        near.pipe(far).pipe(near);
      }).listen(0, 'localhost');
      server.on('tlsClientError', () => undefined);
      await once(server, 'listening');
      const own = new URL(url.replace('redis:', 'rediss:'));
      own.hostname = 'localhost';
      own.port = String((server.address() as AddressInfo).port);
      return { server, through: own.href };
    };
    const good = await at(certificates.server);
    const bad = await at(certificates.elsewhere);
    try {
      const ping = async (text: string): Promise<unknown> => {
        const one = await openRedis(targetOf(text));
        return one.query({ commands: [['PING']] }, callOf({ retry_attempts: 0 })).finally(() => one.close());
      };
      assert.deepEqual(await ping(`${good.through}?sslrootcert=${ca}`), { rows: ['PONG'], row_count: 1 });
      await assert.rejects(ping(good.through), code('TLS_FAILED', /UNABLE_TO_VERIFY|SELF_SIGNED/));
      await assert.rejects(ping(`${bad.through}?sslrootcert=${ca}`), code('TLS_FAILED', /ALTNAME/));
      await assert.rejects(
        openRedis(targetOf(`${good.through}?sslrootcert=${ca}`, {}, 'public')),
        code('EGRESS_DENIED'),
      );
      await assert.rejects(ping(`${url}?sslrootcert=${ca}`), code('INVALID_PARAMS'));
      // The server of MySQL, or any that speaks before it listens.
      const plain = createPlainServer((socket) => socket.on('error', () => undefined).end('-ERR no\r\n'));
      await once(plain.listen(0, '127.0.0.1'), 'listening');
      const { port: plainPort } = plain.address() as AddressInfo;
      await assert.rejects(ping(`rediss://127.0.0.1:${plainPort}`), code('TLS_FAILED', /the server has no TLS/));
      plain.close();
    } finally {
      good.server.close();
      bad.server.close();
      await rm(folder, { recursive: true });
    }
  });

  test('an ACL user: what it may not do is refused, and nothing is done', async () => {
    const own = new URL(url);
    own.username = 'limited';
    own.password = 'limited-password';
    await bare.sendCommand([
      'ACL',
      'SETUSER',
      'limited',
      'on',
      '>limited-password',
      '+@all',
      '~open:*',
      '~jsonflow:effect:*',
    ]);
    const limited = await openRedis(targetOf(own.href));
    try {
      await limited.update({ commands: [['SET', 'open:a', '1']] }, callOf({ key: 'acl' }));
      const commands = [
        ['SET', 'open:b', '1'],
        ['SET', 'closed', '1'],
      ];
      await assert.rejects(limited.update({ commands }, callOf({ key: 'acl2' })), code('PERMISSION_DENIED'));
      assert.deepEqual(
        (await bare.keys('*')).filter((key) => !key.startsWith('jsonflow')),
        ['open:a'],
      );
      await bare.sendCommand(['ACL', 'SETUSER', 'limited', 'resetkeys', '~open:*']);
      await assert.rejects(
        limited.update({ commands: [['SET', 'open:c', '1']] }, callOf({ key: 'acl3' })),
        code('PERMISSION_DENIED'),
      );
      assert.equal(await bare.exists('open:c'), 0);
    } finally {
      await limited.close();
      await bare.sendCommand(['ACL', 'DELUSER', 'limited']);
    }
  });

  test('no server: a retryable error; bad database numbers are refused', async () => {
    const none = await openRedis(targetOf('redis://127.0.0.1:1'));
    await assert.rejects(none.query({ commands: [['PING']] }, callOf({ retry_attempts: 0 })), (thrown) => {
      assert.equal((thrown as { retryable: boolean }).retryable, true);
      return code('CONNECTION_FAILED')(thrown);
    });
    await none.close();
    await assert.rejects(openRedis(targetOf('redis://127.0.0.1/nine')), code('INVALID_PARAMS'));
  });
});

describe('Redis that fails', { skip: privateSkipReason('redis') }, () => {
  test('time-outs cut the connection, a full pool says so, and a server that comes back is used again', async () => {
    const server = await privateServer('redis');
    const driver = await openRedis(targetOf(server.url, { pool_size: 1 }));
    const bare = createClient({ url: server.url });
    bare.on('error', () => undefined);
    await bare.connect();
    try {
      await driver.update({ key: 'a', value: '1' }, callOf({ key: 'a' }));
      await bare.sendCommand(['CLIENT', 'PAUSE', '600000', 'WRITE']);
      const stop = new AbortController();
      const stuck = driver.update({ key: 'a', value: '2' }, callOf({ key: 'stuck', signal: stop.signal }));
      await assert.rejects(
        driver.query({ commands: [['GET', 'a']] }, callOf({ acquire_timeout: 20 })),
        code('POOL_EXHAUSTED', /pool_size/),
      );
      const reason = new Error('time is over');
      stop.abort(reason);
      await assert.rejects(stuck, reason);
      await bare.sendCommand(['CLIENT', 'UNPAUSE']);
      assert.deepEqual((await driver.query({ commands: [['GET', 'a']] }, callOf())).rows, ['1']);
      await server.kill();
      await assert.rejects(
        driver.query({ commands: [['GET', 'a']] }, callOf({ retry_attempts: 0 })),
        code('CONNECTION_FAILED'),
      );
      await server.restart();
      await driver.update({ key: 'b', value: '1' }, callOf({ key: 'b' }));
      assert.deepEqual((await driver.query({ commands: [['GET', 'b']] }, callOf())).rows, ['1']);
    } finally {
      await driver.close();
      bare.destroy();
      await server.stop();
    }
  });
});
