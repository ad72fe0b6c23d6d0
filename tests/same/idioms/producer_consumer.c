/* One member reads ahead while the other computes, as with files or MPI. */
#include <sched.h>

#include "idiom.h"

void idiom(void) {
  enum { kItems = 60 };
  int given = 0, taken = 0;
#pragma omp parallel num_threads(2)
  for (int i = 1; i <= kItems; i++) {
    if (omp_get_thread_num() == 0) {
      while (READ(taken) < i - 1) sched_yield();
      WRITE(given, i);
    } else {
      while (READ(given) < i) sched_yield();
      WRITE(taken, i);
    }
  }
  printf("taken %d\n", taken);
}
