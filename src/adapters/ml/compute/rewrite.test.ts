import assert from 'node:assert/strict';
import { it } from 'node:test';
import { StepError } from '../../../lib/errors.ts';
import { kernelNames, kernelsOf, wgslBindings, withoutComments } from './kernel-source.ts';
import { rewriteCuda } from './rewrite.ts';

/** What the author's own lines became. */
const own = (source: string): string => rewriteCuda(source).source.split('#line 1\n').slice(1).join('');

it('every line stays where it is', () => {
  const source = '// a\n/* b\nc */ __global__ void f(float *x) {\n  // d\n  x[0] = 1; }\n';
  assert.equal(own(source).split('\n').length, source.split('\n').length);
  assert.match(own(source).split('\n')[2] ?? '', /__kernel void f\(__global float \*x\)/);
});

it('words within comments and longer words stay', () => {
  const text = own(
    '__global__ void f(int *x) { int threadIdxy = 1, mysqrtf = 2; x[0] = threadIdxy + mysqrtf; /* template <class T> */ }',
  );
  assert.match(text, /int threadIdxy = 1, mysqrtf = 2; x\[0\] = threadIdxy \+ mysqrtf;/);
});

it('pointers are global, but for shared memory and products', () => {
  const text = own(
    '__global__ void f(const unsigned char *a, float4 *b, int n) { __shared__ float t[4]; const int *q = (const int *)a; int m = n * n; }',
  );
  assert.match(text, /__global const uchar \*a, __global float4 \*b, int n/);
  assert.match(text, /__local float t\[4\]; __global const int \*q = \(__global const int \*\)a; int m = n \* n;/);
});

it('dynamic shared memory becomes the last argument of its kernel', () => {
  const { source, dynamic } = rewriteCuda(
    '__global__ void f(int n) { extern __shared__ int s[]; s[0] = n; }\n__global__ void g() { extern __shared__ float s[]; s[0] = 1; }\n__global__ void h() {}',
  );
  assert.deepEqual([...dynamic].toSorted(), ['f', 'g']);
  assert.match(source, /void f\(int n, __local int \*s\)/);
  assert.match(source, /void g\(__local float \*s\)/);
});

it('what OpenCL C does not have is named with its line', () => {
  const cases = {
    'template <class T> __global__ void f(T *x) {}': /line 1 has a template/,
    '\n__global__ void f(float *x) { auto y = x; }': /line 2 has the type auto/,
    '__global__ void f(int *x) { x[0] = __shfl_sync(1, x[0], 0); }': /operations of a warp/,
    '__global__ void f(int *x) { x[0] = std::min(1, 2); }': /namespace/,
    '__global__ void f(float *x) { asm("nop;"); }': /assembly/,
  };
  for (const [source, expected] of Object.entries(cases))
    assert.throws(
      () => rewriteCuda(source),
      (thrown) =>
        thrown instanceof StepError && thrown.code === 'ML_CUDA_NOT_PORTABLE' && expected.test(thrown.message),
      source,
    );
});

it('kernels and their parameters are found however they are written', () => {
  const source = `
    extern "C" __global__ __launch_bounds__(256, 2) void one(const float* __restrict__ a,
                                                             int n) {}
    __device__ void helper(int x) {}
    static __global__ void two(void) {}
    // __global__ void none(int x) {}`;
  const heads = kernelsOf(withoutComments(source));
  assert.deepEqual(
    heads.map(({ name, params }) => [name, params]),
    [
      ['one', ['const float* __restrict__ a', 'int n']],
      ['two', []],
    ],
  );
});

it('hostile sources take no more time than long ones', () => {
  const length = 120_000;
  const pieces = [
    '/*',
    '"\\"',
    '__global__ a ',
    '__global__ f(',
    '__kernel a ',
    '__kernel f(int x, ',
    '@compute a ',
    'fn a',
    '@binding(0) ',
    'var<storage> a : ',
    'extern "C" { } ',
    'struct a ',
    'typedef a ',
    'extern __shared__ a ',
    'int *',
    'static_cast<',
    '__attribute__((a(',
    '__launch_bounds__(',
    '(',
    ' ',
    '\n',
    'a ',
    '#include ',
    '#include <math.h>\n',
    '__device__ int f(int *p) { return f(p); } ',
    '__device__ int f(int *p) { f(',
    '__global__ void g(int *p) { int *q = p; ',
    'int *q = p; ',
    'const int N = 1',
    'const ',
    "'",
    '{',
    '[',
    '=',
    '#define a ',
    'const int a = 1; ',
    'unsigned long long ',
    'extern "C" {',
    '__device__ int x; ',
    '__shared__ int a, ',
  ];
  for (const piece of pieces)
    for (const begin of ['', '__global__ void f(', '__kernel ']) {
      const source = begin + piece.repeat(length / piece.length);
      // Each of these takes milliseconds; what backtracks takes hours, and the test never ends.
      for (const names of Object.values(kernelNames)) names(source);
      wgslBindings(source);
      try {
        rewriteCuda(source);
      } catch (thrown) {
        assert.ok(thrown instanceof StepError, String(thrown));
      }
    }
});
