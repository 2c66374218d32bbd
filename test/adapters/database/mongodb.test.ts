import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Db, Long, MongoClient, ObjectId } from 'mongodb';
import { createDatabaseAdapter } from '../../../src/adapters/database/adapter.ts';
import type { Driver } from '../../../src/adapters/database/driver.ts';
import { openMongo } from '../../../src/adapters/database/mongodb/mongodb.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import type { StoredData } from '../../../src/protocol/stored-data.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { contextFor } from '../../compliance/adapter.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith, privateServer, privateSkipReason } from '../../support/services.ts';
import { callOf, code, MemoryBlobs, targetOf } from './nosql.ts';

const people: JSONObject[] = [
  { name: 'ann', age: 40, tags: ['a'] },
  { name: 'bob', age: 17 },
  { name: 'eve', age: 40 },
];

describeWith('mongodb', 'MongoDB', () => {
  let url: string;
  let drop: () => Promise<void>;
  let driver: Driver;
  let client: MongoClient;
  let db: Db;
  before(async () => {
    ({ url, drop } = await freshDatabase('mongodb'));
    driver = await openMongo(targetOf(url));
    client = await MongoClient.connect(url);
    db = client.db();
  });
  after(async () => {
    await driver.close();
    await client.close();
    await drop();
  });
  // FerretDB 1.24 has no decimals and no infinities: those go through BSON in src/adapters/database/mongodb/values.test.ts.
  let collection: string;
  let number = 0;
  beforeEach(() => {
    number += 1;
    collection = `c${number}`;
  });
  const all = (): Promise<Record<string, unknown>[]> => db.collection(collection).find().sort({ _id: 1 }).toArray();

  test('kinds of values come back as they went in', async () => {
    const document = {
      _id: { $oid: '0123456789abcdef01234567' },
      date: { $date: '2026-01-02T03:04:05.678Z' },
      long: { $numberLong: '9007199254740993' },
      bytes: { $binary: { base64: '/wD+', subType: '00' } },
      plain: { text: 'é', number: 1.5, integer: 7, no: null, yes: true, list: [1, { a: [] }], empty: {} },
    };
    await driver.insert({ collection, document }, callOf({ key: `${collection}/values` }));
    const { rows, row_count, fields } = await driver.query({ collection, filter: { _id: document._id } }, callOf());
    assert.equal(row_count, 1);
    assert.deepEqual(rows, [document]);
    assert.deepEqual([...(fields as string[])].sort(), Object.keys(document).sort());
    const [stored] = await db.collection(collection).find({}, { promoteLongs: false }).toArray();
    assert.ok(stored?._id instanceof ObjectId && stored.date instanceof Date);
    assert.ok(Long.isLong(stored.long));
  });

  test('filter, projection, sort, skip and limit', async () => {
    await driver.insert({ collection, documents: people }, callOf({ key: collection }));
    const { rows } = await driver.query(
      {
        collection,
        filter: { age: { $gte: 18 } },
        projection: { _id: 0, name: 1 },
        sort: [
          ['age', 1],
          ['name', -1],
        ],
        limit: 1,
        skip: 1,
      },
      callOf(),
    );
    assert.deepEqual(rows, [{ name: 'ann' }]);
  });

  test('pipelines read, and plans are given', async () => {
    await driver.insert({ collection, documents: people }, callOf({ key: collection }));
    const pipeline = [{ $group: { _id: '$age', count: { $sum: 1 } } }, { $sort: [['_id', -1]] }];
    assert.deepEqual((await driver.query({ collection, pipeline }, callOf())).rows, [
      { _id: 40, count: 2 },
      { _id: 17, count: 1 },
    ]);
    const { plan } = await driver.query({ collection, filter: { age: 40 }, explain: true }, callOf());
    assert.ok(JSON.stringify(plan).includes('queryPlanner'));
    await assert.rejects(driver.query({ collection, pipeline: [{ $out: 'x' }] }, callOf()), code('READ_ONLY', /\$out/));
    const nested = [{ $facet: { a: [{ $merge: { into: 'x' } }] } }];
    await assert.rejects(driver.query({ collection, pipeline: nested }, callOf()), code('READ_ONLY', /\$merge/));
  });

  test('code, NUL and the names that JSONFlow keeps are refused at any depth', async () => {
    for (const name of ['$where', '$function', '$accumulator', '$code']) {
      const deep = { a: [{ $or: [{ b: { [name]: 'true' } }] }] };
      await assert.rejects(driver.query({ collection, filter: deep }, callOf()), code('UNSUPPORTED'));
      await assert.rejects(driver.query({ collection, pipeline: [{ $match: deep }] }, callOf()), code('UNSUPPORTED'));
      await assert.rejects(driver.query({ collection, projection: deep }, callOf()), code('UNSUPPORTED'));
      const update = { collection, filter: { a: 1 }, update: { $set: deep } };
      await assert.rejects(driver.update(update, callOf()), code('UNSUPPORTED'));
    }
    await assert.rejects(driver.query({ collection, filter: { 'a\0b': 1 } }, callOf()), code('INVALID_PARAMS', /NUL/));
    await assert.rejects(driver.insert({ collection, document: { 'a\0b': 1 } }, callOf()), code('INVALID_PARAMS'));
    await assert.rejects(driver.query({ collection, filter: { _jsonflow: 1 } }, callOf()), code('INVALID_PARAMS'));
    for (const bad of ['', 'system.users', 'a$b', '_jsonflow_effects', 'a\0', 7])
      await assert.rejects(driver.query({ collection: bad }, callOf()), code('INVALID_PARAMS'));
    for (const bad of [
      { $oid: 'x' },
      { $date: 'yesterday' },
      { $numberLong: '99999999999999999999' },
      { $binary: 'x' },
      { $uuid: 'x' },
    ])
      await assert.rejects(
        driver.query({ collection, filter: { a: bad } }, callOf()),
        code('INVALID_PARAMS', /params\.filter/),
      );
  });

  test('an object of operators matches all; within $eq it is a value', async () => {
    await driver.insert({ collection, documents: people }, callOf({ key: collection }));
    const hostile = { $ne: null };
    assert.equal((await driver.query({ collection, filter: { name: hostile } }, callOf())).row_count, 3);
    assert.equal((await driver.query({ collection, filter: { name: { $eq: hostile } } }, callOf())).row_count, 0);
  });

  test('more rows than max_rows go to the blob store, and from there into another collection', async () => {
    const documents = Array.from({ length: 2_500 }, (_, n) => ({ n, text: `row ${n}` }));
    const { inserted } = await driver.insert(
      { collection, data: documents },
      callOf({ key: collection, batch_size: 700 }),
    );
    assert.equal(inserted, 2_500);
    const blobs = new MemoryBlobs();
    const { stored, row_count } = await driver.query({ collection }, callOf({ blobs, max_rows: 10, batch_size: 300 }));
    assert.equal(row_count, 2_500);
    assert.equal((stored as unknown as StoredData).row_count, 2_500);
    const copy = { collection: `${collection}copy`, data: stored as JSONValue };
    for (let attempt = 1; attempt <= 2; attempt += 1)
      assert.equal((await driver.insert(copy, callOf({ key: 'copy', blobs }))).inserted, 2_500);
    assert.equal(await db.collection(`${collection}copy`).countDocuments(), 2_500);
  });

  test('one document: its id follows from the step, and the step is done once', async () => {
    const params = { collection, document: { a: 1 } };
    const first = await driver.insert(params, callOf({ key: 'one' }));
    assert.equal(first.inserted, 1);
    assert.match((first.inserted_id as { $oid: string }).$oid, /^[0-9a-f]{24}$/);
    await db.collection(collection).deleteMany({});
    assert.deepEqual(await driver.insert(params, callOf({ key: 'one' })), first);
    assert.deepEqual(await all(), []);
    await assert.rejects(
      driver.insert({ collection, document: { a: 2 } }, callOf({ key: 'one' })),
      code('EFFECT_CONFLICT'),
    );
    await driver.insert(params, callOf());
    await driver.insert(params, callOf());
    assert.equal((await all()).length, 2);
  });

  test('what is no object is stored as the field value; several documents have a param of their own', async () => {
    await driver.insert({ collection, document: 'base64' }, callOf({ key: `${collection}/text` }));
    await driver.insert({ collection, document: [1, 2] }, callOf({ key: `${collection}/list` }));
    const values = (await all()).map(({ value }) => value);
    assert.ok(values.includes('base64') && values.some((one) => Array.isArray(one)));
    await assert.rejects(
      driver.insert({ collection, documents: [{}, 1] }, callOf()),
      code('INVALID_PARAMS', /documents\[1\]/),
    );
    await assert.rejects(driver.insert({ collection, documents: [], document: {} }, callOf()), code('INVALID_PARAMS'));
    await assert.rejects(driver.insert({ collection, document: { _jsonflow: 1 } }, callOf()), code('INVALID_PARAMS'));
  });

  test('through the adapter: a step as the format documents it, with its result', async () => {
    const registry = new AdapterRegistry();
    registry.register(createDatabaseAdapter({ egress: createEgress() }));
    const run = (type: string, params: JSONObject): Promise<JSONValue> => {
      const step = { id: `${collection}-${type}`, type, params: { connection: url, collection, ...params } };
      return registry.run(step, contextFor(step));
    };
    try {
      const inserted = (await run('db_insert', { document: 'aW1hZ2U=' })) as JSONObject;
      assert.deepEqual(inserted.result, inserted.inserted_id);
      const queried = (await run('db_query', { filter: { _id: inserted.inserted_id ?? null } })) as JSONObject;
      assert.deepEqual(queried.result, [{ _id: inserted.inserted_id, value: 'aW1hZ2U=' }]);
      const updated = (await run('db_update', {
        filter: { value: 'aW1hZ2U=' },
        update: { $set: { seen: true } },
      })) as JSONObject;
      assert.equal(updated.result, 1);
    } finally {
      await registry.close();
    }
  });

  test('a real duplicate is a violation that says which document; the values stay out of it', async () => {
    await db.collection(collection).createIndex({ mail: 1 }, { unique: true });
    await db.collection(collection).insertMany([{ _id: 1 as never, mail: 'canary@secret' }]);
    const documents = [{ mail: 'x' }, { mail: 'canary@secret' }, { mail: 'y' }];
    await assert.rejects(driver.insert({ collection, documents }, callOf({ key: 'dup' })), (thrown: Error) => {
      assert.ok(!thrown.message.includes('canary'));
      return code('CONSTRAINT_VIOLATED', /document 1/)(thrown);
    });
    await assert.rejects(
      driver.insert({ collection, documents }, callOf({ key: 'dup' })),
      code('CONSTRAINT_VIOLATED', /document 1/),
    );
    assert.equal((await all()).length, 2);
    await assert.rejects(
      driver.insert({ collection, document: { _id: 1, mail: 'z' } }, callOf({ key: 'dup2' })),
      code('CONSTRAINT_VIOLATED'),
    );
  });

  test('on_conflict', async () => {
    await db.collection(collection).createIndex({ name: 1 }, { unique: true });
    await driver.insert({ collection, documents: people }, callOf({ key: `${collection}/1` }));
    const on = (action: string): JSONObject => ({ columns: ['name'], action });
    const documents = [
      { name: 'ann', age: 41 },
      { name: 'zoe', age: 1 },
    ];
    const ignored = await driver.insert(
      { collection, documents, on_conflict: on('ignore') },
      callOf({ key: `${collection}/2` }),
    );
    assert.equal(ignored.inserted, 1);
    const updated = await driver.insert(
      { collection, documents: [...documents, { name: 'new', age: 2 }], on_conflict: on('update') },
      callOf({ key: `${collection}/3` }),
    );
    assert.equal(updated.affected_rows, 3);
    const { rows } = await driver.query(
      { collection, projection: { _id: 0, name: 1, age: 1 }, sort: { name: 1 } },
      callOf(),
    );
    assert.deepEqual(rows, [
      { name: 'ann', age: 41 },
      { name: 'bob', age: 17 },
      { name: 'eve', age: 40 },
      { name: 'new', age: 2 },
      { name: 'zoe', age: 1 },
    ]);
    const hostile = [{ name: { $gt: '' }, age: 0 }];
    await driver.insert({ collection, documents: hostile, on_conflict: on('update') }, callOf()).catch(() => undefined);
    assert.equal(await db.collection(collection).countDocuments({ age: 0, name: { $type: 'string' } }), 0);
    for (const bad of [
      'update',
      { columns: [], action: 'update' },
      { columns: ['name'], action: 'drop' },
      { columns: ['$x'], action: 'update' },
    ])
      await assert.rejects(
        driver.insert({ collection, documents, on_conflict: bad }, callOf()),
        code('INVALID_PARAMS'),
      );
    await assert.rejects(
      driver.insert({ collection, documents: [{ age: 1 }], on_conflict: on('update') }, callOf()),
      code('INVALID_PARAMS', /no name/),
    );
  });

  test('update: all that match, once; one; upsert; replacement', async () => {
    await driver.insert({ collection, documents: people }, callOf({ key: `${collection}/1` }));
    const birthday = { collection, filter: { age: 40 }, update: { $inc: { age: 1 }, $push: { tags: 'x' } } };
    const first = await driver.update(birthday, callOf({ key: `${collection}/2` }));
    assert.deepEqual(first, { updated: 2, affected_rows: 2, matched: 2 });
    assert.deepEqual(await driver.update(birthday, callOf({ key: `${collection}/2` })), first);
    const { rows } = await driver.query({ collection, filter: { name: 'ann' }, projection: { _id: 0 } }, callOf());
    assert.deepEqual(rows, [{ name: 'ann', age: 41, tags: ['a', 'x'] }]);
    const one = { collection, filter: { age: 41 }, update: { $set: { age: 1 } }, multi: false };
    assert.equal((await driver.update(one, callOf({ key: `${collection}/3` }))).updated, 1);
    const upsert = { collection, filter: { name: 'new' }, update: { $set: { age: 5 } }, upsert: true };
    const upserted = await driver.update(upsert, callOf({ key: `${collection}/4` }));
    assert.equal(upserted.updated, 1);
    assert.equal(upserted.matched, 0);
    assert.ok(upserted.upserted_id);
    await driver.update(
      { collection, filter: { name: 'new' }, update: { only: true } },
      callOf({ key: `${collection}/5` }),
    );
    assert.deepEqual(
      (await driver.query({ collection, filter: { only: true }, projection: { _id: 0 } }, callOf())).rows,
      [{ only: true }],
    );
    for (const bad of [
      { update: {} },
      { update: { $set: { a: 1 }, b: 1 } },
      { update: { a: 1 }, multi: true },
      {},
      { update: { $set: { a: 1 } }, delete: true },
    ])
      await assert.rejects(driver.update({ collection, filter: { a: 1 }, ...bad }, callOf()), code('INVALID_PARAMS'));
    await assert.rejects(
      driver.update({ collection, filter: { a: 1 }, update: [{ $set: { a: 1 } }] }, callOf()),
      code('UNSUPPORTED'),
    );
    await assert.rejects(
      driver.update({ collection, filter: {}, update: { $set: { a: 1 } } }, callOf()),
      code('INVALID_PARAMS', /all: true/),
    );
    assert.equal((await driver.update({ collection, all: true, update: { $set: { z: 1 } } }, callOf())).updated, 4);
  });

  test('delete: all that match, or one', async () => {
    await driver.insert({ collection, documents: people }, callOf({ key: `${collection}/1` }));
    const one = { collection, filter: { age: 40 }, delete: true, multi: false };
    assert.equal((await driver.update(one, callOf({ key: `${collection}/2` }))).deleted, 1);
    assert.equal((await driver.update(one, callOf({ key: `${collection}/2` }))).deleted, 1);
    assert.equal((await all()).length, 2);
    assert.equal(
      (await driver.update({ collection, all: true, delete: true }, callOf({ key: `${collection}/3` }))).deleted,
      2,
    );
  });

  test('migrations run once, in order, and must not change', async () => {
    const migrations: JSONObject[] = [
      {
        id: 'people',
        commands: [
          { create: collection },
          { createIndexes: collection, indexes: [{ key: { name: 1 }, name: 'name', unique: true }] },
        ],
      },
      { id: 'first', commands: [{ insert: collection, documents: [{ name: 'root' }] }] },
    ];
    const dry = await driver.migrate({ migrations, dry_run: true }, callOf());
    assert.deepEqual([dry.applied, dry.pending], [[], ['people', 'first']]);
    assert.deepEqual((await driver.migrate({ migrations, to: 'people' }, callOf())).applied, ['people']);
    const [left, right] = await Promise.all([
      driver.migrate({ migrations }, callOf()),
      driver.migrate({ migrations }, callOf()),
    ]);
    assert.deepEqual([...(left.applied as string[]), ...(right.applied as string[])], ['first']);
    assert.equal((await all()).length, 1);
    await assert.rejects(db.collection(collection).insertOne({ name: 'root' }));
    const changed = [migrations[0] ?? null, { id: 'first', commands: [{ drop: collection }] }];
    await assert.rejects(driver.migrate({ migrations: changed }, callOf()), code('MIGRATION_CHANGED', /"first"/));
    await assert.rejects(driver.migrate({ migrations: migrations.slice(1) }, callOf()), code('MIGRATION_MISSING'));
    const refused = [...migrations, { id: 'x', commands: [{ dropDatabase: 1 }] }];
    await assert.rejects(driver.migrate({ migrations: refused }, callOf()), code('UNSUPPORTED'));
    assert.deepEqual((await driver.migrate({ migrations, status: true }, callOf())).already_applied, [
      'people',
      'first',
    ]);
  });

  test('no transactions, and no pretending', async () => {
    await assert.rejects(driver.transaction({ operations: [] }, callOf()), code('TRANSACTIONS_UNSUPPORTED'));
    await assert.rejects(driver.insert({ collection, document: {} }, callOf({ read_only: true })), code('READ_ONLY'));
  });

  test('connection strings: what reads files, or goes elsewhere, is refused', async () => {
    const at = 'mongodb://127.0.0.1:1/db';
    for (const query of [
      'proxyHost=10.0.0.1',
      'authMechanism=MONGODB-AWS',
      'authMechanism=MONGODB-OIDC',
      'compressors=zlib',
      'authMechanismProperties=x:y',
    ])
      await assert.rejects(openMongo(targetOf(`${at}?${query}`)), code('INVALID_PARAMS'));
    for (const bad of ['mongodb://127.0.0.1:1', 'mongodb://127.0.0.1/a.b', 'mongodb://%2Ftmp%2Fx.sock/db'])
      await assert.rejects(openMongo(targetOf(bad)), code('INVALID_PARAMS'));
    const publicly = (text: string) => openMongo(targetOf(text, {}, 'public'));
    await assert.rejects(publicly('mongodb://1.1.1.1/db?tlsCAFile=/etc/passwd'), code('EGRESS_DENIED', /tlsCAFile/));
    await assert.rejects(publicly('mongodb+srv://example.com/db'), code('EGRESS_DENIED'));
    await assert.rejects(publicly(url), code('EGRESS_DENIED'));
  });

  test('no server: a retryable error that names no password', async () => {
    const none = await openMongo(targetOf('mongodb://user:canary@127.0.0.1:1/db?serverSelectionTimeoutMS=50'));
    await assert.rejects(
      none.query({ collection }, callOf({ retry_attempts: 0 })),
      (thrown: Error & { retryable?: boolean }) => {
        assert.ok(!thrown.message.includes('canary'));
        assert.equal(thrown.retryable, true);
        return code('CONNECTION_FAILED')(thrown);
      },
    );
    await none.close();
  });

  test('a full pool says so; what is aborted stops', async () => {
    const narrow = await openMongo(targetOf(url, { pool_size: 1 }));
    const stop = new AbortController();
    const reason = new Error('cancelled');
    const running = narrow.insert(
      { collection, data: Array.from({ length: 5_000 }, (_, n) => ({ n })) },
      callOf({ key: 'long', batch_size: 10, signal: stop.signal }),
    );
    await assert.rejects(
      narrow.query({ collection }, callOf({ acquire_timeout: 1 })),
      code('POOL_EXHAUSTED', /pool_size/),
    );
    stop.abort(reason);
    await assert.rejects(running, reason);
    assert.ok((await all()).length < 5_000);
    await narrow.close();
  });
});

describe('MongoDB that fails', { skip: privateSkipReason('mongodb') }, () => {
  test('a server that was killed is used again when it is back', async () => {
    const server = await privateServer('mongodb');
    const own = new URL(server.url);
    own.pathname = '/again';
    own.searchParams.set('serverSelectionTimeoutMS', '100');
    const driver = await openMongo(targetOf(own.href));
    try {
      await driver.insert({ collection: 'c', document: { n: 1 } }, callOf({ key: '1' }));
      await server.kill();
      await assert.rejects(driver.query({ collection: 'c' }, callOf({ retry_attempts: 0 })), code('CONNECTION_FAILED'));
      await server.restart();
      await driver.insert({ collection: 'c', document: { n: 2 } }, callOf({ key: '2', retry_attempts: 50 }));
      assert.equal((await driver.query({ collection: 'c' }, callOf())).row_count, 2);
    } finally {
      await driver.close();
      await server.stop();
    }
  });
});
