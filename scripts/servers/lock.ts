import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { interruption } from './interruption.ts';
import { stateFolder } from './state.ts';

const PATIENCE_MS = 30 * 60_000;

/**
 * Does work that no other process does at the same time for this checkout. SQLite's lock is the operating system's: it goes with its
 * process, however that ends, so there are no leftovers to judge.
 */
export async function exclusively<T>(work: () => Promise<T>, folder = stateFolder, waiting = () => {}): Promise<T> {
  mkdirSync(folder, { recursive: true });
  const database = new DatabaseSync(join(folder, 'lock.db'), { timeout: 0 });
  try {
    for (const end = performance.now() + PATIENCE_MS; ; await sleep(100)) {
      try {
        database.exec('BEGIN EXCLUSIVE');
        break;
      } catch (error) {
        if (performance.now() > end || !/locked/.test((error as Error).message)) throw error;
        interruption.throwIfAborted();
        waiting();
      }
    }
    return await work();
  } finally {
    database.close();
  }
}
