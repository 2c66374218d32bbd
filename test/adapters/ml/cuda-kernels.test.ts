// CUDA as its users write it: each kernel compiles as CUDA, where NVIDIA's compiler is, and gives exact results on any OpenCL device.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { gpuCompute } from '../../../src/adapters/ml/compute/gpu-compute.ts';
import { Processes } from '../../../src/adapters/ml/process/processes.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import { contextFor } from '../../compliance/adapter.ts';
import { withoutDevice, withoutNvrtc } from './devices.ts';

const processes = new Processes();
after(() => processes.close());
const skip = await withoutDevice('opencl');
const noCompiler = withoutNvrtc();

const range = (length: number, value = (index: number): number => index): number[] =>
  Array.from({ length }, (_, index) => value(index));
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

type Argument = JSONObject;
const given = (name: string, type: string, data: JSONValue): Argument => ({ name, type, data });
const both = (name: string, type: string, data: JSONValue): Argument => ({ name, type, data, output: true });
const out = (name: string, type: string, size: number): Argument => ({ name, type, size, output: true });
const scalar = (type: string, value: JSONValue): Argument => ({ type, value });

interface Kernel {
  source: string;
  grid?: number | number[];
  block: number | number[];
  shared_bytes?: number;
  arguments: Argument[];
  expected: JSONObject;
}

const image = range(64 * 48, (index) => (index * 7919) % 256);
const pixel = (x: number, y: number): number =>
  image[Math.min(Math.max(y, 0), 47) * 64 + Math.min(Math.max(x, 0), 63)] ?? 0;

