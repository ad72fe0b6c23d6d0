/* Loops cut into tasks. */
#include "idiom.h"

void idiom(void) {
  long sum = 0;
  int done[300] = {0}, missing = 0;
#pragma omp parallel
#pragma omp single
  {
#pragma omp taskloop reduction(+ : sum)
    for (int i = 0; i < 1000; i++) sum += i;
#pragma omp taskloop grainsize(7)
    for (int i = 0; i < 300; i++) done[i]++;
  }
  for (int i = 0; i < 300; i++) missing += done[i] != 1;
  printf("sum %ld, missing %d\n", sum, missing);
}
