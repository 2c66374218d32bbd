import type { ImageResize } from './messages.ts';

/** Images as [outer, height, width, inner], row-major: `inner` are channels that lie beside one another, `outer` images, or their planes. */
export interface Extent {
  outer: number;
  height: number;
  width: number;
  inner: number;
}

/** What one place of the new axis is made of: elements of the old one from `first` on, by their weights. */
interface Taps {
  first: number;
  weights: Float64Array;
}

/**
 * Images in another size. Pixels' centres lie at half coordinates; `bilinear` weighs by a triangle, which grows with the shrinking unless
 * `antialias` is false: as Pillow and torchvision do it.
 */
export function resample(source: Float32Array | Uint8Array, from: Extent, to: ImageResize): Float32Array<ArrayBuffer> {
  const [x, y] = [from.width / to.width, from.height / to.height];
  const same = Math.min(x, y);
  const columns = tapsOf(from.width, to.width, to.fit === 'cover' ? same : x, to);
  const rows = tapsOf(from.height, to.height, to.fit === 'cover' ? same : y, to);
  const { outer, height, width, inner } = from;
  const narrowed = alongAxis(source, outer * height, width, inner, columns);
  return alongAxis(narrowed, outer, height, to.width * inner, rows);
}

/** @param scale elements of the old axis to one of the new, which shows the middle */
function tapsOf(from: number, to: number, scale: number, { method, antialias = true }: ImageResize): Taps[] {
  const cut = (from - to * scale) / 2;
  const spread = antialias ? Math.max(1, scale) : 1;
  return Array.from({ length: to }, (_, at): Taps => {
    if (method === 'nearest')
      return { first: Math.min(from - 1, Math.max(0, Math.floor(at * scale + cut))), weights: Float64Array.of(1) };
    const centre = (at + 0.5) * scale + cut;
    const first = Math.max(0, Math.floor(centre - spread + 0.5));
    const end = Math.min(from, Math.floor(centre + spread + 0.5));
    const weights = Float64Array.from({ length: end - first }, (__, tap) =>
      Math.max(0, 1 - Math.abs(first + tap + 0.5 - centre) / spread),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** Data of [outer, length, inner] with another length. */
function alongAxis(
  source: Float32Array | Uint8Array,
  outer: number,
  length: number,
  inner: number,
  taps: readonly Taps[],
): Float32Array<ArrayBuffer> {
  const target = new Float32Array(outer * taps.length * inner);
  let to = 0;
  for (let index = 0; index < outer; index += 1)
    for (const { first, weights } of taps) {
      let from = (index * length + first) * inner;
      for (const weight of weights) {
        for (let at = 0; at < inner; at += 1)
          target[to + at] = (target[to + at] ?? 0) + weight * (source[from + at] ?? 0);
        from += inner;
      }
      to += inner;
    }
  return target;
}
