import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from '../../src/lib/hash.ts';
import type { Append, Deployment, RunRow, Store } from '../../src/ports/store.ts';
import type { RunEvent } from '../../src/protocol/events.ts';
import { completed, digest, middle, started } from './run-events.ts';

/** Somewhere empty that keeps data while no store is open. */
export interface StorePlace {
  /** May be called again after a close, and while another store is open here, as by a second process. */
  open(): Promise<Store>;
  /** Removes the data. All stores are closed by then. */
  remove(): Promise<void>;
}

const range = (from: number, to: number): RunEvent[] =>
  Array.from({ length: to - from }, (_, index) => middle(from + index));
const code = (expected: string) => (error: unknown) => {
  assert.equal((error as { code?: string }).code, expected, String(error));
  return true;
};

/** Every sentence of the Store port as a test. `newPlace` gives a fresh, empty place for each. */
export function storeCompliance(name: string, newPlace: () => Promise<StorePlace>): void {
  const withStore = (what: string, body: (store: Store, epoch: number, place: StorePlace) => Promise<void>): void => {
    test(what, async () => {
      const place = await newPlace();
      const store = await place.open();
      try {
        await body(store, await store.acquireEpoch(), place);
      } finally {
        await store.close();
        await place.remove();
      }
    });
  };

  describe(`${name} keeps the Store port`, () => {
    journal(withStore);
    rows(withStore);
    paging(newPlace);
    blobs(withStore);
    enrolment(withStore);
    lifetime(withStore);
  });
}

type WithStore = (what: string, body: (store: Store, epoch: number, place: StorePlace) => Promise<void>) => void;

