// Kernels over OpenCL: with PoCL they run on any processor. CUDA is rewritten to it where there is no NVIDIA GPU.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { gpuCompute } from '../../../src/adapters/ml/compute/gpu-compute.ts';
import { gpuComputeType } from '../../../src/adapters/ml/compute/schema.ts';
import { probeDevices } from '../../../src/adapters/ml/device/devices.ts';
import { Processes } from '../../../src/adapters/ml/process/processes.ts';
import { compileSchema } from '../../../src/core/workflow/schema-check.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import type { AdapterContext } from '../../../src/ports/adapter.ts';
import { contextFor } from '../../compliance/adapter.ts';
import { withoutDevice, withoutNvrtc } from './devices.ts';

const processes = new Processes();
after(() => processes.close());

const skip = await withoutDevice('opencl');

/** Which of the languages, whose kernels are the same but for their words, runs on what. */
const device = (await probeDevices()).devices.some(({ kind }) => kind === 'cuda') ? undefined : 'opencl';

async function compute(params: JSONObject, others: Partial<AdapterContext> = {}): Promise<JSONObject> {
  const step = { id: 'kernels', type: 'gpu_compute', params };
  return gpuCompute(step, contextFor(step, undefined, others), { processes });
}

const failsWith =
  (code: string, text = /./) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof StepError, String(thrown));
    assert.equal(thrown.code, code, thrown.message);
    assert.match(thrown.message, text);
    return true;
  };

const add = {
  language: 'opencl',
  source:
    '__kernel void add(__global const float *a, __global const float *b, __global float *c, int n) {\n  int i = get_global_id(0);\n  if (i < n) c[i] = a[i] + b[i];\n}',
  grid: 2,
  block: 64,
  arguments: [
    { name: 'a', type: 'float32', data: Array.from({ length: 100 }, (_, index) => index / 4) },
    { name: 'b', type: 'float32', data: Array.from({ length: 100 }, (_, index) => index * 3) },
    { name: 'c', type: 'float32', size: 100, output: true },
    { type: 'int32', value: 100 },
  ],
} satisfies JSONObject;

const sums = Array.from({ length: 100 }, (_, index) => index / 4 + index * 3);

const cudaMatmul = `
#include "cuda_runtime.h"
#define TILE 16
extern "C" __global__ void matmul(const float* __restrict__ a, const float* __restrict__ b, float* c, int n) {
  __shared__ float left[TILE][TILE];
  __shared__ float right[TILE][TILE]; // both tiles
  int row = blockIdx.y * blockDim.y + threadIdx.y, column = blockIdx.x * TILE + threadIdx.x;
  float sum = 0.0f;
  for (int tile = 0; tile < (n + TILE - 1) / TILE; tile++) {
    int x = tile * TILE + threadIdx.x, y = tile * TILE + threadIdx.y;
    left[threadIdx.y][threadIdx.x] = row < n && x < n ? a[row * n + x] : 0.0f;
    right[threadIdx.y][threadIdx.x] = y < n && column < n ? b[y * n + column] : 0.0f;
    __syncthreads();
    for (int k = 0; k < TILE; k++) sum = fmaf(left[threadIdx.y][k], right[k][threadIdx.x], sum);
    __syncthreads();
  }
  if (row < n && column < n) c[row * n + column] = sum;
}`;

const cudaReduce = `
__device__ float half_of(float x) { return fabsf(x) * 0.5f; }
__global__ void reduce(const float *data, float *partial, unsigned int n) {
  extern __shared__ float scratch[];
  unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
  scratch[threadIdx.x] = i < n ? data[i] : 0.0f;
  __syncthreads();
  for (unsigned int stride = blockDim.x / 2; stride > 0; stride >>= 1) {
    if (threadIdx.x < stride) scratch[threadIdx.x] += scratch[threadIdx.x + stride];
    __syncthreads();
  }
  if (threadIdx.x == 0) partial[blockIdx.x] = scratch[0];
}
__global__ void total(const float *partial, float *sum, int *count, int n) {
  const float *p = partial;
  if (threadIdx.x < n) { atomicAdd(sum, half_of(*(p + threadIdx.x))); atomicAdd(count, 1); }
}`;

it('a schema says what can be asked for', () => {
  const check = compileSchema(gpuComputeType.params_schema ?? {});
  const base = { language: 'cuda', source: 'x', grid: 1, arguments: [{ type: 'int32', value: 1 }] };
  for (const entry of ['add', 'ns::add<float, 4>', undefined])
    assert.deepEqual(check(JSON.parse(JSON.stringify({ ...base, entry }))), []);
  for (const entry of ['a b', 'add<', '"', 'add()', `${'a'.repeat(300)}`])
    assert.notDeepEqual(check({ ...base, entry }), [], entry);
  assert.notDeepEqual(check({ ...base, defines: { X: '1 -I/etc' } }), []);
});

