import type { Picture } from './png.ts';

/** Pictures with areas, edges and noise; `alpha` gives each pixel's. */
export function picture(width: number, height: number, alpha: (at: number) => number = () => 255): Picture {
  const pixels = new Uint8Array(width * height * 4);
  let seed = width * 7_919 + height;
  for (let at = 0; at < width * height; at += 1) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    const [x, y] = [at % width, Math.floor(at / width)];
    pixels.set([x * 5, y * 3, (x >> 3) % 2 ? seed >>> 24 : 200, alpha(at)], at * 4);
  }
  return { width, height, pixels };
}

const clamp = (value: number, max: number): number => Math.min(Math.max(value, 0), max);

/** The blur as its definition says it, with Math.exp and without any of the module's shortcuts. */
export function blurred({ width, height, pixels }: Picture, radius: number): Picture {
  const sigma = 0.3 * (radius - 1) + 0.8;
  const bell = Array.from({ length: radius + 1 }, (_, k) => Math.exp(-(k * k) / (2 * sigma * sigma)));
  const total = bell.reduce((sum, value, k) => sum + (k === 0 ? value : 2 * value), 0);
  const weights = bell.map((value) => Math.floor((value / total) * 65_536 + 0.5));
  weights[0] = 65_536 - 2 * weights.slice(1).reduce((sum, value) => sum + value, 0);
  const weight = (k: number): number => weights[Math.abs(k)] ?? 0;
  const source = Uint8Array.from(pixels, (value, at) => {
    const alpha = pixels[at - (at % 4) + 3] ?? 0;
    return at % 4 === 3 || alpha === 255 ? value : Math.floor((value * alpha + 127) / 255);
  });
  const sums = new Float64Array(pixels.length);
  for (let at = 0; at < pixels.length; at += 1) {
    const [channel, x, y] = [at % 4, (at >> 2) % width, Math.floor(at / 4 / width)];
    let sum = 0;
    for (let k = -radius; k <= radius; k += 1)
      sum += weight(k) * (source[(y * width + clamp(x + k, width - 1)) * 4 + channel] ?? 0);
    sums[at] = Math.floor((sum + 256) / 512);
  }
  const out = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at += 1) {
    const y = Math.floor(at / 4 / width);
    let sum = 0;
    for (let k = -radius; k <= radius; k += 1)
      sum += weight(k) * (sums[at + (clamp(y + k, height - 1) - y) * width * 4] ?? 0);
    out[at] = Math.floor((sum + 2 ** 22) / 2 ** 23);
  }
  if (pixels.some((value, at) => at % 4 === 3 && value !== 255))
    for (let at = 0; at < out.length; at += 4) {
      const alpha = out[at + 3] ?? 0;
      for (let channel = at; channel < at + 3; channel += 1)
        if (alpha !== 255)
          out[channel] =
            alpha === 0 ? 0 : clamp(Math.floor(((out[channel] ?? 0) * 255 + Math.floor(alpha / 2)) / alpha), 255);
    }
  return { width, height, pixels: out };
}