function journal(withStore: WithStore): void {
  withStore('events come back in order, whole, and in any range', async (store, epoch) => {
    const events = [started(), ...range(1, 10)];
    await store.append({ run_id: 'r', seq: 0, epoch, events: events.slice(0, 1) });
    await store.append({ run_id: 'r', seq: 1, epoch, events: events.slice(1, 7) });
    await store.append({ run_id: 'r', seq: 7, epoch, events: events.slice(7) });
    assert.deepEqual(await store.read('r'), events);
    for (let from = 0; from <= 11; from++)
      for (const limit of [undefined, 0, 1, 3, 100])
        assert.deepEqual(
          await store.read('r', from, limit),
          events.slice(from, limit === undefined ? undefined : from + limit),
          `from ${from}, limit ${limit}`,
        );
  });

  withStore('an unknown run has no events and no row', async (store) => {
    assert.deepEqual(await store.read('nobody'), []);
    assert.deepEqual(await store.read('nobody', 5, 5), []);
    assert.equal(await store.run('nobody'), undefined);
    assert.deepEqual(await store.runs({}), { rows: [] });
    assert.deepEqual(await store.unfinished(), []);
  });

  withStore('appends of one turn are committed as a group, in the order of the calls', async (store, epoch) => {
    const settled: number[] = [];
    const appends = Array.from({ length: 20 }, (_, seq) =>
      store
        .append({ run_id: 'r', seq, epoch, events: [seq === 0 ? started() : middle(seq)] })
        .then(() => settled.push(seq)),
    );
    await Promise.all(appends);
    assert.deepEqual(
      settled,
      Array.from({ length: 20 }, (_, seq) => seq),
    );
    assert.deepEqual(await store.read('r'), [started(), ...range(1, 20)]);
    assert.deepEqual(store.stats(), { appends: 20, events: 20, commits: 1 });
  });

  withStore('a sequence number that is not the next is a conflict and changes nothing', async (store, epoch) => {
    const refused = (append: Omit<Append, 'epoch'>) =>
      assert.rejects(store.append({ ...append, epoch }), code('CONFLICT'));
    await refused({ run_id: 'r', seq: 1, events: range(1, 2) });
    await store.append({ run_id: 'r', seq: 0, epoch, events: [started(), middle(1), middle(2)] });
    await refused({ run_id: 'r', seq: 0, events: [started()] });
    for (const seq of [1, 2, 4, 1_000]) await refused({ run_id: 'r', seq, events: range(seq, seq + 2) });
    assert.deepEqual(await store.read('r'), [started(), ...range(1, 3)]);
    await store.append({ run_id: 'r', seq: 3, epoch, events: range(3, 4) });
    assert.equal((await store.read('r')).length, 4);
  });

  withStore('a refused append does not fail the others of its group', async (store, epoch) => {
    const results = await Promise.allSettled([
      store.append({ run_id: 'a', seq: 0, epoch, events: [started({ key: 'k' })] }),
      store.append({ run_id: 'b', seq: 5, epoch, events: range(5, 6) }),
      store.append({ run_id: 'c', seq: 0, epoch, events: [started({ key: 'k' })] }),
      store.append({ run_id: 'd', seq: 0, epoch: epoch - 1, events: [started()] }),
      store.append({ run_id: 'a', seq: 1, epoch, events: range(1, 2) }),
      store.append({ run_id: 'a', seq: 1, epoch, events: range(1, 2) }),
    ]);
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? 'ok' : result.reason.code)),
      ['ok', 'CONFLICT', 'CONFLICT', 'FENCED', 'ok', 'CONFLICT'],
    );
    assert.equal((await store.read('a')).length, 2);
    for (const run of ['b', 'c', 'd']) assert.equal(await store.run(run), undefined);
  });

  withStore('a run starts with run.started, and only there', async (store, epoch) => {
    const refused = (events: RunEvent[], seq = 0) =>
      assert.rejects(store.append({ run_id: 'r', seq, epoch, events }), code('INTERNAL'));
    await refused([]);
    await refused([middle(0)]);
    await refused([started(), started()]);
    await refused([started()], 1);
    await refused([started()], -1);
    await refused([started({ at: Number.NaN })]);
    assert.equal(await store.run('r'), undefined);
  });

  withStore('the journal keeps what was appended, not what the caller makes of it later', async (store, epoch) => {
    const event = started();
    const events = [event];
    const appended = store.append({ run_id: 'r', seq: 0, epoch, events });
    event.at = 5;
    events.push(middle(1));
    await appended;
    const read = await store.read('r');
    assert.deepEqual(read, [started()]);
    Object.assign(read[0] ?? {}, { at: 7 });
    assert.deepEqual(await store.read('r'), [started()]);
  });

  withStore('a newer epoch fences every older writer', async (store, epoch, place) => {
    await store.append({ run_id: 'r', seq: 0, epoch, events: [started()] });
    const second = await place.open();
    const newer = await second.acquireEpoch();
    assert.ok(newer > epoch);
    await assert.rejects(store.append({ run_id: 'r', seq: 1, epoch, events: [middle(1)] }), code('FENCED'));
    await assert.rejects(second.append({ run_id: 'r', seq: 1, epoch, events: [middle(1)] }), code('FENCED'));
    await assert.rejects(second.append({ run_id: 'r', seq: 1, epoch: newer + 1, events: [middle(1)] }), code('FENCED'));
    await second.append({ run_id: 'r', seq: 1, epoch: newer, events: [middle(1)] });
    const newest = await store.acquireEpoch();
    assert.ok(newest > newer);
    await assert.rejects(store.append({ run_id: 'r', seq: 1, epoch: newest, events: [middle(1)] }), code('CONFLICT'));
    await store.append({ run_id: 'r', seq: 2, epoch: newest, events: [middle(2)] });
    await assert.rejects(second.append({ run_id: 'r', seq: 3, epoch: newer, events: [middle(3)] }), code('FENCED'));
    assert.deepEqual(await second.read('r'), [started(), middle(1), middle(2)]);
    await second.close();
  });

  withStore('any cut of a history into appends reads the same', async (store, epoch) => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 8 }), fc.nat(40), async (cuts, from) => {
        const run_id = `r${count++}`;
        const events = [started(), ...range(1, 1 + cuts.reduce((sum, cut) => sum + cut, 0))];
        let seq = 1;
        await store.append({ run_id, seq: 0, epoch, events: events.slice(0, 1) });
        for (const cut of cuts) {
          await store.append({ run_id, seq, epoch, events: events.slice(seq, seq + cut) });
          seq += cut;
        }
        assert.deepEqual(await store.read(run_id, from), events.slice(from));
      }),
      { seed: 42, numRuns: 30 },
    );
  });
}

