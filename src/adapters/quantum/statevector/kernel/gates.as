import { lower, madd, mul, nmadd, unitShift, upper } from './vector';

// Each walks the units of a block whose number has the bits of `value` where `fixed` has bits; `fixed` includes the target. The walk
// counts with the fixed bits out of the way: set, they pass a carry on.

@inline
function next(unit: u32, fixed: u32): u32 {
  return ((unit | fixed) + 1) & ~fixed;
}

/** The half with the target at 1 is multiplied by c + i·s; the halves change places if `swapped`; then [1 -t; t 1]. */
@inline
function turned<T>(p: usize, q: usize, t: v128, c: v128, s: v128, swapped: bool, phased: bool): void {
  const xr = v128.load(p);
  const xi = v128.load(p, 16);
  let yr = v128.load(q);
  let yi = v128.load(q, 16);
  if (phased) {
    const zr = nmadd<T>(yi, s, mul<T>(yr, c));
    yi = madd<T>(yi, c, mul<T>(yr, s));
    yr = zr;
  }
  if (swapped) {
    v128.store(p, nmadd<T>(xr, t, yr));
    v128.store(p, nmadd<T>(xi, t, yi), 16);
    v128.store(q, madd<T>(yr, t, xr));
    v128.store(q, madd<T>(yi, t, xi), 16);
  } else {
    v128.store(p, nmadd<T>(yr, t, xr));
    v128.store(p, nmadd<T>(yi, t, xi), 16);
    v128.store(q, madd<T>(xr, t, yr));
    v128.store(q, madd<T>(xi, t, yi), 16);
  }
}

@inline
function walkTurned<T>(block: usize, units: u32, fixed: u32, value: u32, stride: usize, t: v128, c: v128, s: v128, swapped: bool, phased: bool): void {
  let unit: u32 = 0;
  if (((fixed | value) & 1) == 0) {
    // Two neighbours at a time: the walk itself takes a good part of the time.
    const wide = fixed | 1;
    do {
      const p = block + (<usize>(unit | value) << unitShift);
      const q = p + stride;
      turned<T>(p, q, t, c, s, swapped, phased);
      turned<T>(p + 32, q + 32, t, c, s, swapped, phased);
      unit = next(unit, wide);
    } while (unit < units);
    return;
  }
  do {
    const p = block + (<usize>(unit | value) << unitShift);
    turned<T>(p, p + stride, t, c, s, swapped, phased);
    unit = next(unit, fixed);
  } while (unit < units);
}

export function rotate<T>(block: usize, units: u32, fixed: u32, value: u32, stride: usize, tangent: T, c: T, s: T, swapped: bool): void {
  const t = v128.splat<T>(tangent);
  const vc = v128.splat<T>(c);
  const vs = v128.splat<T>(s);
  if (c == <T>1 && s == <T>0) {
    if (swapped) walkTurned<T>(block, units, fixed, value, stride, t, vc, vs, true, false);
    else walkTurned<T>(block, units, fixed, value, stride, t, vc, vs, false, false);
  } else if (swapped) walkTurned<T>(block, units, fixed, value, stride, t, vc, vs, true, true);
  else walkTurned<T>(block, units, fixed, value, stride, t, vc, vs, false, true);
}

@inline
function turnedLanes<T>(p: usize, q: usize, lane: i32, t: v128, c: v128, s: v128, swapped: bool): void {
  const ar = v128.load(p);
  const ai = v128.load(p, 16);
  const br = v128.load(q);
  const bi = v128.load(q, 16);
  let xr = lower<T>(lane, ar, br);
  let xi = lower<T>(lane, ai, bi);
  const yr = upper<T>(lane, ar, br);
  const yi = upper<T>(lane, ai, bi);
  let zr = nmadd<T>(yi, s, mul<T>(yr, c));
  let zi = madd<T>(yi, c, mul<T>(yr, s));
  if (swapped) {
    const wr = xr;
    const wi = xi;
    xr = zr;
    xi = zi;
    zr = wr;
    zi = wi;
  }
  const ur = nmadd<T>(zr, t, xr);
  const ui = nmadd<T>(zi, t, xi);
  const vr = madd<T>(xr, t, zr);
  const vi = madd<T>(xi, t, zi);
  v128.store(p, lower<T>(lane, ur, vr));
  v128.store(p, lower<T>(lane, ui, vi), 16);
  v128.store(q, upper<T>(lane, ur, vr));
  v128.store(q, upper<T>(lane, ui, vi), 16);
}

