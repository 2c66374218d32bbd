#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <errno.h>
int main(int argc, char **argv) {
  char line[256]; long lines = 0, bytes = 0;
  while (fgets(line, sizeof line, stdin)) { lines++; bytes += strlen(line); }
  printf("%ld lines, %ld bytes\n", lines, bytes);
  for (int i = 1; i < argc; i++) printf("arg %s\n", argv[i]);
  const char *name = getenv("NAME");
  printf("NAME=%s\n", name ? name : "(none)");
  time_t now = time(0); struct tm *tm = gmtime(&now);
  printf("year %d\n", tm->tm_year + 1900);
  struct timespec before, after, hour = {3600, 0};
  clock_gettime(CLOCK_MONOTONIC, &before); nanosleep(&hour, 0); clock_gettime(CLOCK_MONOTONIC, &after);
  printf("slept %lld s\n", (long long)(after.tv_sec - before.tv_sec));
  unsigned char random[8]; getentropy(random, 8);
  for (int i = 0; i < 8; i++) printf("%02x", random[i]);
  printf("\ntty %d\n", isatty(1));
  FILE *file = fopen("/etc/passwd", "r");
  if (!file) fprintf(stderr, "open: %s\n", strerror(errno));
  return 3;
}
