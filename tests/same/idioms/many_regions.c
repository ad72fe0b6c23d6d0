/* A time step of many short regions with work between them: every one counts its members. */
#include "idiom.h"

void idiom(void) {
  long members = 0, steps = 0;
  for (int step = 0; step < 300; step++) {
#pragma omp parallel
    {
#pragma omp atomic
      members++;
#pragma omp barrier
#pragma omp single
      steps += omp_get_num_threads();
    }
  }
  printf("members %ld, sizes %ld\n", members, steps);
}
