import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Policy } from '../types.ts';
import { CompiledModules } from './compiled.ts';

const policy: Policy = { memoryPagesMax: 1, tableElementsMax: 1, callDepthMax: 1, canonicalNaN: true };
const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

it('a module is made once for all who ask, and again for other limits', async () => {
  const modules = new CompiledModules({ countMax: 10, bytesMax: 1_000_000 });
  let reads = 0;
  const read = async () => {
    reads += 1;
    return empty;
  };
  const [one, two] = await Promise.all([modules.get('a', policy, read), modules.get('a', policy, read)]);
  assert.equal(one, two);
  assert.equal(await modules.get('a', policy, read), one);
  assert.equal(reads, 1);
  assert.notEqual((await modules.get('a', { ...policy, memoryPagesMax: 2 }, read)).key, one.key);
  assert.equal(reads, 2);
});

it('the least used are forgotten, by number and by size', async () => {
  const modules = new CompiledModules({ countMax: 2, bytesMax: 1_000_000 });
  const reads: string[] = [];
  const get = (digest: string) =>
    modules.get(digest, policy, async () => {
      reads.push(digest);
      return empty;
    });
  for (const digest of ['a', 'b', 'a', 'c', 'a', 'b']) await get(digest);
  assert.deepEqual(reads, ['a', 'b', 'c', 'b']);
  assert.equal(modules.size.modules, 2);
  const small = new CompiledModules({ countMax: 10, bytesMax: 1 });
  for (const digest of ['a', 'b']) await small.get(digest, policy, async () => empty);
  assert.equal(small.size.modules, 1, 'the last stays, however large');
});

it('who waits for a module is not hurt by whoever failed to read it; a failure of the module is everyone’s, and not kept', async () => {
  const modules = new CompiledModules({ countMax: 10, bytesMax: 1_000_000 });
  const reading = Promise.withResolvers<Uint8Array>();
  const cut = modules.get('a', policy, () => reading.promise);
  const waiting = modules.get('a', policy, async () => empty);
  reading.reject(new Error('cancelled'));
  await assert.rejects(cut, /cancelled/);
  assert.ok(await waiting);
  const bad = () => modules.get('b', policy, async () => Uint8Array.of(1));
  for (const failure of await Promise.allSettled([bad(), bad()])) assert.equal(failure.status, 'rejected');
  assert.ok(await modules.get('b', policy, async () => empty));
});

it('a large module is made ready in a thread, and is refused alike', async () => {
  const modules = new CompiledModules({ countMax: 10, bytesMax: 10_000_000 });
  // A custom section of nothing: its length is a LEB of four bytes.
  const padding = (size: number) => [0, ...[0, 7, 14].map((shift) => ((size >> shift) & 0x7f) | 0x80), size >> 21];
  const large = Buffer.concat([empty, Uint8Array.from(padding(1_000_000)), Buffer.alloc(1_000_000)]);
  const { module, shape } = await modules.get('large', policy, async () => large);
  assert.deepEqual(shape.customSections, ['']);
  assert.ok('jsonflow:fuel' in new WebAssembly.Instance(module).exports);
  const cut = modules.get('cut', policy, async () => large.subarray(0, 900_000));
  await assert.rejects(cut, { code: 'MODULE_INVALID' });
});
