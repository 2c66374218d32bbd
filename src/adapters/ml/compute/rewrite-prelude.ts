// What CUDA has built in and OpenCL C has not, by name: a source gets what it uses.

/** Functions of one float: CUDA's names end in f, and take a float whatever they are given. */
const unary =
  'sqrt rsqrt cbrt exp exp2 exp10 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sinpi cospi fabs floor ceil trunc round rint erf erfc tgamma lgamma'.split(
    ' ',
  );
const binary = 'pow atan2 fmax fmin fmod copysign hypot fdim remainder nextafter'.split(' ');

const vectorBases = ['char', 'uchar', 'short', 'ushort', 'int', 'uint', 'long', 'ulong', 'float', 'double'] as const;
/** CUDA's names of them. */
const cudaBases: Readonly<Record<string, string>> = { longlong: 'long', ulonglong: 'ulong' };

/**
 * CUDA's vectors are structures without operators. Those of three elements take the place of three, and those of four with 64 bits need not lie
 * as in OpenCL: they become structures there, too.
 */
const isStructure = (base: string, width: number): boolean =>
  width === 3 || (width === 4 && ['long', 'ulong', 'double'].includes(base));

function vectorParts(): Record<string, string> {
  const parts: Record<string, string> = {};
  const named = [...vectorBases.map((base) => [base, base] as const), ...Object.entries(cudaBases)];
  for (const [cuda, base] of named)
    for (const width of [2, 3, 4]) {
      const elements = ['x', 'y', 'z', 'w'].slice(0, width);
      const type = isStructure(base, width) ? `jf_${base}${width}` : `${base}${width}`;
      const values = elements.map((element) => `(${element})`).join(', ');
      const made = isStructure(base, width) ? `((${type}){${values}})` : `((${type})(${values}))`;
      parts[`make_${cuda}${width}`] = `#define make_${cuda}${width}(${elements.join(', ')}) ${made}\n`;
    }
  for (const base of vectorBases)
    for (const width of [3, 4])
      if (isStructure(base, width)) {
        const name = `jf_${base}${width}`;
        const aligned = width === 4 ? ' __attribute__((aligned(16)))' : '';
        parts[name] =
          `typedef struct { ${base} ${['x', 'y', 'z', 'w'].slice(0, width).join(', ')}; }${aligned} ${name};\n`;
      }
  return parts;
}

const rounding = { rn: 'rte', rz: 'rtz', ru: 'rtp', rd: 'rtn' } as const;

function conversionParts(): Record<string, string> {
  const parts: Record<string, string> = {};
  for (const [cuda, opencl] of Object.entries(rounding)) {
    parts[`__float2int_${cuda}`] = `#define __float2int_${cuda}(x) convert_int_sat_${opencl}((float)(x))\n`;
    parts[`__float2uint_${cuda}`] = `#define __float2uint_${cuda}(x) convert_uint_sat_${opencl}((float)(x))\n`;
    parts[`__int2float_${cuda}`] = `#define __int2float_${cuda}(x) convert_float_${opencl}((int)(x))\n`;
    parts[`__uint2float_${cuda}`] = `#define __uint2float_${cuda}(x) convert_float_${opencl}((uint)(x))\n`;
  }
  return parts;
}

/** The lesser or the greater, of the type that both have together; of a number and none the number. */
const extreme = (name: string, sign: string): string =>
  `#define jf_${name}(a, b) ({ __typeof__((a) + (b)) jf_a = (a), jf_b = (b); jf_a ${sign} jf_b || jf_b != jf_b ? jf_a : jf_b; })\n`;

const overloadable = '__attribute__((overloadable))';

/** Atomic functions of each memory and type. `with64` need extensions, which most devices have. */
function atomic(name: string, ofWord: string, ofLong?: string): string {
  const define = (space: string, type: string, body: string): string =>
    `static ${type} ${overloadable} ${name}(volatile ${space} ${type} *p, ${name === 'atomicCAS' ? `${type} c, ` : ''}${type} v) { ${body} }\n`;
  const lines = (types: readonly string[], body: string): string =>
    ['__global', '__local'].flatMap((space) => types.map((type) => define(space, type, body))).join('');
  if (ofLong === undefined) return lines(['int', 'uint'], ofWord);
  return `${lines(['int', 'uint'], ofWord)}#if defined(cl_khr_int64_base_atomics) && defined(cl_khr_int64_extended_atomics)
#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable
#pragma OPENCL EXTENSION cl_khr_int64_extended_atomics : enable
${lines(['long', 'ulong'], ofLong)}#endif
`;
}

