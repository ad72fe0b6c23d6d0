/* The entries of old compilers: start, the caller's own part, end. LLVM's runtime has them too. */
#include "idiom.h"

void GOMP_parallel_start(void (*)(void*), void*, unsigned);
void GOMP_parallel_end(void);

static void part(void* data) {
  int* done = data;
  done[omp_get_thread_num()] = omp_get_num_threads();
}

static void region(unsigned threads) {
  int done[64] = {0};
  GOMP_parallel_start(part, done, threads);
  part(done);
  GOMP_parallel_end();
  for (int i = 0; i < 10; i++) printf("%d ", done[i]);
}

void idiom(void) {
  region(0);
  region(4);
  region(1);
  printf("\n");
}
