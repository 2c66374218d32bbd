// Multiplies square matrices of f64, row by row in memory: c = a * b. What bench/wasm-kernels.ts measures.
#include <wasm_simd128.h>

extern unsigned char __heap_base;

// Room for that many bytes behind the module's own data; 0 where there is none. Each call gives the same room.
__attribute__((export_name("room"))) unsigned room(unsigned size) {
  unsigned start = ((unsigned)&__heap_base + 15) & ~15u, have = __builtin_wasm_memory_size(0) * 65536;
  if (size > 0xfff00000u - start) return 0;
  if (start + size > have && __builtin_wasm_memory_grow(0, (start + size - have + 65535) / 65536) == ~0ul) return 0;
  return start;
}

// Two rows of `a` and four columns at once; `n` must be a multiple of 4.
__attribute__((export_name("multiply"))) void multiply(const double *a, const double *b, double *c, int n) {
  for (int row = 0; row < n; row += 2)
    for (int column = 0; column < n; column += 4) {
      v128_t upper0 = wasm_f64x2_splat(0), upper1 = upper0, lower0 = upper0, lower1 = upper0;
      for (int k = 0; k < n; k++) {
        v128_t left = wasm_v128_load(b + k * n + column), right = wasm_v128_load(b + k * n + column + 2);
        v128_t upper = wasm_f64x2_splat(a[row * n + k]), lower = wasm_f64x2_splat(a[(row + 1) * n + k]);
        upper0 = wasm_f64x2_add(upper0, wasm_f64x2_mul(upper, left));
        upper1 = wasm_f64x2_add(upper1, wasm_f64x2_mul(upper, right));
        lower0 = wasm_f64x2_add(lower0, wasm_f64x2_mul(lower, left));
        lower1 = wasm_f64x2_add(lower1, wasm_f64x2_mul(lower, right));
      }
      wasm_v128_store(c + row * n + column, upper0);
      wasm_v128_store(c + row * n + column + 2, upper1);
      wasm_v128_store(c + (row + 1) * n + column, lower0);
      wasm_v128_store(c + (row + 1) * n + column + 2, lower1);
    }
}