function rows(withStore: WithStore): void {
  withStore('the row of a run follows from its events', async (store, epoch) => {
    await store.append({
      run_id: 'r',
      seq: 0,
      epoch,
      events: [started({ at: 1_234, tenant: 'acme', key: 'k', steps: 3 })],
    });
    const row: RunRow = {
      run_id: 'r',
      workflow: 'compliance',
      tenant_id: 'acme',
      status: 'running',
      idempotency_key: 'k',
      workflow_digest: digest,
      started_at: 1_234,
      finished_at: null,
      steps_total: 3,
    };
    assert.deepEqual(await store.run('r'), row);
    assert.deepEqual(await store.unfinished(), ['r']);
    await store.append({ run_id: 'r', seq: 1, epoch, events: [middle(1), completed(5_678, 'failed')] });
    const ended = { ...row, status: 'failed', finished_at: 5_678 };
    assert.deepEqual(await store.run('r'), ended);
    assert.deepEqual(await store.byIdempotencyKey('acme', 'k'), ended);
    assert.deepEqual(await store.runs({ status: 'failed' }), { rows: [ended] });
    assert.deepEqual(await store.runs({ status: 'running' }), { rows: [] });
    assert.deepEqual(await store.unfinished(), []);
    await store.append({ run_id: 'r', seq: 3, epoch, events: [middle(3)] });
    assert.equal((await store.read('r')).length, 4);
  });

  withStore('a run may start and end in one append', async (store, epoch) => {
    await store.append({ run_id: 'r', seq: 0, epoch, events: [started(), completed(7, 'cancelled')] });
    assert.equal((await store.run('r'))?.status, 'cancelled');
    assert.deepEqual(await store.unfinished(), []);
  });

  withStore('an idempotency key names one run of its tenant', async (store, epoch) => {
    const start = (run_id: string, tenant: string | null, key?: string) =>
      store.append({ run_id, seq: 0, epoch, events: [started({ tenant, ...(key === undefined ? {} : { key }) })] });
    await start('a', 'acme', 'k');
    await start('b', 'other', 'k');
    await start('c', null, 'k');
    await start('d', 'acme', 'k2');
    await start('e', 'acme');
    await start('f', 'acme');
    await start('g', null, '');
    for (const tenant of ['acme', 'other', null])
      await assert.rejects(start(`again-${tenant}`, tenant, 'k'), code('CONFLICT'));
    await assert.rejects(start('again', null, ''), code('CONFLICT'));
    await store.append({ run_id: 'a', seq: 1, epoch, events: [completed()] });
    await assert.rejects(start('after-end', 'acme', 'k'), code('CONFLICT'));
    const named = async (tenant: string | null, key: string) => (await store.byIdempotencyKey(tenant, key))?.run_id;
    assert.equal(await named('acme', 'k'), 'a');
    assert.equal(await named('other', 'k'), 'b');
    assert.equal(await named(null, 'k'), 'c');
    assert.equal(await named(null, ''), 'g');
    assert.equal(await named('null', 'k'), undefined);
    assert.equal(await named('acme', 'K'), undefined);
  });

  withStore("a claim is one run's, for good, and a refused one takes nothing", async (store, epoch) => {
    const start = (run_id: string, claims?: string[]) =>
      store.append({ run_id, seq: 0, epoch, events: [started()], ...(claims === undefined ? {} : { claims }) });
    await start('a', ['x', 'y', 'x']);
    await start('none');
    await start('empty', []);
    await assert.rejects(start('b', ['z', 'y']), code('CONFLICT'));
    assert.equal(await store.run('b'), undefined);
    assert.deepEqual(await store.claimed(['x', 'y', 'z', 'x', 'none']), new Set(['x', 'y']));
    assert.deepEqual(await store.claimed([]), new Set());
    const racing = await Promise.allSettled([start('c', ['z']), start('d', ['w', 'z'])]);
    assert.deepEqual(
      racing.map(({ status }) => status),
      ['fulfilled', 'rejected'],
      'within one group, too',
    );
    await store.append({ run_id: 'a', seq: 1, epoch, events: [completed()] });
    await assert.rejects(start('e', ['x']), code('CONFLICT'));
    await assert.rejects(
      store.append({ run_id: 'a', seq: 2, epoch, events: [middle(2)], claims: ['late'] }),
      code('INTERNAL'),
    );
  });

  withStore('deployments are kept by tenant and name, the last one counts', async (store, _epoch, place) => {
    const deployment = (name: string, tenant_id: string | null, deployed_at = 1): Deployment => ({
      tenant_id,
      name,
      workflow: { workflow: name, steps: [{ id: 'a', type: 'mock_compute' }] },
      workflow_digest: digest,
      deployed_at,
    });
    const expected = [deployment('b', null), deployment('a', 'acme', 2), deployment('c', 'acme')];
    for (const one of [...expected, deployment('gone', null)]) await store.deploy({ ...one, deployed_at: 9 });
    for (const one of expected) await store.deploy(one);
    assert.equal(await store.undeploy('acme', 'gone'), false);
    assert.equal(await store.undeploy(null, 'gone'), true);
    assert.equal(await store.undeploy(null, 'gone'), false);
    assert.deepEqual(await store.deployments(), expected);
    await store.close();
    const again = await place.open();
    assert.deepEqual(await again.deployments(), expected);
    await again.close();
  });

  withStore('unfinished runs come oldest first, then by id', async (store, epoch) => {
    for (const [run_id, at] of [
      ['b', 5],
      ['c', 3],
      ['a', 5],
      ['d', 1],
    ] as const)
      await store.append({ run_id, seq: 0, epoch, events: [started({ at })] });
    await store.append({ run_id: 'c', seq: 1, epoch, events: [completed()] });
    assert.deepEqual(await store.unfinished(), ['d', 'a', 'b']);
  });
}

