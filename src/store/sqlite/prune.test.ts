import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { completed, middle, started } from '../../../test/compliance/run-events.ts';
import { sha256 } from '../../lib/hash.ts';
import { pruneStore } from './prune.ts';
import { SqliteStore } from './sqlite-store.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'jsonflow-prune-'));
});
afterEach(() => rm(directory, { recursive: true }));

const withStore = async <T>(work: (store: SqliteStore) => Promise<T>): Promise<T> => {
  const store = await SqliteStore.open(directory);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
};

async function put(store: SqliteStore, text: string): Promise<string> {
  const digest = sha256(text);
  await store.putBlob(digest, Buffer.from(text));
  return digest;
}

/** A run that says `words`; ended at `at`, or still running. */
async function run(
  store: SqliteStore,
  id: string,
  words: string,
  at: number | undefined,
  claims?: string[],
): Promise<void> {
  const epoch = await store.acquireEpoch();
  await store.append({
    run_id: id,
    seq: 0,
    epoch,
    events: [started({ at: 1, key: `key of ${id}` })],
    ...(claims && { claims }),
  });
  await store.append({ run_id: id, seq: 1, epoch, events: [middle(0, words)] });
  if (at === undefined) return;
  await store.append({ run_id: id, seq: 2, epoch, events: [{ ...completed(), at }] });
}

test('runs that ended before go with their blobs; what others name stays, and what they claimed', async () => {
  const kept = await withStore(async (store) => {
    const shared = await put(store, 'shared');
    const piece = await put(store, 'a piece');
    const nested = await put(store, JSON.stringify({ chunks: [{ digest: piece }] }));
    const inRunning = await put(store, 'of a run under way');
    const deployed = await put(store, 'of a deployment');
    await put(store, 'of an old run');
    await run(store, 'old', `${sha256('of an old run')} ${shared}`, 1_000, ['message 1']);
    await run(store, 'new', `${nested} sha256:${shared}`, 5_000);
    await run(store, 'running', inRunning, undefined);
    await store.deploy({
      tenant_id: null,
      name: 'w',
      workflow: { workflow: 'w', steps: [{ id: 's', type: 't', params: { module: `sha256:${deployed}` } }] },
      workflow_digest: shared,
      deployed_at: 1,
    });
    return [shared, piece, nested, inRunning, deployed];
  });
  const plan = await pruneStore(directory, { before: 5_000, dryRun: true });
  await withStore(async (store) => assert.ok(await store.run('old'), 'a dry run deletes nothing'));
  const report = await pruneStore(directory, { before: 5_000 });
  assert.deepEqual(report, plan);
  assert.equal(report.runs, 1);
  await withStore(async (store) => {
    assert.deepEqual((await store.runs({})).rows.map(({ run_id }) => run_id).toSorted(), ['new', 'running']);
    assert.deepEqual(await store.read('old'), []);
    assert.equal((await store.read('new')).length, 3);
    for (const digest of kept) assert.ok(await store.hasBlob(digest), digest);
    assert.ok(!(await store.hasBlob(sha256('of an old run'))));
    assert.deepEqual([...(await store.claimed(['message 1']))], ['message 1']);
    assert.equal(await store.byIdempotencyKey(null, 'key of old'), undefined);
  });
  assert.deepEqual(await pruneStore(directory, { before: 5_000 }), { runs: 0, blobs: 0, bytes: 0 });
});

test('what only a signed receipt names stays', async () => {
  await withStore(async (store) => {
    const asset = await put(store, 'fetched by a step');
    const payload = Buffer.from(JSON.stringify({ assets: { 'https://x.example/m': asset } })).toString('base64');
    const epoch = await store.acquireEpoch();
    const envelope = { payload, payloadType: 'application/vnd.in-toto+json', signatures: [] };
    await store.append({ run_id: 'r', seq: 0, epoch, events: [started()] });
    await store.append({ run_id: 'r', seq: 1, epoch, events: [{ kind: 'test', at: 2, receipt: envelope } as never] });
  });
  assert.deepEqual(await pruneStore(directory, { before: 1e15 }), { runs: 0, blobs: 0, bytes: 0 });
});

test('a store in use, a damaged one and none at all are left alone', async () => {
  await assert.rejects(pruneStore(join(directory, 'none'), { before: 1 }), {
    code: 'NOT_FOUND',
    message: /no journal in/,
  });
  await withStore(async (store) => {
    await run(store, 'a', 'x', 1);
    await put(store, 'lost');
    await assert.rejects(pruneStore(directory, { before: 1e15 }), { code: 'CONFLICT', hint: /Stop the coordinator/ });
    assert.ok(await store.run('a'));
  });
  await withStore((store) => run(store, 'b', 'y', undefined));
  const raw = new DatabaseSync(join(directory, 'journal.db'));
  raw.exec("UPDATE journal SET events = replace(events, 'y', 'z') WHERE run_id = 'b' AND seq = 1");
  raw.close();
  await assert.rejects(pruneStore(directory, { before: 1e15 }), { code: 'STORE_CORRUPT', message: /run b/ });
  await withStore(async (store) => {
    assert.ok(await store.run('a'), 'nothing is deleted');
    assert.ok(await store.hasBlob(sha256('lost')));
  });
});

test('the file shrinks, and large blobs are read in pieces', async () => {
  const digest = await withStore(async (store) => {
    const end = await put(store, 'at a seam');
    // The digest lies across two pieces of 4 MiB.
    const large = await put(store, `${'x'.repeat(4 * 1024 * 1024 - 30)}${end}`);
    await run(store, 'old', 'x'.repeat(1_000_000), 1);
    await run(store, 'new', large, 10);
    return end;
  });
  const size = async (): Promise<number> => {
    const raw = new DatabaseSync(join(directory, 'journal.db'));
    const pages = Number(raw.prepare('PRAGMA page_count').get()?.page_count);
    raw.close();
    return pages;
  };
  const before = await size();
  await pruneStore(directory, { before: 5 });
  assert.ok((await size()) < before / 2);
  await withStore(async (store) => assert.ok(await store.hasBlob(digest)));
});
