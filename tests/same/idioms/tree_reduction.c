/* Members add up in pairs, by thread number, with a barrier after each round. */
#include "idiom.h"

void idiom(void) {
  int threads = omp_get_max_threads();
  long part[64] = {0};
#pragma omp parallel num_threads(threads)
  {
    int me = omp_get_thread_num();
    part[me] = 1 + me;
    for (int step = 1; step < threads; step *= 2) {
#pragma omp barrier
      if (me % (2 * step) == 0 && me + step < threads) part[me] += part[me + step];
    }
  }
  printf("sum %ld of %d\n", part[0], threads);
}
