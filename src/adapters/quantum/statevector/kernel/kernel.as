// The state vector's inner loops. Two builds: RELAXED=0 rounds every product and sum alone, thus alike on every machine; RELAXED=1 may fuse them.
import { dense, exchange, matrixAmplitudes, matrixUnits, phase, rotate, rotateLane } from './gates';
import { addTerm, correlation, dot, termBytes, weight } from './sums';
import { unitShift } from './vector';

// A job in memory (u32): 0 the next part, counted by all threads, 4 parts, 8 what is to be done, 12 the state. Each thread calls `work` with a buffer of
// its own, and takes parts until none is left.
const doGates: u32 = 0;
const doWeights: u32 = 1;

// An operation of a program, 192 bytes (u32): 0 kind, 4 fixed, 8 value, 12 stride or first offset, 16 lane or second offset, 20 and 24 bits of the block's
// place that must have a value, 28 bits of the place that select, 32 a bit within the block that selects, 36 and 40 whether halves change places,
// 44 matrix, 48 offsets, 52 size; from 64 numbers: tangent, cosine and sine, cosine and sine if selected (f64), or vectors.
const operationBytes: usize = 192;
const kindRotate: u32 = 0;
const kindDense: u32 = 1;
const kindPhase: u32 = 2;
const kindExchange: u32 = 3;
const kindMatrixUnits: u32 = 4;
const kindMatrixAmplitudes: u32 = 5;

function turn<T>(block: usize, units: u32, operation: usize, fixed: u32, value: u32, selected: bool): void {
  const numbers = operation + 64 + (selected ? 16 : 0);
  const tangent = <T>load<f64>(operation, 64);
  const c = <T>load<f64>(numbers, 8);
  const s = <T>load<f64>(numbers, 16);
  const swapped = load<u32>(operation + (selected ? 4 : 0), 36) != 0;
  const stride = <usize>load<u32>(operation, 12);
  const lane = load<i32>(operation, 16);
  if (lane < 0) rotate<T>(block, units, fixed, value, stride, tangent, c, s, swapped);
  else rotateLane<T>(block, units, fixed, value, stride, lane, tangent, c, s, swapped);
}

function operate<T>(block: usize, units: u32, place: u32, operation: usize, work: usize): void {
  if ((place & load<u32>(operation, 20)) != load<u32>(operation, 24)) return;
  const kind = load<u32>(operation);
  const fixed = load<u32>(operation, 4);
  const value = load<u32>(operation, 8);
  const first = <usize>load<u32>(operation, 12);
  if (kind == kindRotate) {
    const select = load<u32>(operation, 32);
    if (select == 0) {
      turn<T>(block, units, operation, fixed, value, (place & load<u32>(operation, 28)) != 0);
    } else {
      turn<T>(block, units, operation, fixed | select, value, false);
      turn<T>(block, units, operation, fixed | select, value | select, true);
    }
  } else if (kind == kindDense) {
    dense<T>(block, units, fixed, value, first, load<i32>(operation, 16), operation + 64);
  } else if (kind == kindPhase) {
    phase<T>(block, units, fixed, value, operation + 64);
  } else if (kind == kindExchange) {
    exchange(block, units, fixed, value, first, <usize>load<u32>(operation, 16));
  } else {
    const matrix = <usize>load<u32>(operation, 44);
    const offsets = <usize>load<u32>(operation, 48);
    const size = load<u32>(operation, 52);
    if (kind == kindMatrixUnits) matrixUnits<T>(block, units, fixed, value, size, offsets, matrix, work);
    else matrixAmplitudes<T>(block, units << (sizeof<T>() == 8 ? 1 : 2), fixed, value, size, offsets, matrix, work);
  }
}

// An engine exchanges a function for its optimized form when it is called anew. So what runs long in loops is called often, and exported, which keeps
// the compiler from moving it into its only caller.
export function operateDouble(block: usize, units: u32, place: u32, operation: usize, work: usize): void {
  operate<f64>(block, units, place, operation, work);
}

export function operateSingle(block: usize, units: u32, place: u32, operation: usize, work: usize): void {
  operate<f32>(block, units, place, operation, work);
}

function move(from: usize, to: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 64) {
    v128.store(to + at, v128.load(from + at));
    v128.store(to + at, v128.load(from + at, 16), 16);
    v128.store(to + at, v128.load(from + at, 32), 32);
    v128.store(to + at, v128.load(from + at, 48), 48);
  }
}

/** A job of gates goes on (u32): 16 program, 20 operations, 24 units of a block, 28 runs that make a block (0: the state is the block), 32 bytes of a run,
 * 36 offsets of the runs, 40 bits of the place, 44 their masks. */
