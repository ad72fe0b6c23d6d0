/* OMP_DYNAMIC=false in the environment says the same as omp_set_dynamic(0). */
#define NEEDS "OMP_DYNAMIC=false"
#include "idiom.h"

void idiom(void) {
  int plain = 0, clause = 0;
#pragma omp parallel reduction(+ : plain)
  plain++;
#pragma omp parallel num_threads(3) reduction(+ : clause)
  clause++;
  printf("dynamic %d, teams %d %d\n", omp_get_dynamic(), plain, clause);
}
