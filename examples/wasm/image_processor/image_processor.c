// Filters over PNG images, over the buffer ABI: every function takes (pointer, length) and gives pointer << 32 | length.
//
// - apply_filter: JSON { "image", "filter", "radius", "width", "height" }. `image` is a PNG in base64 (a data: URL will do), or, with `width` and
//   `height`, 8-bit RGBA in base64. `filter` is gaussian_blur (with `radius` 1 to 100, default 5), grayscale or invert. Gives
//   { "filter", "format": "png", "height", "image": the PNG in base64, "radius", "width" }.
// - process: the bytes of a PNG. Gives those of the PNG, blurred with radius 5.
//
// Bad arguments end the call with exit code 1 and a line on standard error.
#include "base.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))

typedef struct {
  const void *start;
  u32 size;
} Vector;

WASI("fd_write") int fd_write(int fd, const Vector *vectors, u32 count, u32 *written);
WASI("proc_exit") _Noreturn void proc_exit(int code);

static u32 text_size(const char *text) {
  u32 size = 0;
  while (text[size] != 0) size++;
  return size;
}

void refuse(const char *message) {
  Vector vector = {message, text_size(message)};
  u32 written;
  fd_write(2, &vector, 1, &written);
  proc_exit(1);
}

// As instructions of bulk memory; the compiler calls these by name where it does not write the instructions itself.
void *memcpy(void *to, const void *from, unsigned long size) {
  __builtin_memcpy(to, from, size);
  return to;
}
void *memmove(void *to, const void *from, unsigned long size) {
  __builtin_memmove(to, from, size);
  return to;
}
void *memset(void *to, int byte, unsigned long size) {
  __builtin_memset(to, byte, size);
  return to;
}

// ── Memory: blocks one behind the other; once all are given back, from the beginning again ──

extern u8 __heap_base;
static u32 next, live;

static u32 reserve(u32 size) {
  if (live == 0 && next == 0) next = ((u32)&__heap_base + 15) & ~15u;
  if (size > 0xffff0000u - next) return 0;
  u32 start = next, end = (start + size + 15) & ~15u, have = __builtin_wasm_memory_size(0) * 65536;
  if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) / 65536) == ~0ul) return 0;
  next = end;
  return start;
}

EXPORT("alloc") u32 alloc(u32 size) {
  if (live == 0) next = 0;
  u32 start = reserve(size);
  if (start != 0) live++;
  return start;
}

EXPORT("dealloc") void dealloc(u32 pointer, u32 size) {
  if (live > 0) live--;
  if (((pointer + size + 15) & ~15u) == next) next = pointer;
}

void *scratch(u32 size) {
  u32 start = reserve(size);
  if (start == 0) refuse("there is not enough memory for this image: allow more with memory_pages or ram_mb\n");
  return (void *)start;
}

// Moves a result to where the scratch memory of the call began, which ends it all but the result.
static u64 result(u32 mark, const u8 *bytes, u32 size) {
  memmove((void *)mark, bytes, size);
  next = (mark + size + 15) & ~15u;
  live++;
  return (u64)mark << 32 | size;
}

// ── Arguments ──

typedef struct {
  u8 *at, *end;
} Text;

static const char *const usage =
    "apply_filter takes { \"image\": a text, \"filter\": \"gaussian_blur\", \"grayscale\" or \"invert\", \"radius\": 1 to 100, "
    "\"width\" and \"height\" for raw RGBA } and nothing else\n";

