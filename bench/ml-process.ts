// Processes of the ML adapter, and kernels on every device that there is.
// Options: --calls N
//
// Wall clock, so a loaded machine shows. Cold starts include that the process strips the types of its sources, which the built package need not.
import { existsSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { nvrtcFile } from '../scripts/servers/nvrtc.ts';
import { gpuCompute } from '../src/adapters/ml/compute/gpu-compute.ts';
import { type Device, probeDevices } from '../src/adapters/ml/device/devices.ts';
import { Processes } from '../src/adapters/ml/process/processes.ts';
import { messageOf } from '../src/lib/errors.ts';
import type { JSONObject, JSONValue } from '../src/lib/json.ts';
import { contextFor } from '../test/compliance/adapter.ts';

const { values } = parseArgs({ options: { calls: { type: 'string', default: '2000' } } });
const calls = Number(values.calls);
const never = new AbortController().signal;
const programs = new URL('../test/adapters/ml/programs/', import.meta.url);
if (existsSync(nvrtcFile)) process.env.JSONFLOW_NVRTC ??= nvrtcFile;

const at = (times: number[], share: number): string =>
  (times.toSorted((a, b) => a - b)[Math.floor((times.length - 1) * share)] ?? Number.NaN).toFixed(3);
const told = (times: number[]): string => `p50 ${at(times, 0.5)} ms, p95 ${at(times, 0.95)} ms, max ${at(times, 1)} ms`;

async function repeat(count: number, body: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const from = performance.now();
    await body();
    times.push(performance.now() - from);
  }
  return times;
}

async function measureProcesses(): Promise<void> {
  const pool = new Processes({ programs });
  const call = (method: string, args: unknown, signal = never): Promise<unknown> =>
    pool.call('onnx', 'cpu', { method, args }, { signal });
  const crash = async (): Promise<void> => {
    await call('fault', null).catch(() => undefined);
    await call('echo', 1);
  };
  const kill = async (): Promise<void> => {
    const stop = new AbortController();
    const hanging = call('hang', null, stop.signal).catch(() => undefined);
    stop.abort();
    await hanging;
  };
  console.log(`cold start and first call   ${told(await repeat(1, () => call('echo', 1)))}`);
  console.log(`warm call                   ${told(await repeat(calls, () => call('echo', { input: 1 })))}`);
  const megabyte = new Float32Array(256 * 1024);
  console.log(`warm call, 1 MiB both ways  ${told(await repeat(200, () => call('echo', megabyte)))}`);
  console.log(`a crash, and a new process  ${told(await repeat(10, crash))}`);
  console.log(`a kill, until the error     ${told(await repeat(10, kill))}`);
  await pool.close();
}

const launches = 20;
const size = 1024;
const length = 16 * 1024 * 1024;
const cudaSource = `
extern "C" __global__ void add(const float *a, const float *b, float *c) {
  unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
  c[i] = a[i] + b[i];
}
extern "C" __global__ void matmul(const float *a, const float *b, float *c, int n) {
  __shared__ float left[16][16], right[16][16];
  int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * 16 + y, column = blockIdx.x * 16 + x;
  float sum = 0.0f;
  for (int tile = 0; tile < n; tile += 16) {
    left[y][x] = a[row * n + tile + x];
    right[y][x] = b[(tile + y) * n + column];
    __syncthreads();
    for (int k = 0; k < 16; k++) sum += left[y][k] * right[k][x];
    __syncthreads();
  }
  c[row * n + column] = sum;
}`;

async function measureKernels({ id, name }: Device, pool: Processes): Promise<void> {
  const compute = (params: JSONObject): Promise<JSONObject> => {
    const step = {
      id: 'bench',
      type: 'gpu_compute',
      params: { language: 'cuda', source: cudaSource, device: id, ...params },
    };
    return gpuCompute(step, contextFor(step), { processes: pool });
  };
  const float = (buffer: string, count: number): JSONObject => ({ name: buffer, type: 'float32', size: count });
  const done = { name: 'done', type: 'float32', size: 1, output: true };
  const vectors = [float('a', length), float('b', length), float('c', length)];
  const matrices = [float('a', size ** 2), float('b', size ** 2), float('c', size ** 2)];
  const small = [float('a', 64), float('b', 64), { ...float('c', 64), output: true }];
  const all = ['a', 'b', 'c'];
  console.log(`\n${id} ${name}`);
  const step = { entry: 'add', grid: 1, block: 64, arguments: small };
  await compute(step);
  console.log(`gpu_compute, 64 elements    ${told(await repeat(200, () => compute(step)))}`);
  /** Ms of one of many launches, once all is compiled: the start and the end are shared. */
  const launchMs = async (
    entry: string,
    shape: JSONObject,
    buffers: JSONObject[],
    args: JSONValue[],
  ): Promise<number> => {
    const params = { entry, ...shape, arguments: [...buffers, done] };
    await compute({ ...params, launches: [{ arguments: args }] });
    const list = Array.from({ length: launches }, () => ({ arguments: args }));
    return Number((await compute({ ...params, launches: list })).run_ms) / launches;
  };
  const addMs = await launchMs('add', { grid: length / 256, block: 256 }, vectors, all);
  console.log(`vector add                  ${addMs.toFixed(3)} ms, ${((length * 12) / addMs / 1e6).toFixed(1)} GB/s`);
  const n = [{ type: 'int32', value: size }];
  const groups = { grid: [size / 16, size / 16], block: [16, 16] };
  const matmulMs = await launchMs('matmul', groups, matrices, [...all, ...n]);
  console.log(
    `tiled matmul of ${size}        ${matmulMs.toFixed(3)} ms, ${((2 * size ** 3) / matmulMs / 1e6).toFixed(1)} GFLOP/s`,
  );
}

console.log(
  `Node ${process.version}, load ${loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')}\n`,
);
await measureProcesses();
const { devices } = await probeDevices();
const pool = new Processes();
for (const device of devices.filter(({ kind }) => kind === 'cuda' || kind === 'opencl'))
  await measureKernels(device, pool).catch((error: unknown) => console.log(`${device.id}: ${messageOf(error)}`));
await pool.close();
