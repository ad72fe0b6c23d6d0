/* Two sections that wait for one another. */
#include <sched.h>

#include "idiom.h"

void idiom(void) {
  int given = 0, taken = 0;
#pragma omp parallel sections num_threads(2)
  {
#pragma omp section
    for (int i = 1; i <= 40; i++) {
      while (READ(taken) < i - 1) sched_yield();
      WRITE(given, i);
    }
#pragma omp section
    for (int i = 1; i <= 40; i++) {
      while (READ(given) < i) sched_yield();
      WRITE(taken, i);
    }
  }
  printf("taken %d\n", taken);
}
