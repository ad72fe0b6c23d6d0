/* A careful program: it turns dynamic teams off, and then trusts the number it asked for. */
#include "idiom.h"

void idiom(void) {
  int seen = 0, threads = omp_get_max_threads();
  omp_set_dynamic(0);
#pragma omp parallel reduction(+ : seen)
  seen += 1 << omp_get_thread_num();
  printf("dynamic %d, members %x of %d\n", omp_get_dynamic(), seen, threads);
}
