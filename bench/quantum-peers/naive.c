// The state vector as it is first written: one loop over all amplitudes per gate, shared by two threads. Reads the circuit from its standard input: a
// line per gate, `u q` with the eight numbers of its matrix, or `x control target`. Prints the seconds that the gates took.
//   cc -O3 -march=native -pthread -DREAL=double naive.c -lm
#include <complex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define THREADS 2
#define GATES_MAX 4096

typedef REAL complex amplitude;
struct gate {
  int isDense, control, target;
  amplitude m[4];
};

static struct gate gates[GATES_MAX];
static int count, qubits;
static amplitude *state;
static pthread_barrier_t barrier;

static void dense(const struct gate *g, size_t from, size_t to) {
  const size_t stride = (size_t)1 << g->target;
  for (size_t pair = from; pair < to; pair++) {
    const size_t i = ((pair & ~(stride - 1)) << 1) | (pair & (stride - 1));
    const amplitude x = state[i], y = state[i + stride];
    state[i] = g->m[0] * x + g->m[1] * y;
    state[i + stride] = g->m[2] * x + g->m[3] * y;
  }
}

static void flip(const struct gate *g, size_t from, size_t to) {
  const size_t stride = (size_t)1 << g->target;
  for (size_t pair = from; pair < to; pair++) {
    const size_t i = ((pair & ~(stride - 1)) << 1) | (pair & (stride - 1));
    if (!((i >> g->control) & 1)) continue;
    const amplitude x = state[i];
    state[i] = state[i + stride];
    state[i + stride] = x;
  }
}

static void *work(void *argument) {
  const size_t pairs = (size_t)1 << (qubits - 1), number = (size_t)argument;
  for (int at = 0; at < count; at++) {
    const size_t from = pairs * number / THREADS, to = pairs * (number + 1) / THREADS;
    if (gates[at].isDense) dense(&gates[at], from, to);
    else flip(&gates[at], from, to);
    pthread_barrier_wait(&barrier);
  }
  return NULL;
}

int main(int arguments, char **argument) {
  if (arguments < 2) return 2;
  qubits = atoi(argument[1]);
  char kind;
  while (count < GATES_MAX && scanf(" %c", &kind) == 1) {
    struct gate *g = &gates[count++];
    g->isDense = kind == 'u';
    if (!g->isDense) {
      if (scanf("%d %d", &g->control, &g->target) != 2) return 2;
      continue;
    }
    if (scanf("%d", &g->target) != 1) return 2;
    for (int entry = 0; entry < 4; entry++) {
      double re, im;
      if (scanf("%lf %lf", &re, &im) != 2) return 2;
      g->m[entry] = (REAL)re + (REAL)im * I;
    }
  }
  state = calloc((size_t)1 << qubits, sizeof(amplitude));
  if (state == NULL) return 1;
  state[0] = 1;
  pthread_barrier_init(&barrier, NULL, THREADS);
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  pthread_t threads[THREADS];
  for (size_t number = 0; number < THREADS; number++) pthread_create(&threads[number], NULL, work, (void *)number);
  for (size_t number = 0; number < THREADS; number++) pthread_join(threads[number], NULL);
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.6f\n", (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec));
  return 0;
}
