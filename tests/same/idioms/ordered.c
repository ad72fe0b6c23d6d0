/* Parts of a loop in order, with and without chunks. */
#include "idiom.h"

void idiom(void) {
  enum { kWork = 500 };
  int at = 0, misplaced = 0;
#pragma omp parallel for ordered
  for (int i = 0; i < kWork; i++) {
#pragma omp ordered
    misplaced += at++ != i;
  }
#pragma omp parallel for ordered schedule(dynamic, 4) num_threads(4)
  for (int i = 0; i < kWork; i++) {
#pragma omp ordered
    misplaced += at++ != kWork + i;
  }
  printf("at %d, misplaced %d\n", at, misplaced);
}
