/* Tasks with a scratch buffer for each thread of the team, sized before it. */
#include "idiom.h"

void idiom(void) {
  int threads = omp_get_max_threads();
  long *scratch = calloc(threads, sizeof(long)), sum = 0;
#pragma omp parallel
#pragma omp single
  {
    if (omp_get_num_threads() != threads) printf("a team of %d\n", omp_get_num_threads());
    for (int i = 0; i < 200; i++) {
#pragma omp task
      {
#pragma omp atomic
        scratch[omp_get_thread_num()] += i;
      }
    }
  }
  for (int i = 0; i < threads; i++) sum += scratch[i];
  printf("sum %ld\n", sum);
  free(scratch);
}
