// Filters over whole images. Integers only, so that every machine gives the same bytes.
#include <wasm_simd128.h>
#include "base.h"

enum { radius_max = 100 };

// e^-x for x >= 0: the Taylor series of a small part of x, then squared.
static double exp_minus(double x) {
  double part = x / 1024, sum = 1, term = 1;
  for (int index = 1; index < 12; index++) {
    term *= -part / index;
    sum += term;
  }
  for (int index = 0; index < 10; index++) sum *= sum;
  return sum;
}

// weights[k] of the pixels that are k away, in 1/65536; with both sides they sum up to 65536.
static void gauss(u32 *weights, u32 radius) {
  double sigma = 0.3 * (radius - 1) + 0.8, values[radius_max + 1], sum = 0;
  for (u32 k = 0; k <= radius; k++) {
    values[k] = exp_minus((double)(k * k) / (2 * sigma * sigma));
    sum += k == 0 ? values[k] : 2 * values[k];
  }
  u32 given = 0;
  for (u32 k = radius; k > 0; k--) {
    weights[k] = (u32)(values[k] / sum * 65536 + 0.5);
    given += 2 * weights[k];
  }
  weights[0] = 65536 - given;
}

// Colours count by their alpha, so that transparent pixels do not bleed into others.
static int premultiply(Image image) {
  u32 count = image.width * image.height;
  int transparent = 0;
  for (u8 *pixel = image.pixels, *end = pixel + 4 * count; pixel < end; pixel += 4) {
    if (pixel[3] == 255) continue;
    transparent = 1;
    for (u32 channel = 0; channel < 3; channel++) pixel[channel] = (u8)((pixel[channel] * pixel[3] + 127) / 255);
  }
  return transparent;
}

static void unpremultiply(Image image) {
  u32 count = image.width * image.height;
  for (u8 *pixel = image.pixels, *end = pixel + 4 * count; pixel < end; pixel += 4) {
    u32 alpha = pixel[3];
    if (alpha == 255) continue;
    for (u32 channel = 0; channel < 3; channel++) {
      u32 value = alpha == 0 ? 0 : (pixel[channel] * 255 + alpha / 2) / alpha;
      pixel[channel] = (u8)(value < 255 ? value : 255);
    }
  }
}

// Sums over 8 samples at once: those at distance k on both sides count weights[k].
typedef struct {
  v128_t low, high;
} Sums;

static inline Sums weigh(Sums sums, v128_t samples, u32 weight) {
  v128_t factor = wasm_i16x8_splat((short)weight);
  sums.low = wasm_i32x4_add(sums.low, wasm_u32x4_extmul_low_u16x8(samples, factor));
  sums.high = wasm_i32x4_add(sums.high, wasm_u32x4_extmul_high_u16x8(samples, factor));
  return sums;
}

// One row of pixels with `radius` more on both sides → sums in 1/128.
static void blur_row(const u8 *padded, u32 width, u32 radius, const u32 *weights, u16 *out) {
  v128_t half = wasm_i32x4_splat(1 << 8);
  for (u32 x = 0; x < width; x += 2) {
    const u8 *centre = padded + 4 * (x + radius);
    Sums sums = weigh((Sums){half, half}, wasm_u16x8_load8x8(centre), weights[0]);
    for (u32 k = 1; k <= radius; k++)
      sums = weigh(sums, wasm_i16x8_add(wasm_u16x8_load8x8(centre - 4 * k), wasm_u16x8_load8x8(centre + 4 * k)), weights[k]);
    wasm_v128_store(out + 4 * x, wasm_u16x8_narrow_i32x4(wasm_u32x4_shr(sums.low, 9), wasm_u32x4_shr(sums.high, 9)));
  }
}

// Rows of sums, `stride` samples apart, clamped at the edges → one row of pixels.
static void blur_columns(const u16 *rows, u32 stride, u32 height, u32 y, u32 radius, const u32 *weights, u8 *out) {
  v128_t half = wasm_i32x4_splat(1 << 22);
  for (u32 at = 0; at < stride; at += 8) {
    Sums sums = weigh((Sums){half, half}, wasm_v128_load(rows + y * stride + at), weights[0]);
    for (u32 k = 1; k <= radius; k++) {
      u32 above = y < k ? 0 : y - k, below = y + k < height ? y + k : height - 1;
      v128_t both = wasm_i16x8_add(wasm_v128_load(rows + above * stride + at), wasm_v128_load(rows + below * stride + at));
      sums = weigh(sums, both, weights[k]);
    }
    v128_t words = wasm_u16x8_narrow_i32x4(wasm_u32x4_shr(sums.low, 23), wasm_u32x4_shr(sums.high, 23));
    wasm_v128_store64_lane(out + at, wasm_u8x16_narrow_i16x8(words, words), 0);
  }
}

void gaussian_blur(Image image, u32 radius) {
  if (radius < 1 || radius > radius_max) refuse("radius must be a whole number from 1 to 100\n");
  u32 weights[radius_max + 1];
  gauss(weights, radius);
  int transparent = premultiply(image);
  u32 width = image.width, height = image.height, even = (width + 1) & ~1u, stride = even * 4;
  if ((u64)stride * height * 2 > 0x7fffffff) refuse("the image is too large for the memory of a module\n");
  u16 *rows = scratch(stride * height * 2);
  u8 *padded = scratch(4 * (even + 2 * radius)), *line = scratch(stride);
  for (u32 y = 0; y < height; y++) {
    const u8 *from = image.pixels + 4 * y * width;
    for (u32 x = 0; x < even + 2 * radius; x++) {
      u32 source = x < radius ? 0 : x - radius < width ? x - radius : width - 1;
      memcpy(padded + 4 * x, from + 4 * source, 4);
    }
    blur_row(padded, width, radius, weights, rows + y * stride);
  }
  for (u32 y = 0; y < height; y++) {
    blur_columns(rows, stride, height, y, radius, weights, line);
    memcpy(image.pixels + 4 * y * width, line, 4 * width);
  }
  if (transparent) unpremultiply(image);
}

// Luma of Rec. 601 in 1/256.
void grayscale(Image image) {
  u32 count = image.width * image.height;
  for (u8 *pixel = image.pixels, *end = pixel + 4 * count; pixel < end; pixel += 4)
    pixel[0] = pixel[1] = pixel[2] = (u8)((77 * pixel[0] + 150 * pixel[1] + 29 * pixel[2] + 128) >> 8);
}

void invert(Image image) {
  u32 count = image.width * image.height;
  for (u8 *pixel = image.pixels, *end = pixel + 4 * count; pixel < end; pixel += 4)
    for (u32 channel = 0; channel < 3; channel++) pixel[channel] = 255 - pixel[channel];
}