/** As `rotate`, for a target within the lanes; `stride` is that of another bit, which `fixed` includes. */
export function rotateLane<T>(block: usize, units: u32, fixed: u32, value: u32, stride: usize, lane: i32, tangent: T, c: T, s: T, swapped: bool): void {
  const t = v128.splat<T>(tangent);
  const vc = v128.splat<T>(c);
  const vs = v128.splat<T>(s);
  let unit: u32 = 0;
  do {
    const p = block + (<usize>(unit | value) << unitShift);
    if (sizeof<T>() == 8 || lane == 0) turnedLanes<T>(p, p + stride, 0, t, vc, vs, swapped);
    else turnedLanes<T>(p, p + stride, 1, t, vc, vs, swapped);
    unit = next(unit, fixed);
  } while (unit < units);
}

/** Any matrix of two rows; each of its 8 numbers is a vector at `matrix`, so that lanes may differ. `lane` is -1 for a target beyond the lanes. */
export function dense<T>(block: usize, units: u32, fixed: u32, value: u32, stride: usize, lane: i32, matrix: usize): void {
  const ar = v128.load(matrix);
  const ai = v128.load(matrix, 16);
  const br = v128.load(matrix, 32);
  const bi = v128.load(matrix, 48);
  const cr = v128.load(matrix, 64);
  const ci = v128.load(matrix, 80);
  const dr = v128.load(matrix, 96);
  const di = v128.load(matrix, 112);
  let unit: u32 = 0;
  do {
    const p = block + (<usize>(unit | value) << unitShift);
    const q = p + stride;
    let xr = v128.load(p);
    let xi = v128.load(p, 16);
    let yr = v128.load(q);
    let yi = v128.load(q, 16);
    if (lane >= 0) {
      const wr = xr;
      const wi = xi;
      if (sizeof<T>() == 8 || lane == 0) {
        xr = lower<T>(0, wr, yr);
        xi = lower<T>(0, wi, yi);
        yr = upper<T>(0, wr, yr);
        yi = upper<T>(0, wi, yi);
      } else {
        xr = lower<T>(1, wr, yr);
        xi = lower<T>(1, wi, yi);
        yr = upper<T>(1, wr, yr);
        yi = upper<T>(1, wi, yi);
      }
    }
    const ur = nmadd<T>(yi, bi, madd<T>(yr, br, nmadd<T>(xi, ai, mul<T>(xr, ar))));
    const ui = madd<T>(yi, br, madd<T>(yr, bi, madd<T>(xi, ar, mul<T>(xr, ai))));
    const vr = nmadd<T>(yi, di, madd<T>(yr, dr, nmadd<T>(xi, ci, mul<T>(xr, cr))));
    const vi = madd<T>(yi, dr, madd<T>(yr, di, madd<T>(xi, cr, mul<T>(xr, ci))));
    if (lane < 0) {
      v128.store(p, ur);
      v128.store(p, ui, 16);
      v128.store(q, vr);
      v128.store(q, vi, 16);
    } else if (sizeof<T>() == 8 || lane == 0) {
      v128.store(p, lower<T>(0, ur, vr));
      v128.store(p, lower<T>(0, ui, vi), 16);
      v128.store(q, upper<T>(0, ur, vr));
      v128.store(q, upper<T>(0, ui, vi), 16);
    } else {
      v128.store(p, lower<T>(1, ur, vr));
      v128.store(p, lower<T>(1, ui, vi), 16);
      v128.store(q, upper<T>(1, ur, vr));
      v128.store(q, upper<T>(1, ui, vi), 16);
    }
    unit = next(unit, fixed);
  } while (unit < units);
}

