// PNG: reads every colour type and depth without interlacing, writes 8 bits of RGB, or of RGBA where something is transparent.
#include "base.h"

static const u8 signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static u32 crc_table[256];

static u32 crc32(const u8 *bytes, u32 size) {
  if (crc_table[1] == 0) {
    for (u32 byte = 0; byte < 256; byte++) {
      u32 value = byte;
      for (int bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320u ^ value >> 1 : value >> 1;
      crc_table[byte] = value;
    }
  }
  u32 crc = ~0u;
  for (u32 index = 0; index < size; index++) crc = crc_table[(crc ^ bytes[index]) & 255] ^ crc >> 8;
  return ~crc;
}

static u32 read32(const u8 *at) { return (u32)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]; }

static u8 *write32(u8 *at, u32 value) {
  for (int shift = 24; shift >= 0; shift -= 8) *at++ = (u8)(value >> shift);
  return at;
}

static u32 paeth(u32 left, u32 up, u32 corner) {
  int guess = (int)(left + up - corner);
  int a = guess - (int)left, b = guess - (int)up, c = guess - (int)corner;
  if (a < 0) a = -a;
  if (b < 0) b = -b;
  if (c < 0) c = -c;
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

typedef struct {
  u32 width, height, depth, colour, channels;
  u8 palette[256][4];
  u32 colours;
  // The samples that stand for "transparent" in pictures without alpha.
  int has_key;
  u32 key[3];
  u8 *data;
  u32 data_size;
} Parts;

static void read_header(Parts *parts, const u8 *at, u32 size) {
  if (size != 13) refuse("the PNG is damaged: its header has a wrong length\n");
  parts->width = read32(at);
  parts->height = read32(at + 4);
  parts->depth = at[8];
  parts->colour = at[9];
  u32 depth = parts->depth, colour = parts->colour;
  int small = depth == 1 || depth == 2 || depth == 4, large = depth == 8 || depth == 16;
  int valid = colour == 0 ? small || large : colour == 3 ? small || depth == 8 : (colour == 2 || colour == 4 || colour == 6) && large;
  if (!valid || at[10] != 0 || at[11] != 0) refuse("the PNG is damaged: its header names an unknown form\n");
  if (at[12] != 0) refuse("the PNG is interlaced, which this module does not read: save it without interlacing\n");
  if (parts->width == 0 || parts->height == 0 || parts->width > pixels_max || parts->height > pixels_max / parts->width)
    refuse("the image is too large: at most 67108864 pixels can be processed\n");
  parts->channels = colour == 2 ? 3 : colour == 4 ? 2 : colour == 6 ? 4 : 1;
}

static void read_palette(Parts *parts, const u8 *at, u32 size) {
  if (size % 3 != 0 || size > 768) refuse("the PNG is damaged: its palette has a wrong length\n");
  parts->colours = size / 3;
  for (u32 index = 0; index < size / 3; index++) {
    memcpy(parts->palette[index], at + 3 * index, 3);
    parts->palette[index][3] = 255;
  }
}

static void read_transparency(Parts *parts, const u8 *at, u32 size) {
  if (parts->colour == 3) {
    for (u32 index = 0; index < size && index < parts->colours; index++) parts->palette[index][3] = at[index];
  } else if (size == 2 * parts->channels && parts->colour < 3) {
    parts->has_key = 1;
    for (u32 index = 0; index < parts->channels; index++) parts->key[index] = at[2 * index] << 8 | at[2 * index + 1];
  }
}

static u32 name(const char *text) { return read32((const u8 *)text); }

static void read_chunks(Parts *parts, const u8 *bytes, u32 size) {
  parts->data = scratch(size);
  for (u32 at = 8;;) {
    if (size - at < 12 || read32(bytes + at) > size - at - 12) refuse("the PNG is damaged: it ends too early\n");
    u32 length = read32(bytes + at), kind = read32(bytes + at + 4);
    const u8 *body = bytes + at + 8;
    if (crc32(body - 4, length + 4) != read32(body + length)) refuse("the PNG is damaged: the checksum of a part is wrong\n");
    if ((at == 8) != (kind == name("IHDR"))) refuse("the PNG is damaged: it must begin with its header\n");
    if (kind == name("IHDR")) read_header(parts, body, length);
    else if (kind == name("PLTE")) read_palette(parts, body, length);
    else if (kind == name("tRNS")) read_transparency(parts, body, length);
    else if (kind == name("IEND")) return;
    else if (kind == name("IDAT")) {
      memcpy(parts->data + parts->data_size, body, length);
      parts->data_size += length;
    } else if ((kind >> 29 & 1) == 0) {
      refuse("the PNG needs a feature that this module does not know\n");
    }
    at += length + 12;
  }
}

static void unfilter(u8 *row, const u8 *above, u32 size, u32 step, u32 kind) {
  if (kind > 4) refuse("the PNG is damaged: a row has an unknown filter\n");
  for (u32 index = 0; index < size; index++) {
    u32 left = index < step ? 0 : row[index - step], up = above[index], corner = index < step ? 0 : above[index - step];
    u32 add = kind == 1 ? left : kind == 2 ? up : kind == 3 ? (left + up) / 2 : kind == 4 ? paeth(left, up, corner) : 0;
    row[index] = (u8)(row[index] + add);
  }
}

static u32 sample(const u8 *row, u32 index, u32 depth) {
  if (depth == 8) return row[index];
  if (depth == 16) return row[2 * index] << 8 | row[2 * index + 1];
  u32 bit = index * depth;
  return row[bit / 8] >> (8 - depth - bit % 8) & ((1u << depth) - 1);
}

static void read_row(const Parts *parts, const u8 *row, u8 *out) {
  u32 depth = parts->depth, channels = parts->channels;
  // What a sample is multiplied by to fill 8 bits; of 16 bits the upper 8 are taken.
  u32 scale = depth < 8 ? 255 / ((1u << depth) - 1) : 1, shift = depth == 16 ? 8 : 0;
  for (u32 x = 0; x < parts->width; x++, out += 4) {
    u32 given[4];
    int keyed = parts->has_key;
    for (u32 channel = 0; channel < channels; channel++) {
      given[channel] = sample(row, x * channels + channel, depth);
      keyed = keyed && given[channel] == parts->key[channel];
    }
    if (parts->colour == 3) {
      if (given[0] >= parts->colours) refuse("the PNG is damaged: a pixel has a colour that is not in the palette\n");
      memcpy(out, parts->palette[given[0]], 4);
      continue;
    }
    for (u32 channel = 0; channel < channels; channel++) given[channel] = given[channel] * scale >> shift;
    int gray = channels < 3;
    out[0] = (u8)given[0];
    out[1] = (u8)given[gray ? 0 : 1];
    out[2] = (u8)given[gray ? 0 : 2];
    out[3] = channels % 2 == 0 ? (u8)given[channels - 1] : keyed ? 0 : 255;
  }
}

Image png_read(const u8 *bytes, u32 size) {
  for (u32 index = 0; index < 8; index++)
    if (index >= size || bytes[index] != signature[index])
      refuse("the image is no PNG; give a PNG in base64, or width and height with 8-bit RGBA in base64\n");
  static Parts parts;
  memset(&parts, 0, sizeof parts);
  read_chunks(&parts, bytes, size);
  u32 bits = parts.channels * parts.depth;
  u64 row_size = ((u64)parts.width * bits + 7) / 8;
  if ((row_size + 1) * parts.height > 0x7fffffff) refuse("the image is too large for the memory of a module\n");
  u32 stride = (u32)row_size + 1;
  u8 *rows = scratch(stride * parts.height), *above = scratch(stride);
  memset(above, 0, stride);
  inflate(parts.data, parts.data_size, rows, stride * parts.height);
  Image image = {parts.width, parts.height, scratch(parts.width * parts.height * 4)};
  for (u32 y = 0; y < parts.height; y++) {
    u8 *row = rows + y * stride + 1;
    unfilter(row, above, stride - 1, (bits + 7) / 8, row[-1]);
    read_row(&parts, row, image.pixels + (u64)y * parts.width * 4);
    above = row;
  }
  return image;
}

// The filter that leaves the smallest numbers compresses best, mostly.
static void filter_row(const u8 *row, const u8 *above, u32 size, u32 step, u8 *out, u8 *attempt) {
  u32 best = ~0u;
  for (u32 kind = 0; kind < 5; kind++) {
    u32 sum = 0;
    for (u32 index = 0; index < size; index++) {
      u32 left = index < step ? 0 : row[index - step], up = above[index], corner = index < step ? 0 : above[index - step];
      u32 less = kind == 1 ? left : kind == 2 ? up : kind == 3 ? (left + up) / 2 : kind == 4 ? paeth(left, up, corner) : 0;
      u8 value = (u8)(row[index] - less);
      attempt[index] = value;
      sum += value < 128 ? value : 256 - value;
    }
    if (sum >= best) continue;
    best = sum;
    out[0] = (u8)kind;
    memcpy(out + 1, attempt, size);
  }
}

static u8 *chunk_end(u8 *start, u8 *end) {
  write32(start, (u32)(end - start) - 8);
  return write32(end, crc32(start + 4, (u32)(end - start) - 4));
}

u8 *png_write(Image image, u32 *size) {
  u32 count = image.width * image.height, channels = 3;
  for (u32 index = 0; index < count && channels == 3; index++)
    if (image.pixels[4 * index + 3] != 255) channels = 4;
  u32 row_size = image.width * channels, stride = row_size + 1;
  if ((u64)stride * image.height > 0x3fffffff) refuse("the image is too large for the memory of a module\n");
  u8 *filtered = scratch(stride * image.height), *attempt = scratch(row_size), *pair = scratch(2 * row_size);
  u8 *row = pair, *above = pair + row_size;
  memset(above, 0, row_size);
  for (u32 y = 0; y < image.height; y++) {
    const u8 *from = image.pixels + (u64)y * image.width * 4;
    for (u32 x = 0; x < image.width; x++)
      for (u32 channel = 0; channel < channels; channel++) row[x * channels + channel] = from[4 * x + channel];
    filter_row(row, above, row_size, channels, filtered + y * stride, attempt);
    u8 *other = row;
    row = above;
    above = other;
  }
  u8 *out = scratch(deflate_bound(stride * image.height) + 64);
  memcpy(out, signature, 8);
  u8 *start = out + 8, *at = start + 4;
  memcpy(at, "IHDR", 4);
  at = write32(write32(at + 4, image.width), image.height);
  *at++ = 8;
  *at++ = channels == 3 ? 2 : 6;
  memset(at, 0, 3);
  start = chunk_end(start, at + 3);
  memcpy(start + 4, "IDAT", 4);
  start = chunk_end(start, start + 8 + deflate(filtered, stride * image.height, start + 8));
  memcpy(start + 4, "IEND", 4);
  *size = (u32)(chunk_end(start, start + 8) - out);
  return out;
}
