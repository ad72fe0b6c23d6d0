/* Partial sums in floating point, added in the order of thread numbers: the last bits tell how
   large the team was. */
#include "idiom.h"

void idiom(void) {
  double part[64] = {0}, sum = 0;
#pragma omp parallel
  {
    double mine = 0;
#pragma omp for schedule(static)
    for (int i = 1; i < 20000; i++) mine += 1.0 / i;
    part[omp_get_thread_num()] = mine;
  }
  for (int i = 0; i < 64; i++) sum += part[i];
  printf("%a\n", sum);
}
