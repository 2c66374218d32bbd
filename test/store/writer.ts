// A process that appends as fast as it can until it is killed or refused, and says on stdout what was acknowledged:
// `epoch N`, `run INDEX EVENTS`, `blob DIGEST`, `failed CODE`. Started by store.test.ts.
import { writeSync } from 'node:fs';
import { sha256 } from '../../src/lib/hash.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { batchAt, RUNS, runId } from './history.ts';

const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};

const store = await SqliteStore.open(process.argv[2] ?? '');
const epoch = await store.acquireEpoch();
say(`epoch ${epoch}`);

async function write(run: number): Promise<void> {
  let seq = (await store.read(runId(run))).length;
  for (;;) {
    const events = batchAt(run, seq);
    await store.append({ run_id: runId(run), seq, epoch, events });
    seq += events.length;
    say(`run ${run} ${seq}`);
    if (seq % 8 === 0) {
      const bytes = Buffer.from(`blob of run ${run} at ${seq}`);
      await store.putBlob(sha256(bytes), bytes);
      say(`blob ${sha256(bytes)}`);
    }
  }
}

const code = (error: unknown): string => String((error as { code?: string }).code);
const results = await Promise.allSettled(Array.from({ length: RUNS }, (_, run) => write(run)));
for (const result of results) if (result.status === 'rejected') say(`failed ${code(result.reason)}`);
await store.append({ run_id: 'after', seq: 0, epoch, events: batchAt(0, 0) }).then(
  () => say('accepted after a failure'),
  (error) => say(`refused ${code(error)}`),
);
await store.close();
