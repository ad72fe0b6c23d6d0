/* A search that ends the loop for all threads, and a region that is left early. */
#define NEEDS "OMP_CANCELLATION=true"
#include "idiom.h"

void idiom(void) {
  int found = 0, left = 0, members = 0;
#pragma omp parallel reduction(+ : members)
  {
    members++;
#pragma omp for
    for (int i = 0; i < 5000; i++) {
      if (i == 77) {
#pragma omp atomic
        found++;
#pragma omp cancel for
      }
#pragma omp cancellation point for
    }
  }
#pragma omp parallel
  {
#pragma omp cancel parallel
#pragma omp atomic
    left++;
  }
  printf("may cancel %d, found %d, went on %d, members %d\n", omp_get_cancellation(), found, left,
         members);
}
