import { StepError } from '../../../lib/errors.ts';
import { kernelsOf, withoutComments } from './kernel-source.ts';

export interface Rewritten {
  source: string;
  /** Kernels that take dynamic shared memory: it is their last argument. */
  dynamic: ReadonlySet<string>;
}

/** What C++ and CUDA have and OpenCL C 1.2 has not. */
const refused: readonly (readonly [RegExp, string])[] = [
  [/\btemplate\s*</, 'a template'],
  [/\b(class|namespace|using|virtual|operator|constexpr|decltype|lambda)\b/, 'C++'],
  [/\bauto\b/, 'the type auto'],
  [/::/, 'a name of a namespace or class'],
  [/<<</, 'a launch within a kernel'],
  [/__shfl|__ballot|__any_sync|__all_sync|__syncwarp|__activemask/, 'operations of a warp'],
  [/\b(dim3|cudaMalloc|cudaMemcpy|cudaDeviceSynchronize|surf|tex)\w*\s*[(<]/, 'the CUDA runtime'],
  [/\b(__half2?|__nv_bfloat16|half2?)\b/, 'half precision'],
  [/\basm\b/, 'assembly'],
  [/__managed__|__cluster_dims__|__grid_constant__/, 'managed memory or clusters'],
];

const dynamicMax = 64;
const ownTypesMax = 200;
const axes = ['x', 'y', 'z'] as const;
const places: Readonly<Record<string, string>> = {
  threadIdx: 'get_local_id',
  blockIdx: 'get_group_id',
  blockDim: 'get_local_size',
  gridDim: 'get_num_groups',
};

/** Words with one counterpart. */
const words: Readonly<Record<string, string>> = {
  __global__: '__kernel',
  __device__: '',
  __host__: '',
  __forceinline__: 'inline',
  __noinline__: '',
  __inline__: 'inline',
  __restrict__: 'restrict',
  __restrict: 'restrict',
  __shared__: '__local',
  __constant__: '__constant',
  nullptr: '0',
};

/** Functions of single precision, whose OpenCL names have no suffix, and the fast ones. */
const singles =
  'sqrt rsqrt cbrt exp exp2 exp10 expm1 log log2 log10 log1p pow sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh fabs fmax fmin fma fmod floor ceil trunc round rint copysign hypot erf erfc tgamma lgamma'.split(
    ' ',
  );
const functions: Readonly<Record<string, string>> = {
  ...Object.fromEntries(singles.map((name) => [`${name}f`, name])),
  __expf: 'native_exp',
  __logf: 'native_log',
  __sinf: 'native_sin',
  __cosf: 'native_cos',
  __powf: 'native_powr',
  __fmaf_rn: 'fma',
  __fdividef: 'native_divide',
  __ldg: '*',
  __popc: 'popcount',
  __clz: 'clz',
  __mul24: 'mul24',
  __umul24: 'mul24',
  abs: 'jf_abs',
};

const atomics = `
#define JF_OVER __attribute__((overloadable))
#define JF_ATOMICS(S, T) \\
static T JF_OVER atomicAdd(volatile S T *p, T v) { return atomic_add(p, v); } \\
static T JF_OVER atomicSub(volatile S T *p, T v) { return atomic_sub(p, v); } \\
static T JF_OVER atomicMax(volatile S T *p, T v) { return atomic_max(p, v); } \\
static T JF_OVER atomicMin(volatile S T *p, T v) { return atomic_min(p, v); } \\
static T JF_OVER atomicAnd(volatile S T *p, T v) { return atomic_and(p, v); } \\
static T JF_OVER atomicOr(volatile S T *p, T v) { return atomic_or(p, v); } \\
static T JF_OVER atomicXor(volatile S T *p, T v) { return atomic_xor(p, v); } \\
static T JF_OVER atomicExch(volatile S T *p, T v) { return atomic_xchg(p, v); } \\
static T JF_OVER atomicCAS(volatile S T *p, T c, T v) { return atomic_cmpxchg(p, c, v); }
JF_ATOMICS(__global, int) JF_ATOMICS(__global, uint) JF_ATOMICS(__local, int) JF_ATOMICS(__local, uint)
#define JF_FLOATS(S) \\
static float JF_OVER atomicAdd(volatile S float *p, float v) { \\
  volatile S uint *q = (volatile S uint *)p; uint old = *q, seen; \\
  do { seen = old; old = atomic_cmpxchg(q, seen, as_uint(as_float(seen) + v)); } while (old != seen); \\
  return as_float(old); } \\
static float JF_OVER atomicExch(volatile S float *p, float v) { return atomic_xchg(p, v); }
JF_FLOATS(__global) JF_FLOATS(__local)
`;

/** Before the author's first line, which stays line 1. */
const prelude = `#if defined(cl_khr_fp64)
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
#define __syncthreads() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define __threadfence() mem_fence(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define __threadfence_block() mem_fence(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define make_float2(a, b) ((float2)((a), (b)))
#define make_float3(a, b, c) ((float3)((a), (b), (c)))
#define make_float4(a, b, c, d) ((float4)((a), (b), (c), (d)))
#define make_int2(a, b) ((int2)((a), (b)))
#define make_int4(a, b, c, d) ((int4)((a), (b), (c), (d)))
typedef char int8_t; typedef uchar uint8_t; typedef short int16_t; typedef ushort uint16_t;
typedef int int32_t; typedef uint uint32_t; typedef long int64_t; typedef ulong uint64_t;
static int __attribute__((overloadable)) jf_abs(int x) { return x < 0 ? -x : x; }
static long __attribute__((overloadable)) jf_abs(long x) { return x < 0 ? -x : x; }
static float __attribute__((overloadable)) jf_abs(float x) { return fabs(x); }
${atomics}#line 1
`;

const scalarTypes =
  'void bool char uchar short ushort int uint long ulong float double unsigned signed size_t int8_t uint8_t int16_t uint16_t int32_t uint32_t int64_t uint64_t';
const vectorTypes = ['char', 'uchar', 'short', 'ushort', 'int', 'uint', 'long', 'ulong', 'float', 'double'].flatMap(
  (type) => [2, 3, 4].map((width) => `${type}${width}`),
);

/**
 * CUDA kernels written in C as OpenCL C 1.2, line by line. Pointers are taken to point to global memory, unless they are declared
 * `__shared__`: what OpenCL then refuses it names with its line.
 * @throws StepError ML_CUDA_NOT_PORTABLE that names what OpenCL C doesn't have, and its line
 */
export function rewriteCuda(given: string): Rewritten {
  let source = withoutLinkage(withoutComments(given))
    .replace(/^[ \t]*#[ \t]*include[ \t]*<(cuda\w*|stdint|math|stdio|device_launch_parameters)(\.h)?>/gm, '')
    .replace(/extern\s+"C"/g, '')
    .replace(/\b(static_cast|reinterpret_cast|const_cast)\s*<([^<>]{0,200})>\s*\(/g, '($2)(')
    .replace(/__launch_bounds__\s*\([^()]{0,200}\)/g, '');
  for (const [pattern, what] of refused) {
    const match = pattern.exec(source);
    if (match === null) continue;
    const line = source.slice(0, match.index).split('\n').length;
    throw new StepError(
      'ML_CUDA_NOT_PORTABLE',
      `there is no NVIDIA GPU here, and the kernels can't run as OpenCL: line ${line} has ${what}; write them in C, or run the step on a node with such a GPU (resource_requirements: { "gpu": 1 })`,
    );
  }
  const dynamic = new Set<string>();
  source = moveDynamic(source, dynamic);
  source = source
    .replace(/\bunsigned\s+long\s+long(\s+int)?\b/g, 'ulong')
    .replace(/\blong\s+long(\s+int)?\b/g, 'long')
    .replace(/\bunsigned\s+(int|char|short|long)\b/g, 'u$1')
    .replace(
      /\b(threadIdx|blockIdx|blockDim|gridDim)\s*\.\s*([xyz])\b/g,
      (_, name: string, axis: 'x' | 'y' | 'z') => `((uint)${places[name]}(${axes.indexOf(axis)}))`,
    );
  source = globalPointers(source);
  source = source.replace(/\b[A-Za-z_]\w*\b(?=(\s*\()?)/g, (word, call: string | undefined) => {
    if (Object.hasOwn(words, word)) return words[word] ?? word;
    return call !== undefined && Object.hasOwn(functions, word) ? (functions[word] ?? word) : word;
  });
  return { source: prelude + source, dynamic };
}

/** What is within `extern "C" { … }`, the braces as spaces. */
function withoutLinkage(source: string): string {
  const match = /extern\s+"C"\s*\{/.exec(source);
  if (match === null) return source;
  const close = source.lastIndexOf('}');
  const spaces = match[0].replace(/[^\n]/g, ' ');
  return `${source.slice(0, match.index)}${spaces}${source.slice(match.index + spaces.length, close)} ${source.slice(close + 1)}`;
}

/** `extern __shared__ float tile[];` becomes a parameter of the kernel that declares it. */
function moveDynamic(source: string, dynamic: Set<string>): string {
  const declaration = /extern\s+__shared__\s+([^;[\]]{1,200}?)\b(\w+)\s*\[\s*\]\s*;/g;
  let moved = source;
  // From the last to the first, so that places before stay what they are.
  const declarations = [...source.matchAll(declaration)];
  if (declarations.length > dynamicMax)
    throw new StepError('ML_CUDA_NOT_PORTABLE', `more than ${dynamicMax} kernels have dynamic shared memory`);
  for (const match of declarations.toReversed()) {
    const [text, type = '', name = ''] = match;
    const kernel = kernelsOf(moved).findLast(({ from }) => from < match.index);
    if (kernel === undefined)
      throw new StepError('ML_CUDA_NOT_PORTABLE', `dynamic shared memory "${name}" must be declared within its kernel`);
    dynamic.add(kernel.name);
    const param = `${kernel.params.length === 0 ? '' : ', '}__local ${type.trim().replace(/\s+/g, ' ')} *${name}`;
    moved = moved.slice(0, match.index) + text.replace(/[^\n]/g, ' ') + moved.slice(match.index + text.length);
    const head = kernel.params.length === 0 ? moved.slice(0, kernel.from) : moved.slice(0, kernel.to);
    moved = head + param + moved.slice(kernel.to);
  }
  return moved;
}

function globalPointers(source: string): string {
  const own = [...source.matchAll(/\b(?:struct|typedef\b[^;]{0,300}?)\s(\w+)\s*[;{]/g)]
    .map((match) => match[1] ?? '')
    .slice(0, ownTypesMax);
  const types = [...scalarTypes.split(' '), ...vectorTypes, ...own].filter(Boolean).join('|');
  // Not twice, and not what is of a group: `__local float *tile`.
  const pointer = new RegExp(`(\\b__(?:local|shared__)\\s+)?\\b(${types})(\\s+const)?(\\s*\\*)`, 'g');
  return source.replace(pointer, (whole, local: string | undefined, type: string, constant = '', star: string) =>
    local === undefined ? `__global ${type}${constant}${star}` : whole,
  );
}
