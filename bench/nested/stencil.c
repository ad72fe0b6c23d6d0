// An OpenMP program as a user writes it: a smoothing sweep and a reduction for each step, without a
// clause. `rows` numbers, `steps` sweeps; returns what is left of the initial values.
#include <stdlib.h>

double stencil(int rows, int steps, int seed) {
  double* now = malloc(sizeof(double) * (size_t)rows);
  double* next = malloc(sizeof(double) * (size_t)rows);
  double left = 0;
#pragma omp parallel for
  for (int i = 0; i < rows; i++) now[i] = next[i] = (i * 2654435761U + (unsigned)seed) % 1000 / 1e3;
  for (int step = 0; step < steps; step++) {
#pragma omp parallel for schedule(static)
    for (int i = 1; i < rows - 1; i++) next[i] = (now[i - 1] + 2 * now[i] + now[i + 1]) / 4;
    double* before = now;
    now = next;
    next = before;
    left = 0;
#pragma omp parallel for reduction(+ : left)
    for (int i = 0; i < rows; i++) left += now[i];
  }
  free(now);
  free(next);
  return left;
}
