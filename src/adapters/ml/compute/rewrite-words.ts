// CUDA's words and those of OpenCL C.
import { blank, type CFunction } from './c-source.ts';
import { floatFunctions, structures } from './rewrite-prelude.ts';

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
  __forceinline__: '',
  __noinline__: '',
  __inline__: '',
  inline: '',
  __restrict__: 'restrict',
  __restrict: 'restrict',
  __shared__: '__local',
  __constant__: '__constant',
  constexpr: 'const',
  nullptr: '0',
  size_t: 'ulong',
  uintptr_t: 'ulong',
  intptr_t: 'long',
  ptrdiff_t: 'long',
  dim3: 'jf_uint3',
  longlong2: 'long2',
  ulonglong2: 'ulong2',
  ...Object.fromEntries(Object.keys(places).map((name) => [name, `jf_${name}`])),
  ...Object.fromEntries([...structures].map((name) => [name, `jf_${name}`])),
  longlong3: 'jf_long3',
  longlong4: 'jf_long4',
  ulonglong3: 'jf_ulong3',
  ulonglong4: 'jf_ulong4',
};

const functionWords: Readonly<Record<string, string>> = {
  ...Object.fromEntries([...floatFunctions].map((name) => [name, `jf_${name}`])),
  min: 'jf_min',
  max: 'jf_max',
  abs: 'jf_abs',
  __expf: 'native_exp',
  __logf: 'native_log',
  __sinf: 'native_sin',
  __cosf: 'native_cos',
  __powf: 'native_powr',
  __fmaf_rn: 'fma',
  __fdividef: 'native_divide',
  __ldg: '*',
  __mul24: 'mul24',
  __umul24: 'mul24',
};

/** Words of OpenCL C that are names like any other in CUDA. */
const reserved: ReadonlySet<string> = new Set(
  'kernel global local constant private half uniform generic pipe read_only write_only read_write event_t sampler_t dot cross clamp mix step smoothstep sign length distance normalize degrees radians mad select rotate any all shuffle vload_half prefetch'.split(
    ' ',
  ),
);

/** Functions and macros that the source gives a meaning of its own. */
export const ownNames = (source: string, functions: readonly CFunction[]): ReadonlySet<string> =>
  new Set([
    ...functions.map(({ name }) => name),
    ...[...source.matchAll(/^[ \t]*#[ \t]*define[ \t]+(\w+)/gm)].map(([, name = '']) => name),
  ]);

/** A name of the source that would be a word of OpenCL, or of its prelude. */
export const renamed = (word: string, own: ReadonlySet<string>): string =>
  reserved.has(word) || (own.has(word) && Object.hasOwn(functionWords, word)) ? `own_${word}` : word;

/** OpenCL's words for CUDA's. */
export const inWords = (source: string, own: ReadonlySet<string>): string =>
  source
    .replace(/\bunsigned\s+long\s+long(\s+int)?\b/g, 'ulong')
    .replace(/\blong\s+long(\s+int)?\b/g, 'long')
    .replace(/\bunsigned\s+(int|char|short|long)\b/g, 'u$1')
    .replace(/\bsigned\s+char\b/g, 'char')
    .replace(/__align__\s*(\([^()]{0,20}\))/g, '__attribute__((aligned$1))')
    // What the source calls so itself OpenCL has already.
    .replace(/\btypedef\s+(uint|uchar|ushort|ulong)\s+\1\s*;/g, blank)
    .replace(
      /\b(threadIdx|blockIdx|blockDim|gridDim)\s*\.\s*([xyz])\b/g,
      (_, name: string, axis: 'x' | 'y' | 'z') => `((uint)${places[name]}(${axes.indexOf(axis)}))`,
    )
    .replace(/\b[A-Za-z_]\w*\b(?=(\s*\()?)/g, (word, call: string | undefined) => {
      const other = renamed(word, own);
      if (other !== word) return other;
      if (Object.hasOwn(words, word)) return words[word] ?? word;
      return call !== undefined && !own.has(word) && Object.hasOwn(functionWords, word)
        ? (functionWords[word] ?? word)
        : word;
    });
