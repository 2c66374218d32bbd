import { add, addWide, lanes, madd, mul, nmadd, sub, unitShift } from './vector';

// Sums are over chunks of a fixed size, in a fixed order, in f64: whoever computes a chunk gets the same bits.

/** Of |amplitude|² where the number of a unit has the bits of `value` under `fixed`, in the lanes that the vector at `kept` keeps. */
export function weight<T>(state: usize, first: u32, units: u32, fixed: u32, value: u32, kept: usize): f64 {
  const lanesKept = v128.load(kept);
  let sum = f64x2.splat(0);
  for (let unit = first; unit < first + units; unit++) {
    if ((unit & fixed) != value) continue;
    const at = state + (<usize>unit << unitShift);
    const re = v128.and(v128.load(at), lanesKept);
    const im = v128.and(v128.load(at, 16), lanesKept);
    if (sizeof<T>() == 8) {
      sum = f64x2.add(sum, f64x2.add(f64x2.mul(re, re), f64x2.mul(im, im)));
    } else {
      sum = square(square(sum, f64x2.promote_low_f32x4(re)), f64x2.promote_low_f32x4(im));
      sum = square(sum, f64x2.promote_low_f32x4(v128.shuffle<f32>(re, re, 2, 3, 2, 3)));
      sum = square(sum, f64x2.promote_low_f32x4(v128.shuffle<f32>(im, im, 2, 3, 2, 3)));
    }
  }
  return lanes(sum);
}

@inline
function square(sum: v128, v: v128): v128 {
  return f64x2.add(sum, f64x2.mul(v, v));
}

// A product of Pauli matrices, as a term in memory: 0 bits of the unit that X and Y flip, 4 bits of the unit that Z and Y look at, 8 whether the
// number of Y is odd, 16 a swizzle that flips lanes, 32 and 48 signs of the lanes for either parity of the unit, 64 and 72 the coefficient.
export const termBytes: usize = 80;

@inline
function partner(state: usize, unit: u32, term: usize): usize {
  return state + (<usize>(unit ^ load<u32>(term)) << unitShift);
}

@inline
function signs(unit: u32, term: usize): v128 {
  return v128.load(term + (<usize>(popcnt<u32>(unit & load<u32>(term, 4)) & 1) << 4), 32);
}

/** `Σ sign · conj(partner) · amplitude`, its real part or, where the number of Y is odd, its imaginary part, times the coefficient at 64. */
export function correlation<T>(state: usize, first: u32, units: u32, term: usize): f64 {
  const isOdd = load<u32>(term, 8) != 0;
  const flip = v128.load(term, 16);
  let sum = f64x2.splat(0);
  for (let unit = first; unit < first + units; unit++) {
    const at = state + (<usize>unit << unitShift);
    const other = partner(state, unit, term);
    const ar = v128.load(at);
    const ai = v128.load(at, 16);
    const br = v128.swizzle(v128.load(other), flip);
    const bi = v128.swizzle(v128.load(other, 16), flip);
    const part = isOdd ? sub<T>(mul<T>(br, ai), mul<T>(bi, ar)) : add<T>(mul<T>(br, ar), mul<T>(bi, ai));
    sum = addWide<T>(sum, v128.xor(part, signs(unit, term)));
  }
  return lanes(sum) * load<f64>(term, 64);
}

/** Adds a term times the state to the units at `to`, which stand for those from `first`. The coefficient is complex here. */
export function addTerm<T>(state: usize, to: usize, first: u32, units: u32, term: usize): void {
  const kr = v128.splat<T>(<T>load<f64>(term, 64));
  const ki = v128.splat<T>(<T>load<f64>(term, 72));
  const flip = v128.load(term, 16);
  for (let unit = first; unit < first + units; unit++) {
    const other = partner(state, unit, term);
    const sign = signs(unit, term);
    const br = v128.xor(v128.swizzle(v128.load(other), flip), sign);
    const bi = v128.xor(v128.swizzle(v128.load(other, 16), flip), sign);
    const at = to + (<usize>(unit - first) << unitShift);
    v128.store(at, nmadd<T>(bi, ki, madd<T>(br, kr, v128.load(at))));
    v128.store(at, madd<T>(br, ki, madd<T>(bi, kr, v128.load(at, 16))), 16);
  }
}

/** `Σ conj(left) · right`, its parts stored as two f64 at `result`. */
export function dot<T>(left: usize, right: usize, units: u32, result: usize): void {
  let re = f64x2.splat(0);
  let im = f64x2.splat(0);
  for (let unit: u32 = 0; unit < units; unit++) {
    const p = left + (<usize>unit << unitShift);
    const q = right + (<usize>unit << unitShift);
    const ar = v128.load(p);
    const ai = v128.load(p, 16);
    const br = v128.load(q);
    const bi = v128.load(q, 16);
    re = addWide<T>(re, add<T>(mul<T>(ar, br), mul<T>(ai, bi)));
    im = addWide<T>(im, sub<T>(mul<T>(ar, bi), mul<T>(ai, br)));
  }
  store<f64>(result, lanes(re));
  store<f64>(result, lanes(im), 8);
}