/** One try after the other, until no one came between. */
const inTurns = (name: string, type: 'float' | 'double' | 'uint', bits: string, next: string): string =>
  ['__global', '__local']
    .map(
      (space) => `static ${type} ${overloadable} ${name}(volatile ${space} ${type} *p, ${type} v) {
  volatile ${space} ${bits} *q = (volatile ${space} ${bits} *)p; ${bits} old = *q, seen;
  do { seen = old; ${type} now = as_${type}(seen); old = ${bits === 'ulong' ? 'atom' : 'atomic'}_cmpxchg(q, seen, as_${bits}((${type})(${next}))); } while (old != seen);
  return as_${type}(old); }
`,
    )
    .join('');

const simple = (word: string): [string, string] => [`return atomic_${word}(p, v);`, `return atom_${word}(p, v);`];

const atomics: Record<string, string> = {
  atomicAdd: `${atomic('atomicAdd', ...simple('add'))}${inTurns('atomicAdd', 'float', 'uint', 'now + v')}#if defined(cl_khr_fp64) && defined(cl_khr_int64_base_atomics)
${inTurns('atomicAdd', 'double', 'ulong', 'now + v')}#endif
`,
  atomicSub: atomic('atomicSub', ...simple('sub')),
  atomicMax: atomic('atomicMax', ...simple('max')),
  atomicMin: atomic('atomicMin', ...simple('min')),
  atomicAnd: atomic('atomicAnd', ...simple('and')),
  atomicOr: atomic('atomicOr', ...simple('or')),
  atomicXor: atomic('atomicXor', ...simple('xor')),
  atomicExch: `${atomic('atomicExch', ...simple('xchg'))}${inTurns('atomicExch', 'float', 'uint', 'v')}`,
  atomicCAS: atomic('atomicCAS', 'return atomic_cmpxchg(p, c, v);', 'return atom_cmpxchg(p, c, v);'),
  atomicInc: inTurns('atomicInc', 'uint', 'uint', 'now >= v ? 0u : now + 1u'),
  atomicDec: inTurns('atomicDec', 'uint', 'uint', 'now == 0u || now > v ? v : now - 1u'),
};

const fence = 'CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE';