function paging(newPlace: () => Promise<StorePlace>): void {
  describe('listing', () => {
    let place: StorePlace;
    let store: Store;
    let epoch = 0;
    const start = (run_id: string, at: number) =>
      store.append({ run_id, seq: 0, epoch, events: [started({ at }), ...(at % 3 === 0 ? [completed()] : [])] });
    const id = (index: number) => `run-${String(index).padStart(4, '0')}`;

    before(async () => {
      place = await newPlace();
      store = await place.open();
      epoch = await store.acquireEpoch();
      // Four runs share each start time, so that the id has to decide.
      await Promise.all(Array.from({ length: 1_000 }, (_, index) => start(id(index), 1_000 + Math.floor(index / 4))));
    });
    after(async () => {
      await store.close();
      await place.remove();
    });

    test('pages hold 50 runs, newest first, and 500 at most', async () => {
      const page = await store.runs({});
      assert.deepEqual(
        page.rows.map((row) => row.run_id),
        Array.from({ length: 50 }, (_, index) => id(999 - index)),
      );
      assert.equal((await store.runs({ limit: 9_999 })).rows.length, 500);
    });

    test('a malformed cursor or limit is refused', async () => {
      for (const cursor of ['', 'nonsense', 'W10', Buffer.from('["a",1]').toString('base64url')])
        await assert.rejects(store.runs({ cursor }), code('INVALID_INPUT'));
      for (const limit of [0, -1, 1.5, Number.NaN]) await assert.rejects(store.runs({ limit }), code('INVALID_INPUT'));
    });

    for (const status of [undefined, 'running', 'completed'] as const)
      test(`pages of ${status ?? 'all'} runs neither miss nor repeat one while others start`, async () => {
        const wanted = (await all(store, status)).map((row) => row.run_id);
        const seen: string[] = [];
        let cursor: string | undefined;
        let pages = 0;
        do {
          const page = await store.runs({ limit: 37, ...(status && { status }), ...(cursor && { cursor }) });
          for (const row of page.rows) seen.push(row.run_id);
          await start(`new-${status}-${pages++}`, 100_000 + pages);
          cursor = page.cursor;
        } while (cursor !== undefined);
        assert.deepEqual(seen, wanted);
        assert.equal(new Set(seen).size, seen.length);
        assert.ok(seen.length > 300);
      });
  });
}

