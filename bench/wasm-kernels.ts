// WebAssembly beside JavaScript, one thread: SHA-256, an image filter, a product of matrices.
//
// Baselines, all in this file: "plain" is how most people write it, "tuned" uses typed arrays, integers and no allocation in loops. Every
// variant computes the same result, which is checked. Times are medians of rounds in which the variants take turns.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { meter } from '../src/adapters/wasm/meter/meter.ts';
import * as js from './wasm/kernels-js.ts';

type Call = (...args: number[]) => number | bigint;

interface Kernel {
  name: string;
  claimed: number;
  variants: Record<string, () => string>;
}

const rounds = 7;
const file = (path: string): URL => new URL(`../${path}`, import.meta.url);

interface Guest {
  call: (name: string, ...args: number[]) => number | bigint;
  memory: () => ArrayBuffer;
}

const fuel = 2n ** 62n;

function guest(name: string, rewrite?: (bytes: Uint8Array) => Uint8Array): Guest {
  const bytes: Uint8Array = readFileSync(fileURLToPath(file(`modules/${name}.wasm`)));
  const module = new WebAssembly.Module((rewrite === undefined ? bytes : rewrite(bytes)) as Uint8Array<ArrayBuffer>);
  const refuse = (): never => {
    throw new Error(`${name} refused its arguments`);
  };
  const { exports } = new WebAssembly.Instance(module, {
    wasi_snapshot_preview1: { fd_write: () => 0, proc_exit: refuse },
  });
  const global = (key: string): WebAssembly.Global => exports[key] as WebAssembly.Global;
  return {
    call: (key, ...args) => {
      if (rewrite !== undefined) {
        global('jsonflow:fuel').value = fuel;
        (exports['jsonflow:depth'] as WebAssembly.Global).value = 1_000;
      }
      return (exports[key] as Call)(...args);
    },
    memory: () => (exports.memory as WebAssembly.Memory).buffer as ArrayBuffer,
  };
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function wasmHash(module: Guest, data: Uint8Array): () => string {
  const pointer = Number(module.call('alloc', data.length));
  new Uint8Array(module.memory()).set(data, pointer);
  return () => {
    const packed = module.call('process', pointer, data.length) as bigint;
    const start = Number(BigInt.asUintN(32, packed >> 32n));
    const text = Buffer.from(module.memory(), start + 1, 64).toString();
    module.call('dealloc', start, 66);
    return text;
  };
}

function wasmBlur(module: Guest, pixels: Uint8Array, width: number, height: number, radius: number): () => string {
  const pointer = Number(module.call('alloc', pixels.length));
  return () => {
    new Uint8Array(module.memory()).set(pixels, pointer);
    module.call('blur_pixels', pointer, width, height, radius);
    return digest(new Uint8Array(module.memory(), pointer, pixels.length));
  };
}

function wasmMultiply(module: Guest, a: Float64Array, b: Float64Array, n: number): () => string {
  const size = n * n * 8;
  const pointer = Number(module.call('room', 3 * size));
  new Float64Array(module.memory(), pointer, n * n).set(a);
  new Float64Array(module.memory(), pointer + size, n * n).set(b);
  return () => {
    module.call('multiply', pointer, pointer + size, pointer + 2 * size, n);
    return digest(new Uint8Array(module.memory(), pointer + 2 * size, size));
  };
}

type Meters = Record<string, ((bytes: Uint8Array) => Uint8Array) | undefined>;

const overMeters = (meters: Meters, make: (rewrite: Meters[string]) => () => string): Record<string, () => string> =>
  Object.fromEntries(Object.entries(meters).map(([name, rewrite]) => [name, make(rewrite)]));

function kernels(meters: Meters): Kernel[] {
  const data = new Uint8Array(16 * 1024 * 1024).map((_, at) => at * 31 + (at >> 8));
  const [width, height, radius] = [1_280, 720, 5];
  const pixels = new Uint8Array(width * height * 4).map((_, at) => (at % 4 === 3 ? 255 : (at * 7) ^ (at >> 9)));
  const n = 384;
  const a = new Float64Array(n * n).map((_, at) => (at % 97) / 7);
  const b = new Float64Array(n * n).map((_, at) => (at % 89) / 11);
  const lists = (matrix: Float64Array): number[][] =>
    Array.from({ length: n }, (_, row) => [...matrix.subarray(row * n, (row + 1) * n)]);
  const [listA, listB] = [lists(a), lists(b)];
  const numbers = (matrix: Float64Array): string => digest(new Uint8Array(matrix.buffer));
  return [
    {
      name: `SHA-256 of ${data.length / 2 ** 20} MiB`,
      claimed: 5.6,
      variants: {
        'JS plain': () => js.plainHash(data),
        'JS tuned': () => js.tunedHash(data),
        'node:crypto': () => digest(data),
        ...overMeters(meters, (rewrite) => wasmHash(guest('crypto_hash', rewrite), data)),
      },
    },
    {
      name: `Gaussian blur, radius ${radius}, ${width}×${height} RGBA`,
      claimed: 5.2,
      variants: {
        'JS plain': () => digest(js.plainBlur(pixels, width, height, radius)),
        'JS tuned': () => digest(js.tunedBlur(pixels, width, height, radius)),
        ...overMeters(meters, (rewrite) => wasmBlur(guest('image_processor', rewrite), pixels, width, height, radius)),
      },
    },
    {
      name: `matrices of ${n}×${n} f64`,
      claimed: 6.4,
      variants: {
        'JS plain': () => numbers(Float64Array.from(js.plainMultiply(listA, listB).flat())),
        'JS tuned': () => numbers(js.tunedMultiply(a, b, n)),
        ...overMeters(meters, (rewrite) => wasmMultiply(guest('matrix_multiply', rewrite), a, b, n)),
      },
    },
  ];
}

function measure({ name, claimed, variants }: Kernel): void {
  const times = new Map<string, number[]>();
  let expected: string | undefined;
  for (let round = 0; round < rounds; round += 1)
    for (const [variant, run] of Object.entries(variants)) {
      const began = process.cpuUsage();
      const result = run();
      const { user, system } = process.cpuUsage(began);
      expected ??= result;
      if (result !== expected) throw new Error(`${name}: ${variant} computes something else`);
      // The first round warms up.
      if (round > 0) times.set(variant, [...(times.get(variant) ?? []), (user + system) / 1_000]);
    }
  const ms = (variant: string): number => js.median(times.get(variant) ?? []);
  console.log(`\n${name} (claimed: ${claimed}×)`);
  for (const variant of times.keys())
    console.log(
      `  ${variant.padEnd(26)} ${ms(variant).toFixed(1).padStart(8)} ms   ${(ms('JS plain') / ms(variant)).toFixed(2).padStart(6)}× plain   ${(ms('JS tuned') / ms(variant)).toFixed(2).padStart(6)}× tuned`,
    );
  const holds = (base: string): string => (ms(base) / ms('WASM') >= claimed ? 'holds' : 'does not hold');
  console.log(`  ${claimed}×: ${holds('JS plain')} against plain JavaScript, ${holds('JS tuned')} against tuned`);
}

const policy = { memoryPagesMax: 16_384, tableElementsMax: 10_000, callDepthMax: 1_000 };
const metered =
  (canonicalNaN: boolean) =>
  (bytes: Uint8Array): Uint8Array =>
    meter(bytes, { ...policy, canonicalNaN }).bytes;
const meters: Meters = {
  WASM: undefined,
  'WASM, fuel': metered(false),
  'WASM, fuel, canonical NaN': metered(true),
};
console.log(`Node ${process.version}, ${availableParallelism()} cores; ms of CPU, median of ${rounds - 1} rounds`);
for (const kernel of kernels(meters)) measure(kernel);
