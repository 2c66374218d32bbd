// DEFLATE (RFC 1951) within zlib (RFC 1950): reads every kind of block, writes one block with the fixed code.
#include "base.h"

static const u16 length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                    31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const u8 length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const u16 distance_base[30] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                      193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
static const u8 distance_extra[30] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                      6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};

static u32 adler32(const u8 *bytes, u32 size) {
  u32 a = 1, b = 0;
  while (size > 0) {
    u32 part = size < 5552 ? size : 5552;
    size -= part;
    while (part-- > 0) {
      a += *bytes++;
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return b << 16 | a;
}

// ── Reading ──

typedef struct {
  const u8 *at, *end;
  u64 bits;
  u32 count;
} Reader;

// Past the end zeros are read; `spent` tells.
static void fill(Reader *reader) {
  while (reader->count <= 48) {
    if (reader->at < reader->end) reader->bits |= (u64)*reader->at << reader->count;
    reader->at++;
    reader->count += 8;
  }
}

static int spent(const Reader *reader) { return reader->at > reader->end && (u32)(reader->at - reader->end) * 8 > reader->count; }

static u32 take(Reader *reader, u32 count) {
  u32 value = (u32)reader->bits & ((1u << count) - 1);
  reader->bits >>= count;
  reader->count -= count;
  return value;
}

// By the next 15 bits: symbol << 4 | length of its code, or 0 where no code begins like that.
typedef u16 Table[1 << 15];
static Table literals, distances;

static void make_table(u16 *table, const u8 *lengths, u32 symbols) {
  u32 counts[16] = {0}, next[16];
  for (u32 symbol = 0; symbol < symbols; symbol++) counts[lengths[symbol]]++;
  counts[0] = 0;
  u32 code = 0;
  for (u32 length = 1; length < 16; length++) {
    code = (code + counts[length - 1]) << 1;
    next[length] = code;
    if (code + counts[length] > 1u << length) refuse("the PNG is damaged: its compressed data has an impossible code\n");
  }
  memset(table, 0, sizeof(Table));
  for (u32 symbol = 0; symbol < symbols; symbol++) {
    u32 length = lengths[symbol];
    if (length == 0) continue;
    u32 own = next[length]++, reversed = 0;
    for (u32 bit = 0; bit < length; bit++) reversed |= (own >> bit & 1) << (length - 1 - bit);
    for (u32 index = reversed; index < 1 << 15; index += 1u << length) table[index] = (u16)(symbol << 4 | length);
  }
}

static u32 symbol(Reader *reader, const u16 *table) {
  u32 entry = table[reader->bits & 0x7fff];
  if (entry == 0) refuse("the PNG is damaged: its compressed data has a code of no symbol\n");
  take(reader, entry & 15);
  return entry >> 4;
}

static void fixed_tables(void) {
  u8 lengths[288];
  memset(lengths, 8, 144);
  memset(lengths + 144, 9, 112);
  memset(lengths + 256, 7, 24);
  memset(lengths + 280, 8, 8);
  make_table(literals, lengths, 288);
  memset(lengths, 5, 30);
  make_table(distances, lengths, 30);
}

static void dynamic_tables(Reader *reader) {
  static const u8 order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  fill(reader);
  u32 literal_count = take(reader, 5) + 257, distance_count = take(reader, 5) + 1, code_count = take(reader, 4) + 4;
  if (literal_count > 286 || distance_count > 30) refuse("the PNG is damaged: its compressed data has too many codes\n");
  u8 lengths[320] = {0};
  for (u32 index = 0; index < code_count; index++) {
    fill(reader);
    lengths[order[index]] = (u8)take(reader, 3);
  }
  make_table(literals, lengths, 19);
  u32 all = literal_count + distance_count;
  for (u32 index = 0; index < all;) {
    fill(reader);
    u32 code = symbol(reader, literals);
    if (code < 16) {
      lengths[index++] = (u8)code;
      continue;
    }
    if (code == 16 && index == 0) refuse("the PNG is damaged: its compressed data repeats nothing\n");
    u8 repeated = code == 16 ? lengths[index - 1] : 0;
    u32 times = code == 16 ? take(reader, 2) + 3 : code == 17 ? take(reader, 3) + 3 : take(reader, 7) + 11;
    if (index + times > all) refuse("the PNG is damaged: its compressed data has too many codes\n");
    while (times-- > 0) lengths[index++] = repeated;
  }
  make_table(literals, lengths, literal_count);
  make_table(distances, lengths + literal_count, distance_count);
}

static const char *const too_short = "the PNG is damaged: its compressed data ends too early\n";
static const char *const too_long = "the PNG is damaged: it holds more data than its size needs\n";

static u32 read_stored(Reader *reader, u8 *out, u32 at, u32 out_size) {
  take(reader, reader->count & 7);
  const u8 *from = reader->at - reader->count / 8;
  if (reader->end - from < 4) refuse(too_short);
  u32 length = from[0] | from[1] << 8, check = from[2] | from[3] << 8;
  from += 4;
  if ((length ^ 0xffff) != check) refuse("the PNG is damaged: a stored block has a wrong length\n");
  if ((u32)(reader->end - from) < length) refuse(too_short);
  if (length > out_size - at) refuse(too_long);
  memcpy(out + at, from, length);
  *reader = (Reader){from + length, reader->end, 0, 0};
  return at + length;
}

static u32 read_coded(Reader *reader, u8 *out, u32 at, u32 out_size) {
  for (;;) {
    fill(reader);
    if (spent(reader)) refuse(too_short);
    u32 code = symbol(reader, literals);
    if (code < 256) {
      if (at == out_size) refuse(too_long);
      out[at++] = (u8)code;
      continue;
    }
    if (code == 256) return at;
    if (code > 285) refuse("the PNG is damaged: its compressed data has an impossible length\n");
    u32 length = length_base[code - 257] + take(reader, length_extra[code - 257]);
    u32 far = symbol(reader, distances);
    if (far > 29) refuse("the PNG is damaged: its compressed data has an impossible distance\n");
    u32 distance = distance_base[far] + take(reader, distance_extra[far]);
    if (distance > at) refuse("the PNG is damaged: its compressed data refers to before its beginning\n");
    if (length > out_size - at) refuse(too_long);
    for (u8 *to = out + at, *end = to + length; to < end; to++) *to = to[-(int)distance];
    at += length;
  }
}

void inflate(const u8 *bytes, u32 size, u8 *out, u32 out_size) {
  if (size < 6 || (bytes[0] & 15) != 8 || (bytes[0] << 8 | bytes[1]) % 31 != 0 || (bytes[1] & 32) != 0)
    refuse("the PNG is damaged: its data is not compressed as PNG says\n");
  Reader reader = {bytes + 2, bytes + size - 4, 0, 0};
  u32 at = 0, last;
  do {
    fill(&reader);
    last = take(&reader, 1);
    u32 kind = take(&reader, 2);
    if (spent(&reader)) refuse(too_short);
    if (kind == 3) refuse("the PNG is damaged: its compressed data has an unknown block\n");
    if (kind == 1) fixed_tables();
    if (kind == 2) dynamic_tables(&reader);
    at = kind == 0 ? read_stored(&reader, out, at, out_size) : read_coded(&reader, out, at, out_size);
  } while (!last);
  if (spent(&reader) || at != out_size) refuse(too_short);
  const u8 *sum = bytes + size - 4;
  if (adler32(out, out_size) != ((u32)sum[0] << 24 | sum[1] << 16 | sum[2] << 8 | sum[3]))
    refuse("the PNG is damaged: the checksum of its data is wrong\n");
}

// ── Writing ──

typedef struct {
  u8 *at;
  u64 bits;
  u32 count;
} Writer;

static void put(Writer *writer, u32 value, u32 count) {
  writer->bits |= (u64)value << writer->count;
  writer->count += count;
  while (writer->count >= 8) {
    *writer->at++ = (u8)writer->bits;
    writer->bits >>= 8;
    writer->count -= 8;
  }
}

static void put_code(Writer *writer, u32 code, u32 count) {
  u32 reversed = 0;
  for (u32 bit = 0; bit < count; bit++) reversed |= (code >> bit & 1) << (count - 1 - bit);
  put(writer, reversed, count);
}

static void put_literal(Writer *writer, u32 code) {
  if (code < 144) put_code(writer, 0x30 + code, 8);
  else if (code < 256) put_code(writer, 0x190 + code - 144, 9);
  else if (code < 280) put_code(writer, code - 256, 7);
  else put_code(writer, 0xc0 + code - 280, 8);
}

static void put_match(Writer *writer, u32 length, u32 distance) {
  u32 code = 28;
  while (length_base[code] > length) code--;
  put_literal(writer, 257 + code);
  put(writer, length - length_base[code], length_extra[code]);
  code = 29;
  while (distance_base[code] > distance) code--;
  put_code(writer, code, 5);
  put(writer, distance - distance_base[code], distance_extra[code]);
}

// 9 bits for each byte at worst, and the frame.
u32 deflate_bound(u32 size) { return size + size / 8 + 16; }

enum { window = 32768, tries = 16, hash_bits = 15 };
static u32 heads[1 << hash_bits], chain[window];

static u32 hash(const u8 *at) { return ((u32)(at[0] | at[1] << 8 | at[2] << 16) * 2654435761u) >> (32 - hash_bits); }

static u32 same(const u8 *a, const u8 *b, u32 most) {
  u32 length = 0;
  while (length < most && a[length] == b[length]) length++;
  return length;
}

u32 deflate(const u8 *bytes, u32 size, u8 *out) {
  Writer writer = {out, 0, 0};
  put(&writer, 0x78, 8);
  put(&writer, 0x9c, 8);
  put(&writer, 3, 3);
  memset(heads, 0, sizeof heads);
  for (u32 at = 0; at < size;) {
    u32 best = 0, distance = 0, most = size - at < 258 ? size - at : 258;
    u32 covered = 1;
    if (most >= 3) {
      u32 candidate = heads[hash(bytes + at)];
      for (u32 left = tries; left > 0 && candidate > 0 && at - (candidate - 1) < window; left--) {
        u32 length = same(bytes + candidate - 1, bytes + at, most);
        if (length > best) {
          best = length;
          distance = at - (candidate - 1);
        }
        candidate = chain[(candidate - 1) % window];
      }
    }
    if (best >= 4 || (best == 3 && distance < 4096)) {
      put_match(&writer, best, distance);
      covered = best;
    } else {
      put_literal(&writer, bytes[at]);
    }
    for (u32 end = at + covered; at < end; at++) {
      if (size - at < 3) continue;
      u32 *head = &heads[hash(bytes + at)];
      chain[at % window] = *head;
      *head = at + 1;
    }
  }
  put_literal(&writer, 256);
  put(&writer, 0, (8 - writer.count) & 7);
  u32 sum = adler32(bytes, size);
  for (int shift = 24; shift >= 0; shift -= 8) *writer.at++ = (u8)(sum >> shift);
  return (u32)(writer.at - out);
}
