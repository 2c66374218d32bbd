import type { Random } from './random.ts';

/** How many of `n` tries succeed, each with probability `p`. */
export function binomial(n: number, p: number, random: Random): number {
  if (n === 0 || p <= 0) return 0;
  if (p >= 1) return n;
  if (p > 0.5) return n - binomial(n, 1 - p, random);
  if (n <= 32) return tries(n, p, random);
  return n * p < 10 ? byInversion(n, p, random) : byRejection(n, p, random);
}

function tries(n: number, p: number, random: Random): number {
  let successes = 0;
  for (let left = n; left > 0; left -= 1) if (random.next() < p) successes += 1;
  return successes;
}

/** Goes along the distribution until the drawn number is used up; `n · p` is small, so that (1 − p)^n is not. */
function byInversion(n: number, p: number, random: Random): number {
  const ratio = p / (1 - p);
  let mass = Math.exp(n * Math.log1p(-p));
  let left = random.next();
  for (let k = 0; k < n; k += 1) {
    left -= mass;
    if (left < 0) return k;
    mass *= ((n - k) / (k + 1)) * ratio;
    // What rounding left over lies far out in the tail.
    if (mass < 1e-300) return k;
  }
  return n;
}

/** BTRS: transformed rejection with squeeze, Hörmann, doi:10.1080/00949659308811496. For `n · p` ≥ 10 and p ≤ 1/2. */
function byRejection(n: number, p: number, random: Random): number {
  const spread = Math.sqrt(n * p * (1 - p));
  const b = 1.15 + 2.53 * spread;
  const a = -0.0873 + 0.0248 * b + 0.01 * p;
  const center = n * p + 0.5;
  const alpha = (2.83 + 5.1 / b) * spread;
  const squeeze = 0.92 - 4.2 / b;
  const odds = p / (1 - p);
  const mode = Math.floor((n + 1) * p);
  for (;;) {
    const u = random.next() - 0.5;
    const v = random.next();
    const edge = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / edge + b) * u + center);
    if (edge >= 0.07 && v <= squeeze) return k;
    if (k < 0 || k > n) continue;
    const height = Math.log((v * alpha) / (a / (edge * edge) + b));
    const bound =
      (mode + 0.5) * Math.log((mode + 1) / (odds * (n - mode + 1))) +
      (n + 1) * Math.log((n - mode + 1) / (n - k + 1)) +
      (k + 0.5) * Math.log((odds * (n - k + 1)) / (k + 1)) +
      stirlingTail(mode) +
      stirlingTail(n - mode) -
      stirlingTail(k) -
      stirlingTail(n - k);
    if (height <= bound) return k;
  }
}

/** What Stirling's formula leaves of ln k!: `ln k! − ((k + ½) ln(k + 1) − (k + 1) + ½ ln 2π)`. */
function stirlingTail(k: number): number {
  const small = tails[k];
  if (small !== undefined) return small;
  const next = k + 1;
  return (1 / 12 - (1 / 360 - 1 / 1260 / (next * next)) / (next * next)) / next;
}

const tails: readonly number[] = Array.from({ length: 10 }, (_, k) => {
  let factorial = 1;
  for (let at = 2; at <= k; at += 1) factorial *= at;
  return Math.log(factorial) - ((k + 0.5) * Math.log(k + 1) - (k + 1) + 0.5 * Math.log(2 * Math.PI));
});

/** Splits `amount` tries among outcomes of the given weights, which are positive or 0 and sum up to anything but 0. */
export function multinomial(amount: number, weights: readonly number[], random: Random): number[] {
  let rest = weights.reduce((sum, weight) => sum + weight, 0);
  let left = amount;
  const last = weights.findLastIndex((weight) => weight > 0);
  return weights.map((weight, at) => {
    const share = at === last ? left : binomial(left, weight / rest, random);
    rest -= weight;
    left -= share;
    return share;
  });
}