describe('OpenCL', { skip }, () => {
  it('adds vectors, and says where it ran', async () => {
    const { result, outputs, device, language, rewritten } = await compute(add);
    assert.deepEqual(result, sums);
    assert.deepEqual(outputs, { c: sums });
    assert.match(String((device as JSONObject).id), /^opencl:\d+$/);
    assert.deepEqual([language, rewritten], ['opencl', undefined]);
  });

  it('keeps a compiled program, and a warm process for the run', async () => {
    await compute(add);
    const { started } = processes.counts;
    const { cached } = await compute(add);
    assert.deepEqual([cached, processes.counts.started], [true, started]);
    // What another run left in memory is out of reach of its kernels.
    await compute(add, { run_id: 'another' });
    assert.equal(processes.counts.started, started + 1);
  });

  it('launches kernels one after the other over buffers that stay on the device', async () => {
    const source = `
      __kernel void grow(__global int *x, int by) { x[get_global_id(0)] += by; }
      __kernel void twice(__global int *x) { x[get_global_id(0)] *= 2; }`;
    const launches = Array.from({ length: 50 }, (_, index) =>
      index % 2 === 0 ? { entry: 'grow', arguments: ['x', { type: 'int32', value: index }] } : { entry: 'twice' },
    );
    const x = { name: 'x', type: 'int32', data: [1, 2, 3, 4], output: true };
    const { result } = await compute({ language: 'opencl', source, global: 4, arguments: [x], launches });
    const expected = [1, 2, 3, 4].map((value) =>
      launches.reduce((sum, _, index) => (index % 2 === 0 ? sum + index : sum * 2) | 0, value),
    );
    assert.deepEqual(result, expected);
  });

  it('takes and gives bytes and tensors of any type, with macros', async () => {
    const source = '__kernel void flip(__global TYPE *x) { x[get_global_id(0)] = FACTOR - x[get_global_id(0)]; }';
    const base = { language: 'opencl', source, global: [2, 1], defines: { TYPE: 'long', FACTOR: 10 } };
    const data = { base64: Buffer.from(BigInt64Array.of(3n, -4n).buffer).toString('base64') };
    const x = { name: 'x', type: 'int64', data, output: true, form: 'base64', shape: [2, 1] };
    const { outputs } = await compute({ ...base, arguments: [x] });
    const bytes = Buffer.from(BigInt64Array.of(7n, 14n).buffer).toString('base64');
    assert.deepEqual(outputs, { x: { dtype: 'int64', shape: [2, 1], data: { base64: bytes } } });
    const nested = { name: 'x', type: 'float64', data: [[1.5], [2]], output: true };
    const { result } = await compute({ ...base, defines: { TYPE: 'double', FACTOR: '1.25' }, arguments: [nested] });
    assert.deepEqual(result, [[-0.25], [-0.75]]);
  });

  it('names what does not compile with its line, and what does not fit', async () => {
    const broken = { ...add, source: add.source.replace('a[i] + b[i]', 'a[i] + nowhere') };
    await assert.rejects(compute(broken), failsWith('ML_COMPILE_ERROR', /line 3, column \d+: .*nowhere/));
    await assert.rejects(
      compute({ ...add, entry: 'missing' }),
      failsWith('ML_KERNEL_FAILED', /CL_INVALID_KERNEL_NAME/),
    );
    await assert.rejects(
      compute({ ...add, arguments: add.arguments.slice(0, 3) }),
      failsWith('INVALID_PARAMS', /takes 4 arguments, and 3/),
    );
    await assert.rejects(
      compute({ ...add, arguments: [...add.arguments.slice(0, 3), { type: 'float64', value: 1 }] }),
      failsWith('INVALID_PARAMS', /argument 4 of the kernel "add" is of float64, and the kernel takes int32/),
    );
    await assert.rejects(
      compute({ ...add, global: 100, grid: undefined as never, block: 64 }),
      failsWith('INVALID_PARAMS', /multiple/),
    );
    await assert.rejects(compute({ ...add, block: 1_000_000 }), failsWith('INVALID_PARAMS', /work items/));
  });

  it('takes only what the kernel takes, by type and place', async () => {
    const source = `
      __kernel void f(__global float *x, float by, __local int *s, __constant int *c);
      __kernel void f(__global float *x, float by, __local int *s, __constant int *c) {
        int i = get_local_id(0);
        s[i] = i;
        barrier(CLK_LOCAL_MEM_FENCE);
        x[i] += by * s[3 - i] + c[0];
      }`;
    const x = { name: 'x', type: 'float32', data: [1, 2, 3, 4], output: true };
    const by = { type: 'float32', value: 0.5 };
    const s = { type: 'int32', local: 4 };
    const c = { name: 'c', type: 'int32', data: [10] };
    const run = (...given: JSONObject[]): Promise<JSONObject> =>
      compute({ language: 'opencl', source, global: 4, local: 4, arguments: given });
    assert.deepEqual((await run(x, by, s, c)).result, [12.5, 13, 13.5, 14]);
    const bytes = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer).toString('base64');
    const raw = await run({ ...x, type: 'uint8', data: { base64: bytes }, form: 'base64' }, by, s, c);
    assert.equal(typeof raw.result, 'object');
    const refusals: [JSONObject[], RegExp][] = [
      [[{ ...x, type: 'float64' }, by, s, c], /argument 1 .* is of float64, and the kernel takes float32/],
      [[x, { type: 'int32', value: 1 }, s, c], /argument 2 .* is of int32, and the kernel takes float32/],
      [[x, c, s, c], /as another buffer's/],
      [[by, x, s, c], /argument 1 .* must be a buffer/],
      [[x, by, c, s], /argument 3 .* must be local memory/],
      [[x, by, s, { type: 'int64', value: 1 }], /argument 4 .* must be a buffer/],
    ];
    for (const [given, expected] of refusals)
      await assert.rejects(run(...given), failsWith('INVALID_PARAMS', expected));
    await assert.rejects(run(x, by, { ...s, local: 2 ** 22 }, c), failsWith('ML_OUT_OF_MEMORY', /local memory/));
    const outputs = Array.from({ length: 5 }, (_, index) => ({
      name: `o${index}`,
      type: 'uint8',
      size: 256 * 1024 * 1024,
      output: true,
    }));
    await assert.rejects(run(...outputs), failsWith('ML_TENSOR_TOO_LARGE', /outputs of 1342177280 bytes/));
  });

  it('reads no files of the machine', async () => {
    for (const line of [
      '#include "/etc/passwd"',
      '#define F </etc/passwd>\n#include F',
      '# \\\ninclude <../../etc/passwd>',
    ])
      await assert.rejects(
        compute({ ...add, source: `${line}\n${add.source}` }),
        failsWith('INVALID_PARAMS', /includes a file in line [12]/),
      );
  });

  it('foresees that memory will not do, and never takes a processor for a GPU', async () => {
    const huge = [{ name: 'x', type: 'uint8', size: 256 * 1024 * 1024, output: true }];
    const params = { ...add, arguments: huge };
    await assert.rejects(compute(params, { resources: { ram_mb: 128 } }), failsWith('ML_OUT_OF_MEMORY', /128 MiB/));
    if ((await probeDevices()).devices.every(({ isGpu }) => !isGpu))
      await assert.rejects(compute(add, { resources: { gpu: 1 } }), failsWith('ML_NO_GPU'));
    assert.deepEqual((await compute({ ...add, device: 'cpu' })).result, sums);
    await assert.rejects(compute({ ...add, device: 'opencl:99' }), failsWith('ML_NO_DEVICE', /opencl:0/));
  });

  it('a kernel that writes where it must not, and one that never ends, cost their step only', async () => {
    const wild = { ...add, source: add.source.replace('c[i] =', 'c[i + 100000000000L] =') };
    await assert.rejects(compute(wild), failsWith('ML_PROCESS_CRASHED'));
    const endless = { ...add, source: add.source.replace('if (i < n)', 'volatile int go = 1; while (go);') };
    const late = new StepError('STEP_TIMEOUT', 'too long');
    const stop = new AbortController();
    setTimeout(() => stop.abort(late), 1500);
    await assert.rejects(compute(endless, { signal: stop.signal }), (thrown) => thrown === late);
    assert.deepEqual((await compute(add)).result, sums);
  });
});

