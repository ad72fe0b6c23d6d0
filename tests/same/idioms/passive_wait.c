/* A program that sets its own wait policy. */
#define NEEDS "OMP_WAIT_POLICY=passive"
#include "idiom.h"

void idiom(void) {
  long sum = 0;
  for (int i = 0; i < 200; i++) {
#pragma omp parallel reduction(+ : sum)
    sum += omp_get_thread_num() + 1;
  }
  printf("sum %ld\n", sum);
}
