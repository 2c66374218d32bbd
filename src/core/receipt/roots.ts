import { canonicalize } from '../../lib/canonical.ts';
import { sha256 } from '../../lib/hash.ts';
import type { Envelope, ReceiptPredicate, ResultLeaf } from '../../protocol/receipt.ts';
import type { MerkleProof } from '../../protocol/result.ts';
import { envelopeText } from './dsse.ts';
import { leafHash, MerkleTree, merkleRoot, verifyInclusion } from './merkle.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Uint8Array => Buffer.from(text, 'hex');

/** RFC 9162 §2.1.1 defines the root of nothing, which a run that failed before its first receipt needs: SHA-256 of no bytes. */
const emptyRoot = sha256('');

/** Merkle leaf of a receipt: the hash of its canonical envelope. */
export const receiptLeaf = (envelope: Envelope): Uint8Array => leafHash(envelopeText(envelope));

/** Root over the leaves of receipts in journal order, in hexadecimal. Differs from run to run: times are in it. */
export const merkleRootOf = (leaves: readonly Uint8Array[]): string =>
  leaves.length === 0 ? emptyRoot : hex(merkleRoot(leaves));

/** Root over what was computed from what, in hexadecimal: equal for equal results, whoever ran the steps and when. */
export const resultRootOf = (leaves: readonly ResultLeaf[]): string =>
  merkleRootOf(leaves.map((leaf) => leafHash(canonicalize(leaf))));

/** The result leaf of a successful receipt. */
export const resultLeafOf = (predicate: ReceiptPredicate): ResultLeaf => ({
  step: predicate.step_id,
  step_digest: predicate.step_digest,
  input_digest: predicate.input_digest,
  output_digest: predicate.output_digest,
});

/** The inclusion proof of each leaf, in the same order. */
export function merkleProofs(leaves: readonly Uint8Array[]): MerkleProof[] {
  if (leaves.length === 0) return [];
  const tree = new MerkleTree(leaves);
  const root = hex(tree.root);
  return leaves.map((leaf, index) => ({
    leaf_index: index,
    tree_size: tree.size,
    leaf_hash: hex(leaf),
    path: tree.path(index).map(hex),
    root,
  }));
}

/** Whether the proof holds for this envelope. Compare `proof.root` with a signed root: the proof alone proves nothing. */
export function verifyMerkleProof(proof: MerkleProof, envelope: Envelope): boolean {
  const leaf = receiptLeaf(envelope);
  return (
    hex(leaf) === proof.leaf_hash &&
    verifyInclusion(leaf, proof.leaf_index, proof.tree_size, proof.path.map(unhex), unhex(proof.root))
  );
}
