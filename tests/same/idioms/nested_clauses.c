/* Regions within a region, each with a clause, and a result for each pair of members. */
#include "idiom.h"

void idiom(void) {
  enum { kOuter = 3, kInner = 2 };
  int done[kOuter][kInner] = {{0}}, sizes[kOuter] = {0};
  omp_set_max_active_levels(2);
#pragma omp parallel num_threads(kOuter)
  {
    int outer = omp_get_thread_num();
#pragma omp parallel num_threads(kInner)
    {
      done[outer][omp_get_thread_num()] = 1 + omp_get_ancestor_thread_num(1);
      if (omp_get_thread_num() == 0) sizes[outer] = omp_get_num_threads();
    }
  }
  for (int i = 0; i < kOuter; i++) printf("%d: %d %d of %d\n", i, done[i][0], done[i][1], sizes[i]);
}
