/* The work is divided by the number of CPUs. */
#include "idiom.h"

void idiom(void) {
  enum { kWork = 1000 };
  int done[kWork] = {0}, count = 0, threads = omp_get_num_procs();
#pragma omp parallel num_threads(threads)
  {
    int me = omp_get_thread_num();
    for (int i = kWork * me / threads; i < kWork * (me + 1) / threads; i++) done[i]++;
  }
  for (int i = 0; i < kWork; i++) count += done[i];
  printf("%d done by %d\n", count, threads);
}