describe('CUDA', { skip: device === undefined ? withoutNvrtc() : skip }, () => {
  const base = { language: 'cuda', ...(device === undefined ? {} : { device }) };

  it('multiplies matrices by tiles in shared memory', async () => {
    const n = 40;
    const a = Array.from({ length: n * n }, (_, index) => (index % 7) - 3);
    const b = Array.from({ length: n * n }, (_, index) => (index % 5) - 2);
    const { result, rewritten } = await compute({
      ...base,
      source: cudaMatmul,
      grid: [3, 3],
      block: [16, 16],
      arguments: [
        { name: 'a', type: 'float32', data: a },
        { name: 'b', type: 'float32', data: b },
        { name: 'c', type: 'float32', size: n * n, output: true, shape: [n, n] },
        { type: 'int32', value: n },
      ],
    });
    const expected = Array.from({ length: n }, (_, row) =>
      Array.from(
        { length: n },
        (_, column) =>
          Array.from({ length: n }, (_, k) => (a[row * n + k] ?? 0) * (b[k * n + column] ?? 0)).reduce(
            (x, y) => x + y,
            0,
          ) + 0,
      ),
    );
    assert.deepEqual(result, expected);
    assert.equal(rewritten, device === undefined ? undefined : true);
  });

  it('reduces through dynamic shared memory, atomics and two launches', async () => {
    const data = Array.from({ length: 1000 }, (_, index) => index % 10);
    const { outputs } = await compute({
      ...base,
      source: cudaReduce,
      arguments: [
        { name: 'data', type: 'float32', data },
        { name: 'partial', type: 'float32', size: 8, output: true },
        { name: 'sum', type: 'float32', size: 1, output: true },
        { name: 'count', type: 'int32', size: 1, output: true },
      ],
      launches: [
        {
          entry: 'reduce',
          grid: 8,
          block: 128,
          shared_bytes: 512,
          arguments: ['data', 'partial', { type: 'uint32', value: 1000 }],
        },
        { entry: 'total', grid: 1, block: 32, arguments: ['partial', 'sum', 'count', { type: 'int32', value: 8 }] },
      ],
    });
    const partial = Array.from({ length: 8 }, (_, block) =>
      data.slice(block * 128, (block + 1) * 128).reduce((x, y) => x + y, 0),
    );
    assert.deepEqual(outputs, { partial, sum: [2250], count: [8] });
  });

  it('has the types, constants, structures and functions of C', async () => {
    const source = `
#include <stdint.h>
struct pair { float first; int second; };
__constant__ float weights[3] = {1.0f, 2.0f, 4.0f};
__device__ __forceinline__ float dot3(const float *x) { return x[0] * weights[0] + x[1] * weights[1] + x[2] * weights[2]; }
extern "C" __global__ void __launch_bounds__(64) mixed(const float *x, const uint8_t *bytes, float *out, long long *big, unsigned long long factor) {
  struct pair p;
  p.first = dot3(x + 3 * threadIdx.x);
  p.second = static_cast<int>(bytes[threadIdx.x]) % 7;
  float4 v = make_float4(p.first, 0.0f, 1.0f, 2.0f);
  const float *again = x;
  out[threadIdx.x] = fmaxf(v.x, v.w) + fminf(again[0], 0.5f) + (float)max(p.second, 2) + sqrtf(16.0f);
  big[threadIdx.x] = (long long)factor * bytes[threadIdx.x];
}`;
    const x = [1, 1, 1, 0, 2, 0.5];
    const bytes = [200, 5];
    const { outputs } = await compute({
      ...base,
      source,
      grid: 1,
      block: 2,
      arguments: [
        { name: 'x', type: 'float32', data: x },
        { name: 'bytes', type: 'uint8', data: bytes },
        { name: 'out', type: 'float32', size: 2, output: true },
        { name: 'big', type: 'int64', size: 2, output: true },
        { type: 'uint64', value: 10_000_000_000 },
      ],
    });
    assert.deepEqual(outputs, { out: [7 + 0.5 + 4 + 4, 6 + 0.5 + 5 + 4], big: [2_000_000_000_000, 50_000_000_000] });
  });

  it('names errors with the lines of the source as it was given', async () => {
    const source = '// one\n/* two\nthree */\n__global__ void f(float *x) {\n  x[0] = nowhere;\n}';
    const args = [{ name: 'x', type: 'float32', size: 1, output: true }];
    await assert.rejects(
      compute({ ...base, source, grid: 1, block: 1, arguments: args }),
      failsWith('ML_COMPILE_ERROR', /line 5.*nowhere/),
    );
  });

  it('checks arguments against the source', async () => {
    const args = [
      { name: 'c', type: 'float32', size: 1, output: true },
      { type: 'int32', value: 1 },
    ];
    const params = { ...base, source: '__global__ void f(float *x, int n) {}', grid: 1, block: 1 };
    await assert.rejects(compute({ ...params, arguments: args.slice(0, 1) }), failsWith('INVALID_PARAMS', /takes 2/));
    await assert.rejects(
      compute({ ...params, arguments: args.toReversed() }),
      failsWith('INVALID_PARAMS', /must be a buffer/),
    );
  });

  it('says what only an NVIDIA GPU can run', { skip: device === undefined && 'there is one here' }, async () => {
    const source =
      '\ntemplate <typename T> __device__ T two() { return 2; }\n__global__ void f(float *x) { *x = two<float>(); }';
    const args = [{ name: 'x', type: 'float32', size: 1, output: true }];
    const params = { ...base, source, grid: 1, block: 1, arguments: args };
    await assert.rejects(compute(params), failsWith('ML_CUDA_NOT_PORTABLE', /line 2 has a template/));
  });
});
