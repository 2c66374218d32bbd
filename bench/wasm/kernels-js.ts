// The JavaScript that bench/wasm-kernels.ts compares with.

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

const primes = Array.from({ length: 312 }, (_, at) => at).filter(
  (n) => n > 1 && ![...Array(n).keys()].some((d) => d > 1 && n % d === 0),
);
const fraction = (value: number): number => Math.floor((value - Math.floor(value)) * 2 ** 32);
const constants = primes.slice(0, 64).map((prime) => fraction(Math.cbrt(prime)));
const initial = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

const rotate = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

function padded(data: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.ceil((data.length + 9) / 64) * 64);
  whole.set(data);
  whole[data.length] = 0x80;
  new DataView(whole.buffer).setBigUint64(whole.length - 8, BigInt(data.length) * 8n);
  return whole;
}

const hex = (words: ArrayLike<number>): string =>
  Array.from(words, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');

/** As the standard describes it, with lists. */
export function plainHash(data: Uint8Array): string {
  const whole = padded(data);
  const view = new DataView(whole.buffer);
  let state = initial;
  for (let block = 0; block < whole.length; block += 64) {
    const w: number[] = [];
    for (let t = 0; t < 64; t += 1) {
      if (t < 16) {
        w.push(view.getUint32(block + 4 * t));
        continue;
      }
      const [x = 0, y = 0] = [w[t - 15], w[t - 2]];
      const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
      const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
      w.push(((w[t - 16] ?? 0) + s0 + (w[t - 7] ?? 0) + s1) | 0);
    }
    let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
    for (let t = 0; t < 64; t += 1) {
      const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (constants[t] ?? 0) + (w[t] ?? 0)) | 0;
      const t2 = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state = [a, b, c, d, e, f, g, h].map((word, at) => (word + (state[at] ?? 0)) | 0);
  }
  return hex(state);
}

const K = Int32Array.from(constants);

/** Integers in a typed array that is used again, no destructuring. */
export function tunedHash(data: Uint8Array): string {
  const whole = padded(data);
  const state = Int32Array.from(initial);
  const w = new Int32Array(64);
  for (let block = 0; block < whole.length; block += 64) compress(state, w, whole, block);
  return hex(state);
}

function compress(state: Int32Array, w: Int32Array, bytes: Uint8Array, block: number): void {
  for (let t = 0, at = block; t < 16; t += 1, at += 4)
    w[t] =
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number);
  for (let t = 16; t < 64; t += 1) {
    const x = w[t - 15] as number;
    const y = w[t - 2] as number;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[t] = ((w[t - 16] as number) + s0 + (w[t - 7] as number) + s1) | 0;
  }
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  let e = state[4] as number;
  let f = state[5] as number;
  let g = state[6] as number;
  let h = state[7] as number;
  for (let t = 0; t < 64; t += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + (g ^ (e & (f ^ g))) + (K[t] as number) + (w[t] as number)) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) | (c & (a | b)))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] = (state[0] as number) + a;
  state[1] = (state[1] as number) + b;
  state[2] = (state[2] as number) + c;
  state[3] = (state[3] as number) + d;
  state[4] = (state[4] as number) + e;
  state[5] = (state[5] as number) + f;
  state[6] = (state[6] as number) + g;
  state[7] = (state[7] as number) + h;
}

function bell(radius: number): number[] {
  const sigma = 0.3 * (radius - 1) + 0.8;
  const values = Array.from({ length: radius + 1 }, (_, k) => Math.exp(-(k * k) / (2 * sigma * sigma)));
  const total = values.reduce((sum, value, k) => sum + (k === 0 ? value : 2 * value), 0);
  const weights = values.map((value) => Math.round((value / total) * 65_536));
  weights[0] = 65_536 - 2 * weights.slice(1).reduce((sum, value) => sum + value, 0);
  return weights;
}

/** For each sample the sum over its neighbours, through a function that gives a sample with the edges clamped. */
export function plainBlur(pixels: Uint8Array, width: number, height: number, radius: number): Uint8Array {
  const weights = bell(radius);
  const pass = (source: ArrayLike<number>, dx: number, dy: number, half: number, scale: number): number[] => {
    const sample = (x: number, y: number, channel: number): number =>
      source[(Math.min(Math.max(y, 0), height - 1) * width + Math.min(Math.max(x, 0), width - 1)) * 4 + channel] ?? 0;
    const out: number[] = [];
    for (let y = 0; y < height; y += 1)
      for (let x = 0; x < width; x += 1)
        for (let channel = 0; channel < 4; channel += 1) {
          let sum = 0;
          for (let k = -radius; k <= radius; k += 1)
            sum += (weights[Math.abs(k)] ?? 0) * sample(x + k * dx, y + k * dy, channel);
          out.push(Math.floor((sum + half) / scale));
        }
    return out;
  };
  return Uint8Array.from(pass(pass(pixels, 1, 0, 256, 512), 0, 1, 2 ** 22, 2 ** 23));
}

/** Integers, padded rows instead of clamping, whole rows at once downwards. */
export function tunedBlur(pixels: Uint8Array, width: number, height: number, radius: number): Uint8Array {
  const weights = Int32Array.from(bell(radius));
  const stride = width * 4;
  const rows = new Uint16Array(stride * height);
  const row = new Uint8Array((width + 2 * radius) * 4);
  for (let y = 0; y < height; y += 1) {
    row.set(pixels.subarray(y * stride, (y + 1) * stride), radius * 4);
    for (let x = 0; x < radius; x += 1) {
      row.copyWithin(x * 4, radius * 4, radius * 4 + 4);
      row.copyWithin((radius + width + x) * 4, (radius + width - 1) * 4, (radius + width) * 4);
    }
    for (let at = 0; at < stride; at += 1) {
      const centre = at + radius * 4;
      let sum = 256 + (weights[0] as number) * (row[centre] as number);
      for (let k = 1; k <= radius; k += 1)
        sum = (sum + (weights[k] as number) * ((row[centre - 4 * k] as number) + (row[centre + 4 * k] as number))) | 0;
      rows[y * stride + at] = sum >> 9;
    }
  }
  const out = new Uint8Array(stride * height);
  const sums = new Int32Array(stride);
  for (let y = 0; y < height; y += 1) {
    sums.fill(1 << 22);
    for (let k = -radius; k <= radius; k += 1) {
      const weight = weights[Math.abs(k)] as number;
      const from = Math.min(Math.max(y + k, 0), height - 1) * stride;
      for (let at = 0; at < stride; at += 1)
        sums[at] = ((sums[at] as number) + weight * (rows[from + at] as number)) | 0;
    }
    for (let at = 0; at < stride; at += 1) out[y * stride + at] = (sums[at] as number) >> 23;
  }
  return out;
}

/** Three loops over lists of lists. */
export function plainMultiply(a: readonly number[][], b: readonly number[][]): number[][] {
  return a.map((row) =>
    Array.from({ length: b.length }, (_, column) => {
      let sum = 0;
      for (let k = 0; k < b.length; k += 1) sum += (row[k] ?? 0) * (b[k]?.[column] ?? 0);
      return sum;
    }),
  );
}

/** Typed arrays, in the order in which they lie in memory. */
export function tunedMultiply(a: Float64Array, b: Float64Array, n: number): Float64Array {
  const c = new Float64Array(n * n);
  for (let row = 0; row < n; row += 1)
    for (let k = 0; k < n; k += 1) {
      const factor = a[row * n + k] as number;
      for (let column = 0; column < n; column += 1)
        c[row * n + column] = (c[row * n + column] as number) + factor * (b[k * n + column] as number);
    }
  return c;
}
