/* Dynamic teams allowed: the runtime may give fewer than asked, ungoverned too, but never more. */
#include "idiom.h"

void idiom(void) {
  int team = 0, done = 0, threads = omp_get_max_threads();
  omp_set_dynamic(1);
#pragma omp parallel reduction(+ : done)
  {
    int me = omp_get_thread_num(), size = omp_get_num_threads();
    if (me == 0) team = size;
    for (int i = me; i < 1000; i += size) done++;
  }
  printf("dynamic %d, done %d, not too many %d\n", omp_get_dynamic(), done,
         team >= 1 && team <= threads);
}