/** Multiplies by a number per lane: real parts at `factor`, imaginary parts behind. */
export function phase<T>(block: usize, units: u32, fixed: u32, value: u32, factor: usize): void {
  const c = v128.load(factor);
  const s = v128.load(factor, 16);
  let unit: u32 = 0;
  do {
    const p = block + (<usize>(unit | value) << unitShift);
    const xr = v128.load(p);
    const xi = v128.load(p, 16);
    v128.store(p, nmadd<T>(xi, s, mul<T>(xr, c)));
    v128.store(p, madd<T>(xi, c, mul<T>(xr, s)), 16);
    unit = next(unit, fixed);
  } while (unit < units);
}

/** Exchanges the units at `first` and at `second` from each that is walked. */
export function exchange(block: usize, units: u32, fixed: u32, value: u32, first: usize, second: usize): void {
  let unit: u32 = 0;
  do {
    const at = block + (<usize>(unit | value) << unitShift);
    const p = at + first;
    const q = at + second;
    const xr = v128.load(p);
    const xi = v128.load(p, 16);
    const yr = v128.load(q);
    const yi = v128.load(q, 16);
    v128.store(p, yr);
    v128.store(p, yi, 16);
    v128.store(q, xr);
    v128.store(q, xi, 16);
    unit = next(unit, fixed);
  } while (unit < units);
}

/** A matrix of `size` rows, numbers as real and imaginary parts of T in turn, over units at `offsets` (u32, bytes) from each that is walked. */
export function matrixUnits<T>(block: usize, units: u32, fixed: u32, value: u32, size: u32, offsets: usize, matrix: usize, work: usize): void {
  const entryBytes: usize = 2 * sizeof<T>();
  let unit: u32 = 0;
  do {
    const at = block + (<usize>(unit | value) << unitShift);
    for (let column: u32 = 0; column < size; column++) {
      const from = at + <usize>load<u32>(offsets + ((<usize>column) << 2));
      const to = work + (<usize>column << unitShift);
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
    }
    let entry = matrix;
    for (let row: u32 = 0; row < size; row++) {
      let re = v128.splat<T>(0);
      let im = v128.splat<T>(0);
      const end = work + (<usize>size << unitShift);
      for (let from = work; from < end; from += 32) {
        const mr = v128.load_splat<T>(entry);
        const mi = v128.load_splat<T>(entry, sizeof<T>());
        const xr = v128.load(from);
        const xi = v128.load(from, 16);
        re = nmadd<T>(xi, mi, madd<T>(xr, mr, re));
        im = madd<T>(xi, mr, madd<T>(xr, mi, im));
        entry += entryBytes;
      }
      const to = at + <usize>load<u32>(offsets + ((<usize>row) << 2));
      v128.store(to, re);
      v128.store(to, im, 16);
    }
    unit = next(unit, fixed);
  } while (unit < units);
}

/** The same over single amplitudes, for targets or controls within the lanes; walks amplitudes, not units. */
export function matrixAmplitudes<T>(block: usize, amplitudes: u32, fixed: u32, value: u32, size: u32, offsets: usize, matrix: usize, work: usize): void {
  const laneShift: u32 = sizeof<T>() == 8 ? 1 : 2;
  const laneMask: u32 = (1 << laneShift) - 1;
  let index: u32 = 0;
  do {
    const chosen = index | value;
    const at = block + (<usize>(chosen >> laneShift) << unitShift) + <usize>(chosen & laneMask) * sizeof<T>();
    for (let column: u32 = 0; column < size; column++) {
      const from = at + <usize>load<u32>(offsets + ((<usize>column) << 2));
      const to = work + <usize>column * 2 * sizeof<T>();
      store<T>(to, load<T>(from));
      store<T>(to + sizeof<T>(), load<T>(from, 16));
    }
    let entry = matrix;
    for (let row: u32 = 0; row < size; row++) {
      let re: T = 0;
      let im: T = 0;
      let from = work;
      for (let column: u32 = 0; column < size; column++) {
        const mr = load<T>(entry);
        const mi = load<T>(entry + sizeof<T>());
        const xr = load<T>(from);
        const xi = load<T>(from + sizeof<T>());
        re += mr * xr - mi * xi;
        im += mr * xi + mi * xr;
        entry += 2 * sizeof<T>();
        from += 2 * sizeof<T>();
      }
      const to = at + <usize>load<u32>(offsets + ((<usize>row) << 2));
      store<T>(to, re);
      store<T>(to, im, 16);
    }
    index = next(index, fixed);
  } while (index < amplitudes);
}
