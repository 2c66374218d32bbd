import type { Precision } from './kernel.ts';

/** Where things lie in the memory of one state, in bytes. */
export interface Layout {
  readonly precision: Precision;
  /** With unused ones, so that the kernel always finds enough units. */
  readonly qubits: number;
  /** Bits of the lanes of a vector. */
  readonly laneBits: number;
  readonly amplitudeBytes: number;
  /** Of a block, as many as the state has where it fits a cache as a whole. */
  readonly blockQubits: number;
  /** Those of a block that lie together; fewer where a matrix has more targets than would be left. */
  readonly lowQubits: number;
  /** Amplitudes of a chunk of sums. */
  readonly chunkQubits: number;
  readonly job: number;
  readonly masks: number;
  readonly runs: number;
  readonly program: number;
  readonly sums: number;
  readonly bufferBytes: number;
  /** One per thread, one after another. */
  readonly buffers: number;
  readonly state: number;
  readonly stateBytes: number;
  /** Matrices and terms, as large as they need. */
  readonly pool: number;
}

export const operationBytes = 192;
export const operationsMax = 256;
const unitBytes = 32;
export const unitShift = 5;
const laneBitsOf = (precision: Precision): number => (precision === 'double' ? 1 : 2);
/** A matrix over more targets needs too much memory itself. */
export const targetsMax = 10;

const blockQubitsMin = 6;
const page = 4096;
const aligned = (bytes: number, to = 64): number => Math.ceil(bytes / to) * to;

/** @param blockQubitsWanted default: so that a block fits a second-level cache of a megabyte, and a smaller one nearly as well */
export function layoutOf(
  stateQubits: number,
  precision: Precision,
  threads: number,
  blockQubitsWanted: number | undefined,
): Layout {
  const laneBits = laneBitsOf(precision);
  const qubits = Math.max(stateQubits, laneBits + 2);
  const amplitudeBytes = precision === 'double' ? 16 : 8;
  const blockQubits = Math.min(qubits, blockQubitsOf(qubits, precision, blockQubitsWanted));
  const lowQubits = Math.min(Math.max(laneBits + 1, blockQubits >> 1), 7);
  const chunkQubits = Math.min(qubits, 10);
  const masks = 256;
  const runs = 512;
  const program = runs + 4 * 2 ** targetsMax;
  const programEnd = aligned(program + operationsMax * operationBytes);
  const sums = programEnd;
  const buffers = aligned(sums + 8 * 2 ** (qubits - chunkQubits), page);
  const inBlocks = blockQubits < qubits;
  const workBytes = unitBytes * 2 ** targetsMax;
  // A block and, behind it, what a matrix is multiplied with; or a chunk.
  const bufferBytes = aligned((inBlocks ? amplitudeBytes * 2 ** blockQubits : 0) + workBytes, page);
  const state = buffers + threads * bufferBytes;
  const stateBytes = amplitudeBytes * 2 ** qubits;
  const pool = state + stateBytes;
  return {
    precision,
    qubits,
    laneBits,
    amplitudeBytes,
    blockQubits,
    lowQubits,
    chunkQubits,
    job: 0,
    masks,
    runs,
    program,
    sums,
    bufferBytes,
    buffers,
    state,
    stateBytes,
    pool,
  };
}

function blockQubitsOf(qubits: number, precision: Precision, wanted: number | undefined): number {
  if (wanted !== undefined) return Math.max(blockQubitsMin, wanted);
  const whole = precision === 'double' ? 16 : 17;
  return qubits <= whole ? whole : whole - 1;
}
