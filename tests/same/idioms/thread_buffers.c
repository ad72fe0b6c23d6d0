/* A histogram for each of omp_get_max_threads() members. Each member clears its own, and all are
   added up afterwards. If a member does not come, its buffer is garbage. */
#include "idiom.h"

void idiom(void) {
  enum { kBins = 16, kWork = 100000 };
  int threads = omp_get_max_threads();
  size_t bytes = sizeof(long) * kBins * threads;
  long *bins = malloc(bytes), sum = 0;
  memset(bins, 1, bytes);
#pragma omp parallel
  {
    long* mine = bins + kBins * omp_get_thread_num();
    memset(mine, 0, sizeof(long) * kBins);
#pragma omp for
    for (int i = 0; i < kWork; i++) mine[i % kBins]++;
  }
  for (int i = 0; i < kBins * threads; i++) sum += bins[i];
  printf("counted %ld\n", sum);
  free(bins);
}
