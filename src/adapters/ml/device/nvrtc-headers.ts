// Headers that kernels name out of habit, and NVRTC hasn't: it knows the types and functions of CUDA without any, and has no files of C's.

const integers = [8, 16, 32, 64]
  .map((bits) => {
    const type = { 8: 'char', 16: 'short', 32: 'int', 64: 'long long' }[bits];
    return `typedef ${bits === 8 ? 'signed ' : ''}${type} int${bits}_t; typedef unsigned ${type} uint${bits}_t;`;
  })
  .join('\n');

const stdint = `#pragma once
${integers}
typedef long long intptr_t; typedef unsigned long long uintptr_t;
#define INT8_MAX 127
#define INT16_MAX 32767
#define INT32_MAX 2147483647
#define INT32_MIN (-INT32_MAX - 1)
#define INT64_MAX 9223372036854775807LL
#define UINT8_MAX 255
#define UINT16_MAX 65535
#define UINT32_MAX 4294967295U
#define UINT64_MAX 18446744073709551615ULL
`;

const limits = `#pragma once
#define CHAR_BIT 8
#define SHRT_MAX 32767
#define INT_MAX 2147483647
#define INT_MIN (-INT_MAX - 1)
#define UINT_MAX 4294967295U
#define LLONG_MAX 9223372036854775807LL
#define LLONG_MIN (-LLONG_MAX - 1)
#define ULLONG_MAX 18446744073709551615ULL
`;

const float = `#pragma once
#define FLT_MAX 3.402823466e+38F
#define FLT_MIN 1.175494351e-38F
#define FLT_EPSILON 1.192092896e-07F
#define DBL_MAX 1.7976931348623157e+308
#define DBL_MIN 2.2250738585072014e-308
#define DBL_EPSILON 2.2204460492503131e-16
`;

const math = `#pragma once
#define M_E 2.71828182845904523536
#define M_PI 3.14159265358979323846
#define M_PI_2 1.57079632679489661923
#define M_PI_4 0.78539816339744830962
#define M_SQRT2 1.41421356237309504880
#define M_LN2 0.69314718055994530942
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif
`;

const constants = `#pragma once
#define CUDART_INF_F __int_as_float(0x7f800000)
#define CUDART_NAN_F __int_as_float(0x7fffffff)
#define CUDART_PI_F 3.141592654f
#define CUDART_PI 3.1415926535897931
#define CUDART_INF __longlong_as_double(0x7ff0000000000000ULL)
`;

/** In every compiler, or of the host's part of a program. */
const empty =
  'cuda.h cuda_runtime.h cuda_runtime_api.h device_launch_parameters.h device_functions.h vector_types.h vector_functions.h stdio.h cstdio stdlib.h cstdlib string.h cstring assert.h cassert stddef.h cstddef stdbool.h';

/** Sources by name. */
export const nvrtcHeaders: Readonly<Record<string, string>> = {
  ...Object.fromEntries(empty.split(' ').map((name) => [name, '#pragma once\n'])),
  'stdint.h': stdint,
  cstdint: stdint,
  'limits.h': limits,
  climits: limits,
  'float.h': float,
  cfloat: float,
  'math.h': math,
  cmath: math,
  'math_constants.h': constants,
};
