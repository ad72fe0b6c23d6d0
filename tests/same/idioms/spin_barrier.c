/* A hand-made barrier that waits for as many threads as the clause asked for. */
#include <sched.h>

#include "idiom.h"

void idiom(void) {
  int threads = omp_get_max_threads(), here = 0, passed = 0;
#pragma omp parallel num_threads(threads)
  {
    __atomic_add_fetch(&here, 1, __ATOMIC_SEQ_CST);
    while (READ(here) < threads) sched_yield();
#pragma omp atomic
    passed++;
  }
  printf("passed %d of %d\n", passed, threads);
}
