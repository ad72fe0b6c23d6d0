/* OMP_THREAD_LIMIT bounds the teams together; a program may read how many threads it got. */
#define NEEDS "OMP_THREAD_LIMIT=3"
#include "idiom.h"

void idiom(void) {
  int plain = 0, clause = 0;
#pragma omp parallel reduction(+ : plain)
  plain++;
#pragma omp parallel num_threads(6) reduction(+ : clause)
  clause++;
  printf("limit %d, at most %d, teams %d %d\n", omp_get_thread_limit(), omp_get_max_threads(),
         plain, clause);
}
