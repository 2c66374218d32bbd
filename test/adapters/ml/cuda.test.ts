// CUDA: compiled wherever NVIDIA's compiler is, run where there is a GPU.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { gpuCompute } from '../../../src/adapters/ml/compute/gpu-compute.ts';
import type { CudaImage } from '../../../src/adapters/ml/device/nvrtc.ts';
import { Processes } from '../../../src/adapters/ml/process/processes.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import type { AdapterContext } from '../../../src/ports/adapter.ts';
import { contextFor } from '../../compliance/adapter.ts';
import { withoutDevice, withoutNvrtc } from './devices.ts';

const noCompiler = withoutNvrtc();
const noGpu = await withoutDevice('cuda');

const processes = new Processes();
after(() => processes.close());
const { signal } = new AbortController();

const source = `
extern "C" __global__ void add(const float *a, const float *b, float *c, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i] * FACTOR;
}
template <int width> __device__ float wide(float x) { return x * width; }
__global__ void mangled(float *x) { x[threadIdx.x] = wide<4>(x[threadIdx.x]); }`;

const compile = (others: object): Promise<CudaImage> =>
  processes.call(
    'cuda',
    'cuda:0',
    {
      method: 'compile',
      args: { source, defines: { FACTOR: '2' }, entries: ['add', 'mangled'], capability: 90, ...others },
    },
    { signal },
  ) as Promise<CudaImage>;

const failsWith =
  (code: string, text: RegExp) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof StepError, String(thrown));
    assert.equal(thrown.code, code, thrown.message);
    assert.match(thrown.message, text);
    return true;
  };

describe('NVRTC', { skip: noCompiler }, () => {
  it('compiles CUDA C++ to code of a device, without one', async () => {
    const { bytes, form, names } = await compile({});
    assert.equal(form, 'cubin');
    // A CUBIN is an ELF file.
    assert.deepEqual([...bytes.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);
    assert.equal(names.add, 'add');
    assert.match(String(names.mangled), /^_Z7mangledPf$/);
    assert.ok(Buffer.from(bytes).includes('_Z7mangledPf'));
  });

  it('gives a device newer than itself PTX, which its driver compiles on', async () => {
    const { bytes, form } = await compile({ capability: 999 });
    assert.equal(form, 'ptx');
    assert.match(Buffer.from(bytes).toString('latin1'), /\.visible \.entry add\(/);
  });

  it('has the headers that kernels name out of habit', async () => {
    const habits = `#include <cuda_runtime.h>
#include <stdint.h>
#include <cmath>
#include <cfloat>
#include <climits>
#include <cstdio>
#include <math_constants.h>
#include "device_launch_parameters.h"
__global__ void k(float *x, int64_t *n) {
  static_assert(sizeof(int64_t) == 8 && sizeof(uint8_t) == 1 && sizeof(uint16_t) == 2 && INT_MIN < 0, "");
  x[0] = M_PI + FLT_MAX + CUDART_PI_F + INFINITY;
  n[0] = INT64_MAX;
  printf("%d", UINT_MAX);
}`;
    assert.equal((await compile({ source: habits, entries: ['k'] })).form, 'cubin');
  });

  it('compiles the instance of a template, and a kernel of a namespace', async () => {
    const generic = 'namespace ns { template <typename T> __global__ void add(T *a, T b) { a[threadIdx.x] += b; } }';
    const { names } = await compile({ source: generic, entries: ['ns::add<float>', 'ns::add<int>'] });
    assert.deepEqual(names, { 'ns::add<float>': '_ZN2ns3addIfEEvPT_S1_', 'ns::add<int>': '_ZN2ns3addIiEEvPT_S1_' });
  });

  it('names errors with their lines', async () => {
    const broken = source.replace('b[i] *', 'nowhere *');
    await assert.rejects(
      compile({ source: broken }),
      failsWith('ML_COMPILE_ERROR', /line 4: identifier "nowhere" is undefined/),
    );
    await assert.rejects(compile({ entries: ['missing'] }), failsWith('ML_COMPILE_ERROR', /missing/));
    await assert.rejects(compile({ source: '#error "no"' }), failsWith('ML_COMPILE_ERROR', /line 1: .*no/));
  });
});

describe('an NVIDIA GPU', { skip: noGpu || noCompiler }, () => {
  const compute = (params: JSONObject, others: Partial<AdapterContext> = {}): Promise<JSONObject> => {
    const step = { id: 'kernels', type: 'gpu_compute', params: { language: 'cuda', device: 'cuda', ...params } };
    return gpuCompute(step, contextFor(step, undefined, { resources: { gpu: 1 }, ...others }), { processes });
  };
  const add = {
    source,
    entry: 'add',
    defines: { FACTOR: 2 },
    grid: 4,
    block: 256,
    arguments: [
      { name: 'a', type: 'float32', data: Array.from({ length: 1000 }, (_, index) => index) },
      { name: 'b', type: 'float32', data: Array.from({ length: 1000 }, (_, index) => index / 2) },
      { name: 'c', type: 'float32', size: 1000, output: true },
      { type: 'int32', value: 1000 },
    ],
  } satisfies JSONObject;
  const sums = Array.from({ length: 1000 }, (_, index) => index * 2);

  it('adds vectors, exactly, and says that it ran there', async () => {
    const { result, device, rewritten } = await compute(add);
    assert.deepEqual(result, sums);
    assert.equal((device as JSONObject).kind, 'cuda');
    assert.equal(rewritten, undefined);
  });

  it('recovers from an access outside of memory, and from a kernel that never ends', async () => {
    const wild = { ...add, source: source.replace('c[i] =', 'c[i + 100000000000L] =') };
    await assert.rejects(compute(wild), failsWith('ML_KERNEL_FAILED', /CUDA_ERROR_ILLEGAL_ADDRESS/));
    assert.deepEqual((await compute(add)).result, sums);
    const late = new StepError('STEP_TIMEOUT', 'too long');
    const stop = new AbortController();
    setTimeout(() => stop.abort(late), 2000);
    const endless = { ...add, source: source.replace('if (i < n)', 'volatile int go = 1; while (go);') };
    await assert.rejects(compute(endless, { signal: stop.signal }), (thrown) => thrown === late);
    assert.deepEqual((await compute(add)).result, sums);
  });

  it('refuses buffers that do not fit', async () => {
    const huge = { name: 'huge', type: 'uint8', size: 2 * 1024 * 1024 };
    const launches = [{ arguments: ['a', 'b', 'c', { type: 'int32', value: 1000 }] }];
    const params = { ...add, arguments: [...add.arguments, huge], launches };
    const resources = { gpu: 1, gpu_memory_mb: 1 };
    await assert.rejects(compute(params, { resources }), failsWith('ML_OUT_OF_MEMORY', /there are 1 MiB/));
  });
});
