/* The member that later works on a page touches it first: `schedule(static)` promises the same
   owner to teams of the same size. */
#include "idiom.h"

void idiom(void) {
  enum { kPages = 1000 };
  int owner[kPages], moved = 0, threads = omp_get_max_threads();
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int i = 0; i < kPages; i++) owner[i] = omp_get_thread_num();
  middle();
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1) reduction(+ : moved)
  for (int i = 0; i < kPages; i++) moved += owner[i] != omp_get_thread_num();
  printf("moved %d, last owner %d\n", moved, owner[kPages - 1]);
}
