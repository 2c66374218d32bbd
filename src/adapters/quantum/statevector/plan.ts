import type { Lowered } from './lower.ts';

/** Operations that are done on one block of amplitudes after another, each block small enough for the cache. */
export interface Pass {
  /** The qubits whose bits number the amplitudes within a block, ascending, bit 0 first. */
  readonly qubits: readonly number[];
  /** As many of the lowest lie together. */
  readonly lowQubits: number;
  readonly operations: readonly Lowered[];
}

/** How many operations may be left for a later pass before a pass looks no further: it keeps planning near linear. */
const skippedMax = 2_000;

/**
 * @param blockQubits of a block; as many as the state has: there is one pass
 * @param lowQubits the lowest are in every block, so that it is made of runs that lie together
 */
export function planPasses(
  operations: readonly Lowered[],
  qubits: number,
  blockQubits: number,
  lowQubitsMax: number,
): Pass[] {
  if (blockQubits >= qubits || operations.length === 0)
    return [{ qubits: Array.from({ length: blockQubits }, (_, qubit) => qubit), lowQubits: lowQubitsMax, operations }];
  const writes = operations.map(writtenBy);
  const lowQubits = writes.reduce((low, own) => Math.min(low, blockQubits - bitCount(own)), lowQubitsMax);
  const reads = operations.map(readBy);
  const passes: Pass[] = [];
  const left = operations.map((_, at) => at);
  let start = 0;
  while (start < left.length) {
    const taken: Lowered[] = [];
    const skipped: number[] = [];
    let block = 2 ** lowQubits - 1;
    let room = blockQubits - lowQubits;
    // What was skipped writes or reads these.
    let written = 0;
    let read = 0;
    let next = start;
    for (; next < left.length && skipped.length < skippedMax; next += 1) {
      const at = left[next] ?? 0;
      const [own = 0, seen = 0] = [writes[at], reads[at]];
      const missing = bitCount(own & ~block);
      if ((own & (written | read)) === 0 && (seen & written) === 0 && missing <= room) {
        block |= own;
        room -= missing;
        const operation = operations[at];
        if (operation !== undefined) taken.push(operation);
        continue;
      }
      skipped.push(at);
      written |= own;
      read |= seen;
      if (room === 0 && (block & ~written) === 0) {
        next += 1;
        break;
      }
    }
    for (let qubit = lowQubits; room > 0; qubit += 1)
      if ((block & (1 << qubit)) === 0) {
        block |= 1 << qubit;
        room -= 1;
      }
    passes.push({ qubits: bitsOf(block), lowQubits, operations: taken });
    // The skipped ones stand before those that were not looked at, where room was made by those that were taken.
    start = next - skipped.length;
    skipped.forEach((at, offset) => {
      left[start + offset] = at;
    });
  }
  return passes;
}

function writtenBy(operation: Lowered): number {
  switch (operation.kind) {
    case 'rotate':
    case 'dense':
    case 'flip':
      return 1 << operation.target;
    case 'phase':
      return 0;
    case 'exchange':
      return (1 << operation.first) | (1 << operation.second);
    case 'matrix':
      return operation.targets.reduce((bits, target) => bits | (1 << target), 0);
  }
}

function readBy(operation: Lowered): number {
  switch (operation.kind) {
    case 'rotate':
      return operation.select < 0 ? 0 : 1 << operation.select;
    case 'exchange':
      return 0;
    default:
      return operation.mask;
  }
}

function bitCount(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count += 1;
  return count;
}

function bitsOf(bits: number): number[] {
  const qubits: number[] = [];
  for (let qubit = 0; qubit < 32; qubit += 1) if (bits & (1 << qubit)) qubits.push(qubit);
  return qubits;
}
