/* Iterations that wait for other iterations of the same loop, in one and in two dimensions. */
#include "idiom.h"

void idiom(void) {
  enum { kWork = 300, kSide = 24 };
  int chain[kWork] = {1}, grid[kSide][kSide] = {{1}};
#pragma omp parallel for ordered(1)
  for (int i = 1; i < kWork; i++) {
#pragma omp ordered depend(sink : i - 1)
    chain[i] = chain[i - 1] + 1;
#pragma omp ordered depend(source)
  }
#pragma omp parallel for ordered(2)
  for (int i = 1; i < kSide; i++) {
    for (int j = 1; j < kSide; j++) {
#pragma omp ordered depend(sink : i - 1, j) depend(sink : i, j - 1)
      grid[i][j] = (grid[i - 1][j] + grid[i][j - 1] + 1) % 1000;
#pragma omp ordered depend(source)
    }
  }
  printf("chain %d, corner %d\n", chain[kWork - 1], grid[kSide - 1][kSide - 1]);
}
