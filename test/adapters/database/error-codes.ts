import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../../src/adapters/database');

/** The codes that the sources in these folders of the adapter raise. */
export async function errorCodesOf(folders: readonly string[]): Promise<Set<string>> {
  const codes = new Set<string>();
  for (const folder of folders)
    for (const name of await readdir(join(root, folder))) {
      if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue;
      const source = await readFile(join(root, folder, name), 'utf8');
      for (const [, code = ''] of source.matchAll(/(?:SqlFailure|StepError)\(\s*'([A-Z_]+)'/g)) codes.add(code);
    }
  codes.delete('STEP_CANCELLED');
  codes.delete('MIGRATION_');
  return codes;
}
