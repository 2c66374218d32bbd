import { hash } from 'node:crypto';
import { assert } from '../../lib/assert.ts';

/** Trees beyond this are refused, so that positions fit 32-bit arithmetic. */
const LEAVES_MAX = 2 ** 31 - 1;
const HASH_BYTES = 32;

const sha256 = (data: Uint8Array): Uint8Array => hash('sha256', data, 'buffer');

/** Hash of a leaf (RFC 9162 §2.1.1): SHA-256 of 0x00 and the data. Strings are hashed as UTF-8. */
export function leafHash(data: string | Uint8Array): Uint8Array {
  if (typeof data === 'string') return hash('sha256', `\0${data}`, 'buffer');
  const bytes = new Uint8Array(1 + data.length);
  bytes.set(data, 1);
  return sha256(bytes);
}

/** Hash of an inner node: SHA-256 of 0x01 and both children. The prefixes keep a node from passing for a leaf. */
function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + 2 * HASH_BYTES);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 1 + HASH_BYTES);
  return sha256(bytes);
}

/** Hashes level by level, from the leaves to the root; a node without a sibling moves up as it is. */
function levelsOf(leaves: readonly Uint8Array[]): (readonly Uint8Array[])[] {
  assert(leaves.length > 0 && leaves.length <= LEAVES_MAX, 'a Merkle tree has leaves');
  assert(
    leaves.every((leaf) => leaf.length === HASH_BYTES),
    'Merkle leaves are SHA-256 hashes',
  );
  const levels = [leaves];
  for (let level = leaves; level.length > 1; levels.push(level)) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] as Uint8Array;
      const right = level[i + 1];
      above.push(right === undefined ? left : nodeHash(left, right));
    }
    level = above;
  }
  return levels;
}

/**
 * Root of the tree over leaf hashes (RFC 9162 §2.1.1).
 * @param leaves results of `leafHash`, at least one
 */
export const merkleRoot = (leaves: readonly Uint8Array[]): Uint8Array => levelsOf(leaves).at(-1)?.[0] as Uint8Array;

/** A whole tree in memory: all inclusion proofs of n leaves take O(n log n). */
export class MerkleTree {
  readonly #levels: (readonly Uint8Array[])[];

  /** @param leaves results of `leafHash`, at least one */
  constructor(leaves: readonly Uint8Array[]) {
    this.#levels = levelsOf(leaves);
  }

  get size(): number {
    return this.#levels[0]?.length ?? 0;
  }

  get root(): Uint8Array {
    return this.#levels.at(-1)?.[0] as Uint8Array;
  }

  /** Sibling hashes from the leaf up (RFC 9162 §2.1.3.1). @param index of the leaf, from 0 */
  path(index: number): Uint8Array[] {
    assert(Number.isInteger(index) && index >= 0 && index < this.size, `leaf ${index} is in the tree`);
    const path: Uint8Array[] = [];
    for (let height = 0, at = index; height < this.#levels.length - 1; height++, at >>>= 1) {
      const sibling = this.#levels[height]?.[at ^ 1];
      if (sibling !== undefined) path.push(sibling);
    }
    return path;
  }
}

/** One inclusion proof; for many of one tree use `MerkleTree`. */
export const inclusionPath = (leaves: readonly Uint8Array[], index: number): Uint8Array[] =>
  new MerkleTree(leaves).path(index);

/**
 * Whether a leaf is at `index` in the tree of `size` leaves with this root (RFC 9162 §2.1.3.2). Never throws; a proof that is
 * longer or shorter than the tree's shape demands is refused.
 * @param leaf result of `leafHash`
 */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!Number.isInteger(size) || size < 1 || size > LEAVES_MAX) return false;
  if (!Number.isInteger(index) || index < 0 || index >= size) return false;
  if (leaf.length !== HASH_BYTES || path.some((sibling) => sibling.length !== HASH_BYTES)) return false;
  let at = index;
  let last = size - 1;
  let computed = leaf;
  for (const sibling of path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      computed = nodeHash(sibling, computed);
      // A last node without a sibling has moved up unchanged.
      while (at % 2 === 0 && at !== 0) {
        at >>>= 1;
        last >>>= 1;
      }
    } else computed = nodeHash(computed, sibling);
    at >>>= 1;
    last >>>= 1;
  }
  return last === 0 && Buffer.compare(computed, root) === 0;
}
