// Damaged files: whatever bytes the store finds, it answers with a typed error or with the data that was written.
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { JSONFlowError } from '../../src/lib/errors.ts';
import type { RunEvent } from '../../src/protocol/events.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { completed, middle, started } from '../compliance/run-events.ts';
import { seeded } from './history.ts';

const seed = Number(process.env.JSONFLOW_SEED ?? 1);
const cases = Number(process.env.JSONFLOW_DAMAGES ?? 150);
const RUNS = 30;

describe(`SqliteStore and damaged files (JSONFLOW_SEED=${seed})`, () => {
  let place: string;
  const histories: RunEvent[][] = [];
  /** A file and its log, as a killed process leaves them; and the file after a clean close. */
  let killed: string;
  let closed: string;

  before(async () => {
    place = await mkdtemp(join(tmpdir(), 'jsonflow-store-'));
    [killed, closed] = [join(place, 'killed'), join(place, 'closed')];
    const store = await SqliteStore.open(closed);
    const epoch = await store.acquireEpoch();
    for (let run = 0; run < RUNS; run++) {
      const events = [
        started({ at: run, key: `k${run}` }),
        ...Array.from({ length: run }, (_, i) => middle(i, 'x'.repeat(90 * run))),
      ];
      if (run % 2 === 0) events.push(completed());
      histories.push(events);
      await store.append({ run_id: `r${run}`, seq: 0, epoch, events: events.slice(0, 1) });
      if (events.length > 1) await store.append({ run_id: `r${run}`, seq: 1, epoch, events: events.slice(1) });
    }
    await mkdir(killed);
    for (const name of ['journal.db', 'journal.db-wal']) await copyFile(join(closed, name), join(killed, name));
    await store.close();
  });
  after(() => rm(place, { recursive: true }));

  /** What a whole reading finds wrong, or the typed error that it ends with. */
  async function survey(directory: string, lostTail: boolean): Promise<'same' | 'less' | 'error'> {
    let store: SqliteStore | undefined;
    try {
      store = await SqliteStore.open(directory);
      let same = true;
      for (const [run, events] of histories.entries()) {
        const found = await store.read(`r${run}`);
        assert.deepEqual(found, events.slice(0, found.length));
        if (!lostTail) assert.equal(found.length, events.length, `events of r${run} are lost without a word`);
        same &&= found.length === events.length;
      }
      const { rows } = await store.runs({ limit: 500 });
      const unfinished = await store.unfinished();
      if (!lostTail) {
        assert.deepEqual(
          rows.map((row) => row.run_id),
          Array.from({ length: RUNS }, (_, run) => `r${RUNS - 1 - run}`),
        );
        assert.deepEqual(
          unfinished,
          Array.from({ length: RUNS / 2 }, (_, run) => `r${2 * run + 1}`),
        );
        for (const run of histories.keys())
          assert.equal((await store.byIdempotencyKey(null, `k${run}`))?.run_id, `r${run}`);
      }
      const epoch = await store.acquireEpoch();
      await store.append({ run_id: 'new', seq: 0, epoch, events: [started({ at: 999 })] });
      assert.ok(isDeepStrictEqual(await store.read('new'), [started({ at: 999 })]));
      return same ? 'same' : 'less';
    } catch (error) {
      if (error instanceof JSONFlowError && ['STORE_CORRUPT', 'STORE_FAILED'].includes(error.code)) return 'error';
      throw error;
    } finally {
      await store?.close();
    }
  }

  /** Surveys copies of a directory, each damaged by `damage`; counts the outcomes. */
  async function surveyDamaged(
    from: string,
    names: string[],
    lostTail: boolean,
    damage: (directory: string, random: () => number) => Promise<string>,
  ): Promise<Record<string, number>> {
    const random = seeded(seed);
    const counts: Record<string, number> = { same: 0, less: 0, error: 0 };
    for (let index = 0; index < cases; index++) {
      const directory = join(place, 'copy');
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory);
      for (const name of names) await copyFile(join(from, name), join(directory, name));
      const what = await damage(directory, random);
      try {
        const outcome = await survey(directory, lostTail);
        counts[outcome] = (counts[outcome] ?? 0) + 1;
      } catch (error) {
        throw new Error(`case ${index}: ${what}`, { cause: error });
      }
    }
    return counts;
  }

  const flip = async (path: string, random: () => number): Promise<string> => {
    const bytes = await readFile(path);
    const offset = Math.floor(random() * bytes.length);
    const mask = 1 + Math.floor(random() * 255);
    bytes[offset] = (bytes[offset] ?? 0) ^ mask;
    await writeFile(path, bytes);
    return `byte ${offset} of ${bytes.length} changed by ${mask}`;
  };

  test('a changed byte in the database is found, or changes nothing', async (context) => {
    const counts = await surveyDamaged(closed, ['journal.db'], false, (directory, random) =>
      flip(join(directory, 'journal.db'), random),
    );
    context.diagnostic(JSON.stringify(counts));
    assert.ok((counts.error ?? 0) > cases / 4);
  });

  test('a database that was cut off is found, or only its free end is missing', async (context) => {
    const counts = await surveyDamaged(closed, ['journal.db'], false, async (directory, random) => {
      const { length } = await readFile(join(directory, 'journal.db'));
      // Not to nothing: an empty file is a new store.
      const rest = 1 + Math.floor(random() * (length - 1));
      await truncate(join(directory, 'journal.db'), rest);
      return `cut to ${rest} of ${length}`;
    });
    context.diagnostic(JSON.stringify(counts));
    assert.ok((counts.error ?? 0) > cases / 2);
  });

  // SQLite ends its recovery at the first frame that does not match its checksum: what follows is gone, what precedes is right.
  test('a changed byte in the log gives an error or an earlier state, never a wrong one', async (context) => {
    const names = ['journal.db', 'journal.db-wal'];
    const counts = await surveyDamaged(killed, names, true, (directory, random) =>
      flip(join(directory, 'journal.db-wal'), random),
    );
    context.diagnostic(JSON.stringify(counts));
    assert.ok((counts.less ?? 0) > cases / 4);
  });
});
