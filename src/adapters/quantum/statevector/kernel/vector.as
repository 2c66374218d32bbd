// A state is a row of units. A unit holds as many amplitudes as a vector has lanes (2 of f64, 4 of f32): their real parts in 16 bytes, their
// imaginary parts in the next 16. So a complex product needs no shuffling, and both parts lie in one line of the cache.

export const unitBytes: usize = 32;
export const unitShift: usize = 5;

@inline
export function add<T>(a: v128, b: v128): v128 {
  return v128.add<T>(a, b);
}

@inline
export function sub<T>(a: v128, b: v128): v128 {
  return v128.sub<T>(a, b);
}

@inline
export function mul<T>(a: v128, b: v128): v128 {
  return v128.mul<T>(a, b);
}

/** `a · b + c`; RELAXED, which the build sets, lets the machine round once. */
@inline
export function madd<T>(a: v128, b: v128, c: v128): v128 {
  if (RELAXED != 0) return v128.relaxed_madd<T>(a, b, c);
  return v128.add<T>(v128.mul<T>(a, b), c);
}

/** `c - a · b` */
@inline
export function nmadd<T>(a: v128, b: v128, c: v128): v128 {
  if (RELAXED != 0) return v128.relaxed_nmadd<T>(a, b, c);
  return v128.sub<T>(c, v128.mul<T>(a, b));
}

/** Of two units that differ in a bit, what has the lane bit 0, that bit then standing where the lane bit was. Done twice, it is undone. */
@inline
export function lower<T>(lane: i32, a: v128, b: v128): v128 {
  if (sizeof<T>() == 8) return v128.shuffle<f64>(a, b, 0, 2);
  return lane == 0 ? v128.shuffle<f32>(a, b, 0, 4, 2, 6) : v128.shuffle<f32>(a, b, 0, 1, 4, 5);
}

/** Likewise, what has the lane bit 1. */
@inline
export function upper<T>(lane: i32, a: v128, b: v128): v128 {
  if (sizeof<T>() == 8) return v128.shuffle<f64>(a, b, 1, 3);
  return lane == 0 ? v128.shuffle<f32>(a, b, 1, 5, 3, 7) : v128.shuffle<f32>(a, b, 2, 3, 6, 7);
}

/** The sum of the lanes, as f64. */
@inline
export function lanes(sum: v128): f64 {
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/** `sum` plus the lanes of `v`, as f64. */
@inline
export function addWide<T>(sum: v128, v: v128): v128 {
  if (sizeof<T>() == 8) return f64x2.add(sum, v);
  const high = v128.shuffle<f32>(v, v, 2, 3, 2, 3);
  return f64x2.add(f64x2.add(sum, f64x2.promote_low_f32x4(v)), f64x2.promote_low_f32x4(high));
}
