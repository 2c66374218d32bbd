import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodes, sampleRun, trust } from '../../../test/receipt/sample-run.ts';
import { canonicalize } from '../../lib/canonical.ts';
import { EvidenceError } from '../../lib/errors.ts';
import { parseStrictJSON } from '../../lib/strict-json.ts';
import type { Bundle } from '../../protocol/receipt.ts';
import { buildBundle, encodeBundle } from './bundle.ts';
import { merkleProofs, merkleRootOf, receiptLeaf, resultRootOf, verifyMerkleProof } from './roots.ts';
import { verifyBundle } from './verify.ts';

/** Repeats a failure: FC_SEED=… ; flips every bit instead of a sample: LONG=1. */
const seed = Number(process.env.FC_SEED ?? 20260131);
const long = process.env.LONG === '1';
const flipsMax = 1_500;

const vector = (name: string): URL => new URL(`../../../test/vectors/receipt/${name}`, import.meta.url);
const bundle = await sampleRun();

test('the recorded bundle still verifies, and the same run still gives it byte by byte', async () => {
  const files = { 'bundle.json': encodeBundle(bundle), 'trust.json': `${JSON.stringify(trust, null, 2)}\n` };
  // A change of format is a new version: record with UPDATE_VECTORS=1 only what no one has stored yet.
  if (process.env.UPDATE_VECTORS === '1')
    for (const [name, text] of Object.entries(files)) await writeFile(vector(name), text);
  for (const [name, text] of Object.entries(files)) assert.equal(await readFile(vector(name), 'utf8'), text);
  const recorded = parseStrictJSON(await readFile(vector('bundle.json')));
  const trusted = JSON.parse(await readFile(vector('trust.json'), 'utf8'));
  assert.deepEqual(verifyBundle(recorded, { trust: trusted }).problems, []);
});

test('equal bundles give equal text, whatever the order of their keys', () => {
  const reversed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reversed);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, member]) => [key, reversed(member)]),
    );
  };
  assert.equal(encodeBundle(reversed(bundle) as Bundle), encodeBundle(bundle));
});

test('a bundle takes the keys of its signers alone, and misses those that are not given', () => {
  const { jsonflow_bundle: _, ...parts } = bundle;
  const stranger = { node_id: 'stranger', key_id: nodes.stranger.keyId, public_key: nodes.stranger.publicKey };
  const keys = [stranger, ...parts.keys, ...parts.keys].reverse();
  assert.equal(encodeBundle(buildBundle({ ...parts, keys })), encodeBundle(bundle));
  assert.throws(() => buildBundle({ ...parts, keys: parts.keys.slice(1) }), EvidenceError);
  assert.throws(() => buildBundle({ ...parts, receipts: [bundle.run_statement] }), EvidenceError);
});

test('roots and proofs of the receipts', () => {
  const proofs = merkleProofs(bundle.receipts.map(receiptLeaf));
  assert.equal(proofs.length, bundle.receipts.length);
  for (const [index, proof] of proofs.entries()) {
    assert.equal(proof.root, merkleRootOf(bundle.receipts.map(receiptLeaf)));
    for (const [other, envelope] of bundle.receipts.entries())
      assert.equal(verifyMerkleProof(proof, envelope), other === index);
  }
  assert.deepEqual(merkleProofs([]), []);
  const ofNothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  assert.equal(merkleRootOf([]), ofNothing);
  assert.equal(resultRootOf([]), ofNothing);
});

/** What a reader of the file sees: undefined where it is no JSON. */
function read(bytes: Uint8Array): unknown {
  try {
    return parseStrictJSON(bytes);
  } catch {
    return undefined;
  }
}

test('no flipped bit of a bundle file verifies', () => {
  const file = Buffer.from(encodeBundle(bundle));
  const honest = canonicalize(bundle);
  const check = (bit: number): void => {
    const flipped = Buffer.from(file);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const value = read(flipped);
    // `1e3` and `1E3` are one value: a flip that changes nothing is no forgery.
    if (value !== undefined && canonicalize(value) === honest) return;
    assert.equal(verifyBundle(value).ok, false, `bit ${bit & 7} of byte ${bit >> 3}`);
  };
  const bits = file.length * 8;
  if (long) for (let bit = 0; bit < bits; bit++) check(bit);
  else fc.assert(fc.property(fc.nat({ max: bits - 1 }), check), { seed, numRuns: flipsMax });
});

test('no bundle file with a byte replaced, cut off, doubled or left out verifies', () => {
  const file = Buffer.from(encodeBundle(bundle));
  const honest = canonicalize(bundle);
  fc.assert(
    fc.property(
      fc.nat({ max: file.length - 1 }),
      fc.nat({ max: 255 }),
      fc.constantFrom(0, 1, 2, 3),
      (at, byte, how) => {
        const changed = [
          () => Buffer.from(file.with(at, byte)),
          () => file.subarray(0, at),
          () => Buffer.concat([file.subarray(0, at), file.subarray(at, at + 1), file.subarray(at)]),
          () => Buffer.concat([file.subarray(0, at), file.subarray(at + 1)]),
        ][how]?.();
        const value = read(changed ?? file);
        // White space doubled, left out or exchanged changes nothing.
        if (value !== undefined && canonicalize(value) === honest) return;
        assert.equal(verifyBundle(value).ok, false, `byte ${at}`);
      },
    ),
    { seed, numRuns: 500 },
  );
});
