/* As LULESH finds its time step: each member leaves its minimum, and the caller takes the least. */
#include "idiom.h"

void idiom(void) {
  int threads = omp_get_max_threads();
  double* least = malloc(sizeof(double) * threads);
  for (int i = 0; i < threads; i++) least[i] = -1;
#pragma omp parallel
  {
    double mine = 1e20;
#pragma omp for
    for (int i = 0; i < 1000; i++)
      if (mine > i + 1) mine = i + 1;
    least[omp_get_thread_num()] = mine;
  }
  for (int i = 1; i < threads; i++)
    if (least[i] < least[0]) least[0] = least[i];
  printf("least %g\n", least[0]);
  free(least);
}
