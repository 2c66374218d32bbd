#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int readiness = 0;

/* What C++ does for its global objects. */
__attribute__((constructor)) static void prepare(void) { readiness = 42; }

int ready(void) { return readiness; }

static int sum(const char *text) {
  int total = 0;
  for (; *text; text += 1) total += (unsigned char)*text;
  return total;
}

/* A text in, a text out, through the C library. */
char *greet(const char *name) {
  char *text = malloc(strlen(name) + 64);
  snprintf(text, strlen(name) + 64, "Hello, %s! %d, %.3f", name, sum(name), sum(name) / 7.0);
  return text;
}

static char *volatile kept;

/* Takes and fills that many MiB. The number that could be had: malloc gives none where the memory can't grow. */
int fill(int mebibytes) {
  int count = 0;
  for (; count < mebibytes; count += 1) {
    char *part = malloc(1 << 20);
    if (part == NULL) break;
    memset(part, count + 1, 1 << 20);
    kept = part;
  }
  return count;
}