const kernels: Record<string, Kernel> = {
  'saxpy with headers of habit and odd remarks': {
    source: `#include <cuda_runtime.h>
#include "device_launch_parameters.h"
#include <stdio.h>
#include <stdlib.h>
/* it's saxpy: don't "break" */
__global__
void saxpy(int n, float a, float *x, float *y)
{
  int i = blockIdx.x*blockDim.x + threadIdx.x;
  if (i < n) y[i] = a*x[i] + y[i]; // isn't it
}`,
    grid: 4,
    block: 256,
    arguments: [
      scalar('int32', 1000),
      scalar('float32', 2),
      given(
        'x',
        'float32',
        range(1000, (i) => i / 8),
      ),
      both(
        'y',
        'float32',
        range(1000, (i) => i % 13),
      ),
    ],
    expected: { y: range(1000, (i) => i / 4 + (i % 13)) },
  },
  'a loop over the grid with size_t': {
    source: `__global__ void k(const float* __restrict__ x, float* __restrict__ y, size_t n) {
  for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (size_t)blockDim.x * gridDim.x) y[i] = x[i] * 2.f;
}`,
    grid: 2,
    block: 32,
    arguments: [given('x', 'float32', range(1000)), out('y', 'float32', 1000), scalar('uint64', 1000)],
    expected: { y: range(1000, (i) => i * 2) },
  },
  'a histogram in shared memory': {
    source: `__global__ void histo(const unsigned char *data, unsigned int *histo, int n) {
  __shared__ unsigned int temp[256];
  temp[threadIdx.x] = 0;
  __syncthreads();
  for (int i = threadIdx.x + blockIdx.x * blockDim.x; i < n; i += blockDim.x * gridDim.x) atomicAdd(&temp[data[i]], 1);
  __syncthreads();
  atomicAdd(&(histo[threadIdx.x]), temp[threadIdx.x]);
}`,
    grid: 4,
    block: 256,
    arguments: [given('data', 'uint8', image), out('histo', 'uint32', 256), scalar('int32', image.length)],
    expected: { histo: range(256, (value) => image.filter((one) => one === value).length) },
  },
  'a stencil over an image': {
    source: `__global__ void blur(const float *in, float *out, const int w, const int h) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= w || y >= h) return;
  float sum = 0.0f;
  #pragma unroll
  for (int dy = -1; dy <= 1; ++dy)
    for (int dx = -1; dx <= 1; ++dx) sum += in[min(max(y + dy, 0), h - 1) * w + min(max(x + dx, 0), w - 1)];
  out[y * w + x] = sum / 8.0f;
}`,
    grid: [4, 3],
    block: [16, 16],
    arguments: [
      given('in', 'float32', image),
      out('out', 'float32', image.length),
      scalar('int32', 64),
      scalar('int32', 48),
    ],
    expected: {
      out: range(image.length, (at) => {
        const [x, y] = [at % 64, Math.floor(at / 64)];
        return sum(range(9, (index) => pixel(x + (index % 3) - 1, y + Math.floor(index / 3) - 1))) / 8;
      }),
    },
  },
  'a prefix sum by Blelloch': {
    source: `__global__ void prescan(float *g_odata, float *g_idata, int n)
{
  extern __shared__ float temp[];  // allocated on invocation
  int thid = threadIdx.x;
  int offset = 1;
  temp[2*thid] = g_idata[2*thid];
  temp[2*thid+1] = g_idata[2*thid+1];
  for (int d = n>>1; d > 0; d >>= 1) {
    __syncthreads();
    if (thid < d) { int ai = offset*(2*thid+1)-1; int bi = offset*(2*thid+2)-1; temp[bi] += temp[ai]; }
    offset *= 2;
  }
  if (thid == 0) { temp[n - 1] = 0; }
  for (int d = 1; d < n; d *= 2) {
    offset >>= 1;
    __syncthreads();
    if (thid < d) { int ai = offset*(2*thid+1)-1; int bi = offset*(2*thid+2)-1; float t = temp[ai]; temp[ai] = temp[bi]; temp[bi] += t; }
  }
  __syncthreads();
  g_odata[2*thid] = temp[2*thid];
  g_odata[2*thid+1] = temp[2*thid+1];
}`,
    block: 64,
    shared_bytes: 512,
    arguments: [
      out('o', 'float32', 128),
      given(
        'i',
        'float32',
        range(128, (i) => i % 5),
      ),
      scalar('int32', 128),
    ],
    expected: { o: range(128, (at) => sum(range(at, (i) => i % 5))) },
  },
  'a transposition by tiles of a constant length': {
    source: `const int TILE = 32;
static constexpr int ROWS = 32 / 4;
__global__ void transpose(float *odata, const float *idata) {
  __shared__ float tile[TILE][TILE + 1];
  int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y, width = gridDim.x * TILE;
  for (int j = 0; j < TILE; j += ROWS) tile[threadIdx.y+j][threadIdx.x] = idata[(y+j)*width + x];
  __syncthreads();
  x = blockIdx.y * TILE + threadIdx.x; y = blockIdx.x * TILE + threadIdx.y;
  for (int j = 0; j < TILE; j += ROWS) odata[(y+j)*width + x] = tile[threadIdx.x][threadIdx.y + j];
}`,
    grid: [2, 2],
    block: [32, 8],
    arguments: [out('o', 'float32', 4096), given('i', 'float32', range(4096))],
    expected: { o: range(4096, (at) => (at % 64) * 64 + Math.floor(at / 64)) },
  },
  'vectors of four and of two': {
    source: `__global__ void k(const float4 *p, float4 *q, int2 *r, uchar4 *c) {
  int i = threadIdx.x; float4 v = p[i]; v.x += 1.0f;
  q[i] = make_float4(v.w, v.z, v.y, v.x); r[i] = make_int2(i, i + 1); c[i] = make_uchar4(i, i+1, i+2, 255); }`,
    block: 2,
    arguments: [given('p', 'float32', range(8)), out('q', 'float32', 8), out('r', 'int32', 4), out('c', 'uint8', 8)],
    expected: { q: [3, 2, 1, 1, 7, 6, 5, 5], r: [0, 1, 1, 2], c: [0, 1, 2, 255, 1, 2, 3, 255] },
  },
  'vectors of three, which take the place of three': {
    source: `__global__ void k(float3 *v, float *o) {
  float3 a = v[threadIdx.x];
  o[threadIdx.x] = a.x + 10.f * a.y + 100.f * a.z + sizeof(float3);
  v[threadIdx.x] = make_float3(a.z, a.y, a.x); }`,
    block: 4,
    arguments: [both('v', 'float32', range(12)), out('o', 'float32', 4)],
    expected: {
      v: [2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9],
      o: range(4, (i) => 3 * i + 10 * (3 * i + 1) + 100 * (3 * i + 2) + 12),
    },
  },
  'structures whose members lie as in CUDA': {
    source: `struct S { double a; double4 v; };
__global__ void k(const S *s, double *o, longlong2 *l) { o[0] = s[0].v.w + s[1].a; double4 d = make_double4(1, 2, 3, 4); o[1] = d.z; l[0] = make_longlong2(1, 2); }`,
    block: 1,
    arguments: [
      given('s', 'uint8', [...new Uint8Array(Float64Array.of(1, 0, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10).buffer)]),
      out('o', 'float64', 2),
      out('l', 'int64', 2),
    ],
    expected: { o: [11, 3], l: [1, 2] },
  },
  'helpers that are given pointers to every memory': {
    source: `__constant__ float c[3] = { 1, 2, 3 };
__device__ float sum(const float *p, int n) {
  float s = 0;
  const float *q = p;
  for (int i = 0; i < n; i++) s += q[i];
  return s;
}
__device__ float twice(const float *p, int n) { return 2 * sum(p, n); }
__device__ void add(float *y, const float *x, int n) { for (int i = 0; i < n; i++) y[i] += x[i]; }
__global__ void k(const float *x, float *o) {
  __shared__ float s[3];
  float v[3] = { 10, 20, 30 };
  s[0] = 4; s[1] = 5; s[2] = 6;
  add(v, s, 3); add(s, x, 3); add(o + 8, v, 3);
  o[0] = sum(x, 3); o[1] = sum(s, 3); o[2] = sum(v, 3); o[3] = sum(c, 3); o[4] = twice(&s[1], 2); o[5] = twice(v + 1, 2);
  float w = 7;
  o[6] = sum(&w, 1); o[7] = sum(threadIdx.x ? x : x + 1, 2);
}`,
    block: 1,
    arguments: [given('x', 'float32', [1, 1, 1]), out('o', 'float32', 11)],
    expected: { o: [3, 18, 75, 6, 26, 122, 7, 2, 14, 25, 36] },
  },
  'one shared memory for two arrays': {
    source: `__global__ void k(const float *x, float *o, int n) {
  extern __shared__ float smem[];
  float *a = smem;
  float *b = (float *)&a[n];
  int t = threadIdx.x;
  a[t] = x[t]; b[t] = 2 * x[t];
  __syncthreads();
  o[t] = a[n - 1 - t] + b[t];
}`,
    block: 4,
    shared_bytes: 32,
    arguments: [given('x', 'float32', [1, 2, 3, 4]), out('o', 'float32', 4), scalar('int32', 4)],
    expected: { o: [6, 7, 8, 9] },
  },
  'dynamic shared memory outside of its kernel': {
    source: `extern __shared__ int sh[];
__global__ void k(int *o) { sh[threadIdx.x] = threadIdx.x; __syncthreads(); o[threadIdx.x] = sh[3 - threadIdx.x]; }`,
    block: 4,
    shared_bytes: 16,
    arguments: [out('o', 'int32', 4)],
    expected: { o: [3, 2, 1, 0] },
  },
  'integers of every width, wrapped as they are there': {
    source: `#include <cstdint>
__global__ void k(unsigned *a, unsigned int b, unsigned long long int *c, unsigned short *d, signed char *e, uint32_t *g, long *h, bool p) {
  int i = threadIdx.x;
  a[i] += b; c[i] = (unsigned long long)b << 62ULL; d[i] = (unsigned short)(b + 65535u); e[i] = i - 1; g[i] = i - 1; h[i] = 1L << 62;
  if (p) a[i]++;
}`,
    block: 2,
    arguments: [
      both('a', 'uint32', [1, 4294967295]),
      scalar('uint32', 3),
      out('c', 'uint64', 2),
      out('d', 'uint16', 2),
      out('e', 'int8', 2),
      out('g', 'uint32', 2),
      out('h', 'int64', 2),
      scalar('bool', true),
    ],
    expected: {
      a: [5, 3],
      c: ['13835058055282163712', '13835058055282163712'],
      d: [2, 2],
      e: [-1, 0],
      g: [4294967295, 0],
      h: ['4611686018427387904', '4611686018427387904'],
    },
  },
  'atomic functions of every type': {
    source: `__device__ double addDouble(double* address, double val) {
  unsigned long long int* address_as_ull = (unsigned long long int*)address;
  unsigned long long int old = *address_as_ull, assumed;
  do { assumed = old; old = atomicCAS(address_as_ull, assumed, __double_as_longlong(val + __longlong_as_double(assumed))); } while (assumed != old);
  return __longlong_as_double(old);
}
__global__ void k(int *most, unsigned long long *sum, float *floats, double *doubles, unsigned int *turns) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  atomicMax(most, i); atomicAdd(sum, (unsigned long long)i); atomicAdd(&floats[i & 1], 1.0f);
  atomicAdd(doubles, 0.5); addDouble(&doubles[1], 0.25); atomicInc(turns, 9); atomicSub(&turns[1], 1u);
}`,
    grid: 4,
    block: 64,
    arguments: [
      out('most', 'int32', 1),
      out('sum', 'uint64', 1),
      out('floats', 'float32', 2),
      out('doubles', 'float64', 2),
      out('turns', 'uint32', 2),
    ],
    expected: { most: [255], sum: [32640], floats: [128, 128], doubles: [128, 64], turns: [6, 4294967040] },
  },
  'the lesser and the greater of mixed types, and of none': {
    source: `__global__ void k(const unsigned short *b, float *o, int n, const float *x) {
  o[0] = min((int)b[0], 100); o[1] = max(n, 3); o[2] = fminf(x[0], 2); o[3] = fminf(x[1], 2); o[4] = min(x[1], 5.0f);
  o[5] = min(5.0f, x[1]); o[6] = max(x[1], x[0]); o[7] = sqrtf(n); o[8] = powf(2, n); o[9] = min(min(3, n), max(1, 2)); o[10] = abs(-n);
}`,
    block: 1,
    arguments: [
      given('b', 'uint16', [200]),
      out('o', 'float32', 11),
      scalar('int32', 4),
      given('x', 'float32', [7, 'NaN']),
    ],
    expected: { o: [100, 4, 2, 2, 5, 5, 7, 2, 16, 2, 4] },
  },
  'bits as other types, and conversions': {
    source: `__global__ void k(const float *x, unsigned *y, const double *d, long long *e, float *f) {
  int i = threadIdx.x;
  y[i] = __float_as_uint(x[i]); e[i] = __double_as_longlong(d[i]);
  f[i] = __int_as_float(__float_as_int(x[i])) + __float2int_rn(x[i]) + __popc(7) + __clz(1) + __saturatef(x[i]) + __frcp_rn(4.0f);
}`,
    block: 2,
    arguments: [
      given('x', 'float32', [1, 2.5]),
      out('y', 'uint32', 2),
      given('d', 'float64', [1, 2]),
      out('e', 'int64', 2),
      out('f', 'float32', 2),
    ],
    expected: {
      y: [0x3f800000, 0x40200000],
      e: ['4607182418800017408', '4611686018427387904'],
      f: [1 + 1 + 3 + 31 + 1 + 0.25, 2.5 + 2 + 3 + 31 + 1 + 0.25],
    },
  },
  'names that are words of OpenCL': {
    source: `__device__ float dot(const float *a, const float *b, int length) { float s = 0; for (int step = 0; step < length; step++) s += a[step] * b[step]; return s; }
__device__ float clamp(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }
__global__ void kernel(const float *x, float *local, float lambda) { int half = 2, global = 1; float distance = dot(x, x, half); local[0] = clamp(distance, 0.0f, lambda) + global; }`,
    block: 1,
    arguments: [given('x', 'float32', [1, 2]), out('o', 'float32', 1), scalar('float32', 4.5)],
    expected: { o: [5.5] },
  },
  'macros, a kernel that is declared first, and blocks of three axes': {
    source: `#define IDX(i, j, ld) (((j) * (ld)) + (i))
#define CHECK(x) do { if (!(x)) return; } while (0)
#define T float
extern "C" __global__ void k(T *x, int n);
extern "C" __device__ T one(T);
extern "C" { __global__ void k(T *x, int n) { uint3 b = blockIdx; dim3 d = blockDim; int i = threadIdx.x + 2 * threadIdx.y + 4 * threadIdx.z; CHECK(i < n); x[IDX(i, 0, n)] = one(i) + b.x + d.z; } }
extern "C" { __device__ T one(T x) { return x + 1; } }`,
    block: [2, 2, 2],
    arguments: [out('x', 'float32', 7), scalar('int32', 7)],
    expected: { x: range(7, (i) => i + 3) },
  },
  'characters, texts and casts of C++': {
    source: `#include <cstdio>
#include <cassert>
__global__ void k(char *o, int *p, const float *a, float *b) {
  o[0] = '"'; p[0] = 1; // it's "odd
  o[1] = '\\''; /* " */ p[1] = static_cast<int>(a[3]) % 2; o[2] = '/';
  printf("hello %d template <x> /* class \\n", p[0]);
  assert(p != NULL);
  reinterpret_cast<float4*>(b)[0] = reinterpret_cast<const float4*>(a)[1];
  p[2] = int(a[2]);
}`,
    block: 1,
    arguments: [out('o', 'int8', 3), out('p', 'int32', 3), given('a', 'float32', range(8)), out('b', 'float32', 4)],
    expected: { o: [34, 39, 47], p: [1, 1, 2], b: [4, 5, 6, 7] },
  },
};