function gates<T>(job: usize, part: u32, buffer: usize): void {
  let place: u32 = 0;
  const masks = <usize>load<u32>(job, 44);
  for (let bit: u32 = 0; bit < load<u32>(job, 40); bit++)
    if ((part >> bit) & 1) place |= load<u32>(masks + ((<usize>bit) << 2));
  const amplitudeShift: u32 = sizeof<T>() == 8 ? 4 : 3;
  const state = <usize>load<u32>(job, 12) + (<usize>place << amplitudeShift);
  const units = load<u32>(job, 24);
  const runs = load<u32>(job, 28);
  const runBytes = <usize>load<u32>(job, 32);
  const offsets = <usize>load<u32>(job, 36);
  const block = runs == 0 ? state : buffer;
  const work = buffer + (runs == 0 ? 0 : <usize>units << unitShift);
  for (let run: u32 = 0; run < runs; run++)
    move(state + <usize>load<u32>(offsets + (<usize>run << 2)), block + <usize>run * runBytes, runBytes);
  let operation = <usize>load<u32>(job, 16);
  const end = operation + <usize>load<u32>(job, 20) * operationBytes;
  for (; operation < end; operation += operationBytes) {
    if (sizeof<T>() == 8) operateDouble(block, units, place, operation, work);
    else operateSingle(block, units, place, operation, work);
  }
  for (let run: u32 = 0; run < runs; run++)
    move(block + <usize>run * runBytes, state + <usize>load<u32>(offsets + (<usize>run << 2)), runBytes);
}

/** A job of sums: 16 units of a chunk, 20 results (f64), 24 fixed, 28 value, 32 a vector of the lanes that are kept. */
function weights<T>(job: usize, part: u32): void {
  const units = load<u32>(job, 16);
  const sum = weight<T>(load<u32>(job, 12), part * units, units, load<u32>(job, 24), load<u32>(job, 28), job + 32);
  store<f64>(<usize>load<u32>(job, 20) + (<usize>part << 3), sum);
}

/** Likewise: 24 terms, 28 how many. */
function correlations<T>(job: usize, part: u32): void {
  const units = load<u32>(job, 16);
  let sum: f64 = 0;
  let term = <usize>load<u32>(job, 24);
  const end = term + <usize>load<u32>(job, 28) * termBytes;
  for (; term < end; term += termBytes) sum += correlation<T>(load<u32>(job, 12), part * units, units, term);
  store<f64>(<usize>load<u32>(job, 20) + (<usize>part << 3), sum);
}

function sum<T>(job: usize, part: u32, what: u32): void {
  if (what == doWeights) weights<T>(job, part);
  else correlations<T>(job, part);
}

export function sumDouble(job: usize, part: u32, what: u32): void {
  sum<f64>(job, part, what);
}

export function sumSingle(job: usize, part: u32, what: u32): void {
  sum<f32>(job, part, what);
}

function work<T>(job: usize, buffer: usize): void {
  const parts = load<u32>(job, 4);
  const what = load<u32>(job, 8);
  while (true) {
    const part = atomic.add<u32>(job, 1);
    if (part >= parts) break;
    if (what == doGates) gates<T>(job, part, buffer);
    else if (sizeof<T>() == 8) sumDouble(job, part, what);
    else sumSingle(job, part, what);
  }
}

export function workDouble(job: usize, buffer: usize): void {
  work<f64>(job, buffer);
}

export function workSingle(job: usize, buffer: usize): void {
  work<f32>(job, buffer);
}

/** Units at `to` become those of the sum of terms times the state, from unit `first`. */
function apply<T>(state: usize, to: usize, first: u32, units: u32, terms: usize, count: u32): void {
  memory.fill(to, 0, <usize>units << unitShift);
  const end = terms + <usize>count * termBytes;
  for (let term = terms; term < end; term += termBytes) addTerm<T>(state, to, first, units, term);
}

export function applyDouble(state: usize, to: usize, first: u32, units: u32, terms: usize, count: u32): void {
  apply<f64>(state, to, first, units, terms, count);
}

export function applySingle(state: usize, to: usize, first: u32, units: u32, terms: usize, count: u32): void {
  apply<f32>(state, to, first, units, terms, count);
}

export function dotDouble(left: usize, right: usize, units: u32, result: usize): void {
  dot<f64>(left, right, units, result);
}

export function dotSingle(left: usize, right: usize, units: u32, result: usize): void {
  dot<f32>(left, right, units, result);
}
