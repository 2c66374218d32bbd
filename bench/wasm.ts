// The sandbox of the WebAssembly adapter: calls, cold starts, bytes through it.
// Options: --calls N, --mb N, --built dist
//
// Wall clock, so a loaded machine shows. Cold starts include that each thread strips the types of its sources, which the built package need not:
// `--built dist` measures that one.
import { loadavg } from 'node:os';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { CallInput } from '../src/adapters/wasm/abi/params.ts';
import type { Sandbox as SandboxType } from '../src/adapters/wasm/sandbox/sandbox.ts';
import { copier, orderOf, sampler } from '../test/adapters/wasm/sandbox-modules.ts';

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '5000' },
    mb: { type: 'string', default: '256' },
    built: { type: 'string' },
  },
});
const file =
  values.built === undefined
    ? new URL('../src/adapters/wasm/sandbox/sandbox.ts', import.meta.url)
    : pathToFileURL(resolve(values.built, 'adapters/wasm/sandbox/sandbox.js'));
const { Sandbox } = (await import(file.href)) as { Sandbox: typeof SandboxType };
const calls = Number(values.calls);
const megabytes = Number(values.mb);
const module = sampler();
const program = copier();

const sorted = (times: number[]): number[] => times.toSorted((a, b) => a - b);
const at = (times: number[], share: number): string =>
  (sorted(times)[Math.floor((times.length - 1) * share)] ?? Number.NaN).toFixed(3);
const told = (times: number[]): string => `p50 ${at(times, 0.5)} ms, p95 ${at(times, 0.95)} ms, max ${at(times, 1)} ms`;

async function timed(body: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await body();
  return performance.now() - from;
}

async function repeat(count: number, body: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) times.push(await body());
  return times;
}

/** A new sandbox's first call: the thread, the module and the instance. */
async function cold(): Promise<number> {
  const sandbox = new Sandbox({ threadsMax: 1 });
  const time = await timed(() => sandbox.call(orderOf(module, 'add', [1, 2])));
  await sandbox.close();
  return time;
}

/** From the signal to the caller's error. The thread's own end is waited for by the next call, on the only slot there is. */
async function kill(): Promise<{ told: number; ended: number }> {
  const sandbox = new Sandbox({ threadsMax: 1 });
  await sandbox.call(orderOf(module, 'add', [1, 2]));
  const stop = new AbortController();
  const spinning = sandbox.call(orderOf(module, 'spin', []), stop.signal).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const from = performance.now();
  stop.abort();
  await spinning;
  const heard = performance.now() - from;
  await sandbox.close();
  return { told: heard, ended: performance.now() - from };
}

function* chunks(size: number): Generator<CallInput> {
  const value = new Uint8Array(size).fill(120, 1);
  for (let sent = 0; sent < megabytes * 2 ** 20; sent += size) yield { kind: 'input', value };
}

async function throughput(sandbox: SandboxType, order: ReturnType<typeof orderOf>, size: number): Promise<string> {
  let bytes = 0;
  const time = await timed(async () => {
    for await (const piece of sandbox.stream({ ...order, chunkBytes: 65_536 }, chunks(size)))
      bytes += (piece as Uint8Array).length;
  });
  if (bytes < megabytes * 2 ** 20) throw new Error(`${bytes} bytes came back`);
  return `${Math.round(bytes / 1e6 / (time / 1_000))} MB/s`;
}

console.log(`load:             ${loadavg()[0]?.toFixed(1)}`);
const sandbox = new Sandbox({ threadsMax: 1 });
const order = orderOf(module, 'add', [1, 2]);
await repeat(500, () => timed(() => sandbox.call(order)));
console.log(`warm call:        ${told(await repeat(calls, () => timed(() => sandbox.call(order))))}`);
const json = orderOf(module, 'process', [], {
  plan: { abi: 'buffer' },
  input: {
    kind: 'args',
    args: { rows: Array.from({ length: 20 }, (_, id) => ({ id, name: 'x'.repeat(30) })) } as never,
  },
});
await repeat(500, () => timed(() => sandbox.call(json)));
console.log(`with 1 KB JSON:   ${told(await repeat(calls, () => timed(() => sandbox.call(json))))}`);
console.log(`cold:             ${told(await repeat(10, cold))}`);
const kills: Awaited<ReturnType<typeof kill>>[] = [];
for (let index = 0; index < 10; index += 1) kills.push(await kill());
console.log(`kill, caller:     ${told(kills.map((item) => item.told))}`);
console.log(`kill, thread:     ${told(kills.map((item) => item.ended))}`);
const fuel = 1n << 60n;
const buffer = orderOf(module, 'process', [], { plan: { abi: 'buffer', output: 'bytes' }, fuel });
const piped = orderOf(program, '_start', [], { plan: { abi: 'wasi-command' }, fuel });
for (const size of [4_096, 65_536]) {
  console.log(`buffer stream, ${size / 1_024} KiB: ${await throughput(sandbox, buffer, size)}`);
  console.log(`stdio stream, ${size / 1_024} KiB:  ${await throughput(sandbox, piped, size)}`);
}
await sandbox.close();
