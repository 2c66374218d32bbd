import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { inclusionPath, leafHash, MerkleTree, merkleRoot, verifyInclusion } from './merkle.ts';

const seed = Number(process.env.FC_SEED ?? 20260131);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Uint8Array => Buffer.from(text, 'hex');

/** The leaves that Certificate Transparency implementations share, and the roots of their first 1 to 8. */
const ctLeaves = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(unhex);
const ctRoots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

test('known roots of the first 1 to 8 leaves', () => {
  const leaves = ctLeaves.map(leafHash);
  for (const [index, root] of ctRoots.entries()) assert.equal(hex(merkleRoot(leaves.slice(0, index + 1))), root);
});

test('known inclusion proofs', () => {
  const leaves = ctLeaves.map(leafHash);
  assert.deepEqual(inclusionPath(leaves, 0).map(hex), [
    '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
    '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  ]);
  assert.deepEqual(inclusionPath(leaves.slice(0, 3), 2).map(hex), [ctRoots[1]]);
  assert.deepEqual(inclusionPath(leaves.slice(0, 1), 0), []);
});

test('no leaves, or leaves that are no hashes, are refused', () => {
  assert.throws(() => merkleRoot([]), { code: 'INTERNAL' });
  assert.throws(() => merkleRoot([new Uint8Array(31)]), { code: 'INTERNAL' });
  assert.throws(() => new MerkleTree([leafHash('a')]).path(1), { code: 'INTERNAL' });
  assert.equal(verifyInclusion(leafHash('a'), 0, 0, [], leafHash('a')), false);
});

test('strings are hashed as UTF-8', () => {
  assert.deepEqual(leafHash('Zürich 😂'), leafHash(Buffer.from('Zürich 😂')));
});

/** RFC 9162 §2.1.1 word by word. */
function plainRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  const node = createHash('sha256').update(Uint8Array.of(1));
  return node
    .update(plainRoot(leaves.slice(0, k)))
    .update(plainRoot(leaves.slice(k)))
    .digest();
}

test('every leaf of every tree up to 65 leaves: root as the RFC defines it, proof accepted, and for no other place', () => {
  const all = Array.from({ length: 65 }, (_, i) => leafHash(`leaf ${i}`));
  for (let size = 1; size <= all.length; size++) {
    const leaves = all.slice(0, size);
    const tree = new MerkleTree(leaves);
    assert.equal(hex(tree.root), hex(plainRoot(leaves)));
    for (const [index, leaf] of leaves.entries()) {
      const path = tree.path(index);
      assert.ok(verifyInclusion(leaf, index, size, path, tree.root));
      for (let other = 0; other < size; other++)
        if (other !== index) assert.equal(verifyInclusion(leaf, other, size, path, tree.root), false);
    }
  }
});

const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
};

test('property: a proof with anything changed is refused', () => {
  const cases = fc
    .tuple(fc.integer({ min: 1, max: 300 }), fc.nat(), fc.nat({ max: 255 }), fc.nat())
    .map(([size, place, bit, sibling]) => ({ size, index: place % size, bit, sibling }));
  fc.assert(
    fc.property(cases, ({ size, index, bit, sibling }) => {
      const leaves = Array.from({ length: size }, (_, i) => leafHash(`${i}`));
      const tree = new MerkleTree(leaves);
      const leaf = leaves[index] as Uint8Array;
      const path = tree.path(index);
      const { root } = tree;
      const at = path.length === 0 ? 0 : sibling % path.length;
      const refused: [Uint8Array, number, number, Uint8Array[], Uint8Array][] = [
        [flip(leaf, bit), index, size, path, root],
        [leaf, index, size, path, flip(root, bit)],
        [leaf, index, size, [...path, leaf], root],
        [leaf, index, size, [leaf, ...path], root],
        [leaf, index, size, path, root.subarray(0, 31)],
        [leaf.subarray(0, 31), index, size, path, root],
        [leaf, -1, size, path, root],
        [leaf, size, size, path, root],
        [leaf, index + 0.5, size, path, root],
        [leaf, index, Number.NaN, path, root],
        [leaf, index, 2 ** 31, path, root],
      ];
      if (path.length > 0)
        refused.push(
          [leaf, index, size, path.slice(1), root],
          [leaf, index, size, path.slice(0, -1), root],
          [leaf, index, size, path.with(at, flip(path[at] as Uint8Array, bit)), root],
          [leaf, index, size, path.with(at, (path[at] as Uint8Array).subarray(1)), root],
          [leaf, index, size, path.toSpliced(at, 0, path[at] as Uint8Array), root],
          // An inner node is no leaf, nor a leaf an inner node.
          [root, 0, 1, path, root],
        );
      for (const [index, proof] of refused.entries())
        assert.equal(verifyInclusion(...proof), false, `refusal ${index}`);
    }),
    { seed, numRuns: 200 },
  );
});