async function all(store: Store, status: RunRow['status'] | undefined): Promise<RunRow[]> {
  const rows: RunRow[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.runs({ limit: 500, ...(status && { status }), ...(cursor && { cursor }) });
    rows.push(...page.rows);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return rows;
}

function blobs(withStore: WithStore): void {
  const samples = [0, 1, 1_000, 5 * 1024 * 1024].map((length) => new Uint8Array(length).map((_, index) => index * 31));

  withStore('blobs come back byte by byte', async (store) => {
    for (const bytes of samples) {
      const name = sha256(bytes);
      assert.equal(await store.hasBlob(name), false);
      assert.equal(await store.getBlob(name), undefined);
      await store.putBlob(name, bytes);
      assert.equal(await store.hasBlob(name), true);
      assert.ok(Buffer.from(bytes).equals((await store.getBlob(name)) ?? Buffer.from('missing')), `${bytes.length}`);
    }
  });

  withStore('the same blob may be stored again, by many at once, and its readers share nothing', async (store) => {
    const bytes = Uint8Array.from([1, 2, 3]);
    const name = sha256(bytes);
    await Promise.all(Array.from({ length: 20 }, () => store.putBlob(name, Uint8Array.from(bytes))));
    await store.putBlob(name, bytes);
    bytes.fill(9);
    (await store.getBlob(name))?.fill(8);
    assert.deepEqual([...((await store.getBlob(name)) ?? [])], [1, 2, 3]);
  });

  withStore('a digest that is not of these bytes is refused, and one that is none', async (store) => {
    const name = sha256('something else');
    await assert.rejects(store.putBlob(name, Uint8Array.of(1)), code('BAD_EVIDENCE'));
    assert.equal(await store.hasBlob(name), false);
    for (const bad of ['', '../../etc/passwd', name.toUpperCase(), `${name}0`, `${name.slice(0, 62)}/.`]) {
      await assert.rejects(store.putBlob(bad, Uint8Array.of(1)), code('INVALID_INPUT'));
      await assert.rejects(store.getBlob(bad), code('INVALID_INPUT'));
      await assert.rejects(store.hasBlob(bad), code('INVALID_INPUT'));
    }
  });
}

const keyOf = (node_id: string, text = node_id) => ({
  node_id,
  key_id: sha256(text),
  public_key: `-----BEGIN PUBLIC KEY-----\n${text}\n-----END PUBLIC KEY-----\n`,
});

function enrolment(withStore: WithStore): void {
  withStore('a node id stays bound to its first key', async (store, _epoch, place) => {
    assert.deepEqual(await store.enrolled(), []);
    const ids = ['zeta', 'alpha', 'mid'];
    for (const id of ids) await store.enrol(keyOf(id));
    await store.enrol(keyOf('alpha'));
    await assert.rejects(store.enrol(keyOf('alpha', 'another')), code('CONFLICT'));
    await assert.rejects(store.enrol({ ...keyOf('alpha'), key_id: sha256('another') }), code('CONFLICT'));
    await assert.rejects(store.enrol({ ...keyOf('alpha'), public_key: 'another' }), code('CONFLICT'));
    const expected = ids.map((id) => keyOf(id));
    assert.deepEqual(await store.enrolled(), expected);
    const second = await place.open();
    assert.deepEqual(await second.enrolled(), expected);
    await assert.rejects(second.enrol(keyOf('mid', 'another')), code('CONFLICT'));
    await second.close();
  });
}

function lifetime(withStore: WithStore): void {
  withStore('reopening keeps everything', async (store, epoch, place) => {
    const bytes = Uint8Array.of(4, 5, 6);
    await store.putBlob(sha256(bytes), bytes);
    await store.append({ run_id: 'a', seq: 0, epoch, events: [started({ key: 'k' }), middle(1)] });
    await store.append({ run_id: 'b', seq: 0, epoch, events: [started({ at: 5 }), completed()] });
    const expected = await all(store, undefined);
    // Not awaited: close flushes what was queued before it.
    const last = store.append({ run_id: 'a', seq: 2, epoch, events: [middle(2)] });
    await store.close();
    await last;
    const again = await place.open();
    assert.deepEqual(await again.read('a'), [started({ key: 'k' }), middle(1), middle(2)]);
    assert.deepEqual(await all(again, undefined), expected);
    assert.deepEqual(await again.unfinished(), ['a']);
    assert.equal((await again.byIdempotencyKey(null, 'k'))?.run_id, 'a');
    assert.deepEqual([...((await again.getBlob(sha256(bytes))) ?? [])], [4, 5, 6]);
    const newer = await again.acquireEpoch();
    assert.ok(newer > epoch);
    await again.append({ run_id: 'a', seq: 3, epoch: newer, events: [middle(3)] });
    await again.close();
  });

  withStore('close is idempotent, and every later call rejects with CLOSED', async (store, epoch) => {
    await Promise.all([store.close(), store.close()]);
    await store.close();
    const name = sha256('');
    const calls: (() => Promise<unknown>)[] = [
      () => store.acquireEpoch(),
      () => store.append({ run_id: 'r', seq: 0, epoch, events: [started()] }),
      () => store.read('r'),
      () => store.run('r'),
      () => store.runs({}),
      () => store.unfinished(),
      () => store.byIdempotencyKey(null, 'k'),
      () => store.claimed(['c']),
      () => store.deployments(),
      () => store.undeploy(null, 'd'),
      () => store.enrol(keyOf('n')),
      () => store.enrolled(),
      () => store.putBlob(name, new Uint8Array()),
      () => store.getBlob(name),
      () => store.hasBlob(name),
    ];
    for (const call of calls) await assert.rejects(call(), code('CLOSED'));
    assert.equal(store.stats().appends, 0);
  });

  withStore('stats count what became durable', async (store, epoch) => {
    assert.deepEqual(store.stats(), { appends: 0, events: 0, commits: 0 });
    await store.append({ run_id: 'r', seq: 0, epoch, events: [started(), middle(1)] });
    await assert.rejects(store.append({ run_id: 'r', seq: 9, epoch, events: [middle(9)] }));
    await store.append({ run_id: 'r', seq: 2, epoch, events: [middle(2)] });
    assert.deepEqual(store.stats(), { appends: 2, events: 3, commits: 2 });
  });
}
