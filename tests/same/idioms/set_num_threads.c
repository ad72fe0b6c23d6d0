/* The count changes from region to region, down and up again. */
#include "idiom.h"

static int team(void) {
  int count = 0;
#pragma omp parallel reduction(+ : count)
  count++;
  return count;
}

void idiom(void) {
  int start = omp_get_max_threads(), clause = 0;
  printf("%d", team());
  for (int n = 1; n <= 6; n++) {
    omp_set_num_threads(n);
    printf(" %d", team());
  }
#pragma omp parallel num_threads(7) reduction(+ : clause)
  clause++;
  omp_set_num_threads(start);
  printf(" %d %d\n", clause, team());
}
