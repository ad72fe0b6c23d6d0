/* Threads that never sleep: slow if there are more of them than CPUs, but right. */
#define NEEDS "OMP_WAIT_POLICY=active"
#include "idiom.h"

void idiom(void) {
  long sum = 0;
  for (int i = 0; i < 20; i++) {
#pragma omp parallel reduction(+ : sum)
    sum += omp_get_thread_num() + 1;
  }
  printf("sum %ld\n", sum);
}
