// What the parts of the module share: sizes, memory, and the way out.
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// Ends the call with exit code 1; the host shows the message.
_Noreturn void refuse(const char *message);

// Memory for the rest of the call. Refuses where there is none left.
void *scratch(u32 size);

void *memcpy(void *to, const void *from, unsigned long size);
void *memmove(void *to, const void *from, unsigned long size);
void *memset(void *to, int byte, unsigned long size);

// 8 bits each of red, green, blue and alpha, row by row.
typedef struct {
  u32 width, height;
  u8 *pixels;
} Image;

enum { pixels_max = 1 << 26 };

// png.c
Image png_read(const u8 *bytes, u32 size);
u8 *png_write(Image image, u32 *size);

// deflate.c: the zlib format. `inflate` fills exactly `out_size` bytes or refuses.
void inflate(const u8 *bytes, u32 size, u8 *out, u32 out_size);
u32 deflate_bound(u32 size);
u32 deflate(const u8 *bytes, u32 size, u8 *out);

// filters.c
void gaussian_blur(Image image, u32 radius);
void grayscale(Image image);
void invert(Image image);