/** By the word that needs it. */
const parts: Readonly<Record<string, string>> = {
  ...vectorParts(),
  ...conversionParts(),
  ...atomics,
  ...Object.fromEntries(
    unary.map((name) => [`jf_${name}f`, `static float jf_${name}f(float x) { return ${name}(x); }\n`]),
  ),
  ...Object.fromEntries(
    binary.map((name) => [`jf_${name}f`, `static float jf_${name}f(float x, float y) { return ${name}(x, y); }\n`]),
  ),
  jf_fmaf: 'static float jf_fmaf(float x, float y, float z) { return fma(x, y, z); }\n',
  jf_min: extreme('min', '<'),
  jf_max: extreme('max', '>'),
  jf_abs: `static int ${overloadable} jf_abs(int x) { return x < 0 ? -x : x; }
static long ${overloadable} jf_abs(long x) { return x < 0 ? -x : x; }
static float ${overloadable} jf_abs(float x) { return fabs(x); }
#if defined(cl_khr_fp64)
static double ${overloadable} jf_abs(double x) { return fabs(x); }
#endif
`,
  jf_threadIdx: '#define jf_threadIdx ((jf_uint3){get_local_id(0), get_local_id(1), get_local_id(2)})\n',
  jf_blockIdx: '#define jf_blockIdx ((jf_uint3){get_group_id(0), get_group_id(1), get_group_id(2)})\n',
  jf_blockDim: '#define jf_blockDim ((jf_uint3){get_local_size(0), get_local_size(1), get_local_size(2)})\n',
  jf_gridDim: '#define jf_gridDim ((jf_uint3){get_num_groups(0), get_num_groups(1), get_num_groups(2)})\n',
  __syncthreads: `#define __syncthreads() barrier(${fence})\n`,
  __threadfence: `#define __threadfence() mem_fence(${fence})\n`,
  __threadfence_block: `#define __threadfence_block() mem_fence(${fence})\n`,
  __saturatef: '#define __saturatef(x) fmin(fmax((float)(x), 0.0f), 1.0f)\n',
  __fsqrt_rn: '#define __fsqrt_rn(x) sqrt((float)(x))\n',
  __frcp_rn: '#define __frcp_rn(x) (1.0f / (float)(x))\n',
  __fdiv_rn: '#define __fdiv_rn(x, y) ((float)(x) / (float)(y))\n',
  fdividef: '#define fdividef(x, y) ((float)(x) / (float)(y))\n',
  sincosf: '#define sincosf(x, s, c) (*(s) = sin((float)(x)), *(c) = cos((float)(x)))\n',
  __float_as_int: '#define __float_as_int(x) as_int((float)(x))\n',
  __float_as_uint: '#define __float_as_uint(x) as_uint((float)(x))\n',
  __int_as_float: '#define __int_as_float(x) as_float((int)(x))\n',
  __uint_as_float: '#define __uint_as_float(x) as_float((uint)(x))\n',
  __double_as_longlong: '#define __double_as_longlong(x) as_long((double)(x))\n',
  __longlong_as_double: '#define __longlong_as_double(x) as_double((long)(x))\n',
  __popc: '#define __popc(x) ((int)popcount((uint)(x)))\n',
  __popcll: '#define __popcll(x) ((int)popcount((ulong)(x)))\n',
  __clz: '#define __clz(x) ((int)clz((uint)(x)))\n',
  __clzll: '#define __clzll(x) ((int)clz((ulong)(x)))\n',
  __ffs: '#define __ffs(x) (32 - (int)clz((uint)(x) & -(uint)(x)))\n',
  assert: '#define assert(x) ((x) ? (void)0 : __builtin_trap())\n',
  NULL: '#ifndef NULL\n#define NULL 0\n#endif\n',
  CUDART_PI_F: '#define CUDART_PI_F 3.141592654f\n',
  CUDART_PI: '#define CUDART_PI 3.1415926535897931\n',
  CUDART_INF_F: '#define CUDART_INF_F INFINITY\n',
  CUDART_NAN_F: '#define CUDART_NAN_F NAN\n',
  UINT32_MAX: '#define UINT32_MAX 4294967295U\n',
  INT32_MAX: '#define INT32_MAX 2147483647\n',
  ...Object.fromEntries(
    Object.entries({ int8: 'char', int16: 'short', int32: 'int', int64: 'long' }).flatMap(([name, type]) => [
      [`${name}_t`, `typedef ${type} ${name}_t;\n`],
      [`u${name}_t`, `typedef u${type} u${name}_t;\n`],
    ]),
  ),
};

/** Float functions that are renamed to those of the prelude. */
export const floatFunctions: ReadonlySet<string> = new Set([...unary, ...binary, 'fma'].map((name) => `${name}f`));

/** Vectors that are structures here. */
export const structures: ReadonlySet<string> = new Set(
  Object.keys(parts).flatMap((name) => (/^jf_\w+[34]$/.test(name) ? [name.slice(3)] : [])),
);

const begin = `#if defined(cl_khr_fp64)
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
`;

/** Before the author's first line, which stays line 1. @param own names that the source gives a meaning of its own */
export function preludeFor(source: string, own: ReadonlySet<string>): string {
  const words = new Set(source.match(/[A-Za-z_]\w*/g));
  for (const word of [...words]) for (const needed of parts[word]?.match(/\bjf_\w+[34]\b/g) ?? []) words.add(needed);
  const used = Object.entries(parts).filter(([word]) => words.has(word) && !own.has(word));
  // Types first.
  const ordered = used.toSorted(([a], [b]) => Number(/^jf_\w+[34]$/.test(b)) - Number(/^jf_\w+[34]$/.test(a)));
  return `${begin}${ordered.map(([, text]) => text).join('')}#line 1\n`;
}