static int peek(Text *json) {
  while (json->at < json->end && (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' || *json->at == '\t')) json->at++;
  return json->at < json->end ? *json->at : -1;
}

static void expect(Text *json, int byte) {
  if (peek(json) != byte) refuse(usage);
  json->at++;
}

// No key, filter or base64 needs an escape, other than "\/".
static Text read_text(Text *json) {
  expect(json, '"');
  Text text = {json->at, json->at};
  for (;; json->at++) {
    if (json->at >= json->end) refuse(usage);
    if (*json->at == '"') break;
    if (*json->at == '\\' && (json->at + 1 >= json->end || *++json->at != '/')) refuse(usage);
    *text.end++ = *json->at;
  }
  json->at++;
  return text;
}

static u32 read_number(Text *json) {
  u32 value = 0, digits = 0;
  for (peek(json); json->at < json->end && *json->at >= '0' && *json->at <= '9'; json->at++) {
    value = value * 10 + (*json->at - '0');
    if (++digits > 9) refuse(usage);
  }
  if (digits == 0) refuse(usage);
  return value;
}

static int is(Text text, const char *other) {
  u32 size = text_size(other);
  if ((u32)(text.end - text.at) != size) return 0;
  for (u32 index = 0; index < size; index++)
    if (text.at[index] != (u8)other[index]) return 0;
  return 1;
}

typedef struct {
  Text image, filter;
  u32 radius, width, height;
} Arguments;

static Arguments read_arguments(u8 *bytes, u32 size) {
  Arguments given = {{0, 0}, {0, 0}, 5, 0, 0};
  Text json = {bytes, bytes + size};
  expect(&json, '{');
  for (;;) {
    Text key = read_text(&json);
    expect(&json, ':');
    if (is(key, "image")) given.image = read_text(&json);
    else if (is(key, "filter")) given.filter = read_text(&json);
    else if (is(key, "radius")) given.radius = read_number(&json);
    else if (is(key, "width")) given.width = read_number(&json);
    else if (is(key, "height")) given.height = read_number(&json);
    else refuse(usage);
    if (peek(&json) == '}') break;
    expect(&json, ',');
  }
  json.at++;
  if (peek(&json) != -1 || given.image.at == 0 || given.filter.at == 0) refuse(usage);
  return given;
}

// ── Base64 ──

static int digit(u8 byte) {
  if (byte >= 'A' && byte <= 'Z') return byte - 'A';
  if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
  if (byte >= '0' && byte <= '9') return byte - '0' + 52;
  if (byte == '+' || byte == '-') return 62;
  if (byte == '/' || byte == '_') return 63;
  return -1;
}

// In place, since bytes take less room than their text.
static u32 from_base64(Text text) {
  u8 *out = text.at;
  u32 bits = 0, count = 0;
  while (text.end > text.at && text.end[-1] == '=') text.end--;
  for (const u8 *at = text.at; at < text.end; at++) {
    int value = digit(*at);
    if (value < 0) refuse("the image is not base64\n");
    bits = bits << 6 | (u32)value;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    *out++ = (u8)(bits >> count);
  }
  if (count == 6) refuse("the image is not base64: it has a wrong length\n");
  return (u32)(out - text.at);
}

static u8 *put_base64(u8 *out, const u8 *bytes, u32 size) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (u32 at = 0; at < size; at += 3) {
    u32 left = size - at;
    u32 bits = bytes[at] << 16 | (left > 1 ? bytes[at + 1] << 8 : 0) | (left > 2 ? bytes[at + 2] : 0);
    *out++ = (u8)digits[bits >> 18];
    *out++ = (u8)digits[bits >> 12 & 63];
    *out++ = left > 1 ? (u8)digits[bits >> 6 & 63] : '=';
    *out++ = left > 2 ? (u8)digits[bits & 63] : '=';
  }
  return out;
}

// ── The functions ──

static Text after_comma(Text text) {
  static const char scheme[] = "data:";
  if ((u32)(text.end - text.at) < 5) return text;
  for (u32 index = 0; index < 5; index++)
    if (text.at[index] != (u8)scheme[index]) return text;
  for (u8 *at = text.at; at < text.end; at++)
    if (*at == ',') return (Text){at + 1, text.end};
  refuse("the image is a data: URL without data\n");
}

static Image read_image(Arguments given) {
  Text text = after_comma(given.image);
  u32 size = from_base64(text);
  if (given.width == 0 && given.height == 0) return png_read(text.at, size);
  if (given.width == 0 || given.height == 0 || (u64)given.width * given.height > pixels_max ||
      given.width * given.height * 4 != size)
    refuse("raw images have width * height * 4 bytes, RGBA, and at most 67108864 pixels\n");
  return (Image){given.width, given.height, text.at};
}

static void apply(Text filter, Image image, u32 radius) {
  if (is(filter, "gaussian_blur")) gaussian_blur(image, radius);
  else if (is(filter, "grayscale")) grayscale(image);
  else if (is(filter, "invert")) invert(image);
  else refuse("filter must be gaussian_blur, grayscale or invert\n");
}

static u8 *put_text(u8 *out, const void *text, u32 size) {
  memcpy(out, text, size);
  return out + size;
}

static u8 *put_plain(u8 *out, const char *text) { return put_text(out, text, text_size(text)); }

static u8 *put_number(u8 *out, u32 value) {
  if (value >= 10) out = put_number(out, value / 10);
  *out = (u8)('0' + value % 10);
  return out + 1;
}

EXPORT("apply_filter") u64 apply_filter(u8 *bytes, u32 size) {
  u32 mark = next;
  Arguments given = read_arguments(bytes, size);
  Image image = read_image(given);
  apply(given.filter, image, given.radius);
  u32 png_size;
  const u8 *png = png_write(image, &png_size);
  u8 *json = scratch(png_size / 3 * 4 + 256), *at = json;
  at = put_plain(at, "{\"filter\":\"");
  at = put_text(at, given.filter.at, (u32)(given.filter.end - given.filter.at));
  at = put_number(put_plain(at, "\",\"format\":\"png\",\"height\":"), image.height);
  at = put_base64(put_plain(at, ",\"image\":\""), png, png_size);
  at = put_plain(at, "\"");
  if (is(given.filter, "gaussian_blur")) at = put_number(put_plain(at, ",\"radius\":"), given.radius);
  at = put_plain(put_number(put_plain(at, ",\"width\":"), image.width), "}");
  return result(mark, json, (u32)(at - json));
}

EXPORT("process") u64 process(u8 *bytes, u32 size) {
  u32 mark = next;
  Image image = png_read(bytes, size);
  gaussian_blur(image, 5);
  u32 png_size;
  const u8 *png = png_write(image, &png_size);
  return result(mark, png, png_size);
}

// The blur alone, in place over 8-bit RGBA in the module's memory: what bench/wasm-kernels.ts measures.
EXPORT("blur_pixels") void blur_pixels(u8 *pixels, u32 width, u32 height, u32 radius) {
  u32 mark = next;
  gaussian_blur((Image){width, height, pixels}, radius);
  next = mark;
}