const refused: Record<string, [string, RegExp]> = {
  'a template': ['template <typename T> __global__ void k(T *o) { o[0] = 1; }', /line 1 has a template/],
  'a shuffle': [
    '__global__ void k(int *o) {\n  o[0] = __shfl_down_sync(~0u, o[0], 1); }',
    /line 2 has operations of a warp/,
  ],
  'a warp in step': [
    '__device__ void reduce(volatile int *s, int t) { s[t] += s[t + 32]; }\n__global__ void k(int *o) { __shared__ int s[64]; reduce(s, threadIdx.x); o[0] = s[0]; }',
    /line 1 has volatile memory/,
  ],
  'a reference': [
    '__device__ void up(int &x) { ++x; } __global__ void k(int *o) { int x = 1; up(x); o[0] = x; }',
    /a reference/,
  ],
  'a default': [
    '__device__ int f(int a, int b = 2) { return a + b; } __global__ void k(int *o) { o[0] = f(1); }',
    /default/,
  ],
  'a method': [
    'struct C { int r; __device__ int two() { return 2 * r; } };\n__global__ void k(int *o) { C c; c.r = 1; o[0] = c.two(); }',
    /line 1 has a structure with functions/,
  ],
  'a variable of the device': [
    '__device__ int count;\n__global__ void k(int *o) { o[0] = count; }',
    /a variable of the device/,
  ],
  'empty constants': ['__constant__ int c[4];\n__global__ void k(int *o) { o[0] = c[0]; }', /constant memory/],
  'a header of CUDA': [
    '#include <cooperative_groups.h>\n__global__ void k(int *o) { o[0] = 1; }',
    /line 1 has the header cooperative_groups.h/,
  ],
  'a pointer of two memories': [
    '__global__ void k(int *o) { __shared__ int s[1]; s[0] = 1; int *p = o; if (o[0]) p = s; o[0] = *p; }',
    /address space.*rewritten to OpenCL C/,
  ],
};

