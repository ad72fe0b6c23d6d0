/* Records which thread does which chunk of a static loop: two loops with nowait rely on it. */
#include "idiom.h"

void idiom(void) {
  enum { kWork = 60 };
  char owner[kWork + 1] = {0};
  int moved = 0;
#pragma omp parallel reduction(+ : moved)
  {
#pragma omp for schedule(static, 3) nowait
    for (int i = 0; i < kWork; i++) owner[i] = '0' + omp_get_thread_num();
#pragma omp for schedule(static, 3)
    for (int i = 0; i < kWork; i++) moved += owner[i] != '0' + omp_get_thread_num();
  }
  printf("%s moved %d\n", owner, moved);
}
