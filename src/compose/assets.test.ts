import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { decodeReceipt } from '../core/receipt/statement.ts';
import { sha256 } from '../lib/hash.ts';
import type { CustomAdapter } from '../worker/registry.ts';
import { DistributedEngine } from './distributed-engine.ts';

const folder = await mkdtemp(join(tmpdir(), 'jsonflow-assets-'));
after(() => rm(folder, { recursive: true, force: true }));

/** Says what is in the file that it is given. */
const reader = (meanwhile: () => Promise<void> = async () => undefined): CustomAdapter => ({
  getManifest: () => ({
    adapter_id: 'reader',
    version: '1.0.0',
    step_types: [{ type: 'read', params_schema: { file: 'string' }, deterministic: true, asset_params: ['file'] }],
  }),
  async execute({ params }, { assets, blobs, pin }) {
    await meanwhile();
    const name = String(params.file);
    const digest = assets[name];
    if (digest === undefined) return { text: null };
    pin(name, digest);
    return { text: Buffer.from(await blobs.get(digest)).toString() };
  },
});
const workflow = (file: string) => ({ workflow: 'w', steps: [{ id: 'a', type: 'read', params: { file } }] });
const put = async (name: string, text: string): Promise<string> => {
  await writeFile(join(folder, `${name}.new`), text);
  await rename(join(folder, `${name}.new`), join(folder, name));
  return sha256(Buffer.from(text));
};
const engineWith = (adapter: CustomAdapter, assets: string[] = [folder]): DistributedEngine =>
  new DistributedEngine({ dataDir: false, adapters: [adapter], assets });

it('a run uses the file as it was when the run began, and the receipt says which', async () => {
  const digest = await put('note.txt', 'first');
  const engine = engineWith(reader(async () => void (await put('note.txt', 'second'))));
  try {
    const result = await engine.execute(workflow('note.txt'));
    assert.equal(result.status, 'completed');
    const bundle = await engine.api.bundle(result.run_id);
    assert.deepEqual(bundle.outputs.a, { value: { text: 'first' } });
    const [envelope] = bundle.receipts;
    assert.ok(envelope !== undefined);
    assert.deepEqual(decodeReceipt(envelope).predicate.assets, { 'note.txt': digest });
    assert.equal((await engine.replay(result)).same, 1, 'the replay has the first from the store');
    const byDigest = await engine.execute(workflow(`sha256:${digest}`));
    assert.deepEqual((await engine.api.bundle(byDigest.run_id)).outputs.a, { value: { text: 'first' } });
    await rm(join(folder, 'note.txt'));
    const foreign = await engine.execute({ ...workflow(`sha256:${digest}`), tenant_id: 'them' });
    assert.deepEqual(
      (await engine.api.bundle(foreign.run_id)).outputs.a,
      { value: { text: null } },
      'no blob of others',
    );
  } finally {
    await engine.close();
  }
});

it('a replay elsewhere needs the same file, whatever its name is there', async () => {
  await put('here.txt', 'the same');
  const engine = engineWith(reader());
  const bundle = await engine.execute(workflow('here.txt')).then(({ run_id }) => engine.api.bundle(run_id));
  await engine.close();
  await put('here.txt', 'another');
  const without = engineWith(reader(), []);
  const there = engineWith(reader());
  try {
    const [step] = (await without.replay(bundle)).steps;
    assert.equal(step?.status, 'skipped');
    assert.match(step?.detail ?? '', /used as here\.txt is not here/);
    await put('renamed.bin', 'the same');
    assert.equal((await there.replay(bundle)).same, 1);
  } finally {
    await without.close();
    await there.close();
  }
});

it('nothing outside the folders is found', async () => {
  const engine = engineWith(reader());
  try {
    for (const name of ['../package.json', '/etc/hostname', 'none.txt', `sha256:${'0'.repeat(64)}`]) {
      const { run_id } = await engine.execute(workflow(name));
      assert.deepEqual((await engine.api.bundle(run_id)).outputs.a, { value: { text: null } }, name);
    }
  } finally {
    await engine.close();
  }
});
