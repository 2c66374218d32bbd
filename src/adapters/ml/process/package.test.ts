import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { optionalPackage } from './package.ts';

test('a package that is missing is told from one that can not be loaded', async (t) => {
  assert.throws(() => optionalPackage('no-such-package', 'models need'), {
    code: 'ML_PACKAGE_MISSING',
    message: 'models need the package no-such-package: install it with "npm install no-such-package"',
  });
  const folder = await mkdtemp(join(tmpdir(), 'jsonflow-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'broken.cjs');
  await writeFile(file, 'throw new Error("GLIBC_2.99 not found")');
  assert.throws(() => optionalPackage(file, 'models need'), {
    code: 'ML_PACKAGE_MISSING',
    message: /which can't be loaded here: GLIBC_2\.99 not found/,
  });
});
