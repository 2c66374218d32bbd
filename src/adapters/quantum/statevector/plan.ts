import { type Lowered, readBy, writtenBy } from './operations.ts';

/** Operations that are done on one block of amplitudes after another, each block small enough for the cache. */
export interface Pass {
  /** The qubits whose bits number the amplitudes within a block, ascending, bit 0 first. */
  readonly qubits: readonly number[];
  /** As many of the lowest lie together. */
  readonly lowQubits: number;
  readonly operations: readonly Lowered[];
}

/** As many operations are looked at to choose a block, and skipped at most in one pass: so planning takes time near linear in the operations. */
const window = 1_024;

interface Work {
  /** Qubits as bits, per operation. */
  readonly writes: Int32Array;
  readonly reads: Int32Array;
  /** What is left to do: operations by number, in order, from `start` on. */
  readonly left: Int32Array;
  start: number;
}

/**
 * Splits operations into passes. An operation is done in a pass if the block has the qubits that it writes, wherever those are that it reads, and if no
 * operation before it that has to do with its qubits is left.
 *
 * @param blockQubits of a block; as many as the state has: there is one pass
 * @param lowQubitsMax so many of the lowest are in every block, so that it is made of runs that lie together
 */
export function planPasses(
  operations: readonly Lowered[],
  qubits: number,
  blockQubits: number,
  lowQubitsMax: number,
): Pass[] {
  if (blockQubits >= qubits || operations.length === 0)
    return [{ qubits: Array.from({ length: blockQubits }, (_, qubit) => qubit), lowQubits: lowQubitsMax, operations }];
  const writes = Int32Array.from(operations, writtenBy);
  const reads = Int32Array.from(operations, readBy);
  const left = Int32Array.from(operations, (_, at) => at);
  const work: Work = { writes, reads, left, start: 0 };
  const lowQubits = writes.reduce((low, own) => Math.min(low, blockQubits - bitsOf(own).length), lowQubitsMax);
  const passes: Pass[] = [];
  while (work.start < left.length) {
    const block = chooseBlock(work, qubits, blockQubits, lowQubits);
    const taken = take(work, block).flatMap((at) => operations[at] ?? []);
    passes.push({ qubits: bitsOf(block), lowQubits, operations: taken });
  }
  return passes;
}

/** Begins with all qubits and takes out, one by one, that without which most can be done: at least one operation can, always. */
function chooseBlock(work: Work, qubits: number, blockQubits: number, lowQubits: number): number {
  let block = 2 ** qubits - 1;
  for (let size = qubits; size > blockQubits; size -= 1) {
    let best = -1;
    let without = 0;
    for (let qubit = lowQubits; qubit < qubits; qubit += 1) {
      if ((block & (1 << qubit)) === 0) continue;
      const count = walk(work, block & ~(1 << qubit), window, () => {});
      if (count <= best) continue;
      best = count;
      without = qubit;
    }
    block &= ~(1 << without);
  }
  return block;
}

/** Takes what can be done out of what is left. */
function take(work: Work, block: number): number[] {
  const taken: number[] = [];
  const skipped: number[] = [];
  const { left } = work;
  walk(work, block, left.length, (at, isTaken) => {
    if (isTaken) taken.push(at);
    else skipped.push(at);
  });
  // Those that were skipped stand before those that were not looked at, where there is room now.
  work.start += taken.length;
  left.set(skipped, work.start);
  return taken;
}

/** Looks at what is left, in order, until nothing more can be done. @returns how many operations can */
function walk(
  { writes, reads, left, start }: Work,
  block: number,
  limit: number,
  see: (at: number, isTaken: boolean) => void,
): number {
  // Qubits that what was skipped writes or reads.
  let written = 0;
  let read = 0;
  let count = 0;
  let skipped = 0;
  const end = Math.min(left.length, start + limit);
  for (let next = start; next < end && skipped < window; next += 1) {
    const at = left[next] ?? 0;
    const [own, seen] = [writes[at] ?? 0, reads[at] ?? 0];
    const isTaken = (own & (written | read | ~block)) === 0 && (seen & written) === 0;
    see(at, isTaken);
    if (isTaken) {
      count += 1;
      continue;
    }
    skipped += 1;
    written |= own;
    read |= seen;
    if ((block & ~written) === 0) break;
  }
  return count;
}

function bitsOf(bits: number): number[] {
  const qubits: number[] = [];
  for (let qubit = 0; qubit < 32; qubit += 1) if (bits & (1 << qubit)) qubits.push(qubit);
  return qubits;
}