async function compute(params: JSONObject): Promise<JSONObject> {
  const step = {
    id: 'kernels',
    type: 'gpu_compute',
    params: { language: 'cuda', device: 'opencl', grid: 1, ...params },
  };
  return gpuCompute(step, contextFor(step), { processes });
}

describe('CUDA on any device', { skip }, () => {
  for (const [name, { expected, ...params }] of Object.entries(kernels))
    it(name, async () => {
      const { outputs, rewritten } = await compute(params as unknown as JSONObject);
      assert.deepEqual([outputs, rewritten], [expected, true]);
    });

  for (const [name, [source, text]] of Object.entries(refused))
    it(`refuses ${name}`, () =>
      assert.rejects(
        compute({ source, block: 1, arguments: [out('o', 'int32', 1)] }),
        (thrown) => thrown instanceof StepError && thrown.code === 'ML_CUDA_NOT_PORTABLE' && text.test(thrown.message),
      ));
});

describe('the same as CUDA', { skip: noCompiler }, () => {
  const sources = [
    ...Object.entries(kernels).map(([name, { source }]) => [name, source] as const),
    ...Object.entries(refused).flatMap(([name, [source]]) =>
      /template|header/.test(name) ? [] : [[name, source] as const],
    ),
  ];
  for (const [name, source] of sources)
    it(name, async () => {
      const entry = /__global__\s+void\s+(\w+)/.exec(source)?.[1] ?? '';
      const args = { source, defines: {}, entries: [entry], capability: 90 };
      const { signal } = new AbortController();
      await processes.call('cuda', 'cuda:0', { method: 'compile', args }, { signal });
    });
});
