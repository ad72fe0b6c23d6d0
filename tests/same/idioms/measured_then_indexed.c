/* One region measures the team, the program makes buffers of that size, and later regions index
   them by their own thread numbers. A later team that is larger writes past the end. */
#include "idiom.h"

void idiom(void) {
  int measured = 1, later = 0;
  long sum = 0;
#pragma omp parallel
#pragma omp master
  measured = omp_get_num_threads();
  long* counts = calloc(measured, sizeof(long));
  middle();
#pragma omp parallel
  {
#pragma omp master
    later = omp_get_num_threads();
#pragma omp for
    for (int i = 0; i < 1000; i++) counts[omp_get_thread_num()]++;
  }
  for (int i = 0; i < measured; i++) sum += counts[i];
  printf("measured %d, later %d, counted %ld\n", measured, later, sum);
  free(counts);
}
