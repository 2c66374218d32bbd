import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeCompliance } from '../../../test/compliance/store.ts';
import { SqliteStore } from './sqlite-store.ts';

storeCompliance('SqliteStore', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'jsonflow-store-'));
  return { open: () => SqliteStore.open(directory), remove: () => rm(directory, { recursive: true }) };
});
