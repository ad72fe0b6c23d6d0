/* Team sizes of real OpenMP regions. */
#include <omp.h>
int team_size(void) {
  int size = 0;
#pragma omp parallel
#pragma omp single
  size = omp_get_num_threads();
  return size;
}
/* Size of the inner team of each outer thread, 0 past the outer team. */
void nested_team_sizes(int outer, int* inner) {
  omp_set_max_active_levels(2);
#pragma omp parallel num_threads(outer)
  {
    const int me = omp_get_thread_num();
#pragma omp parallel
#pragma omp single
    inner[me] = omp_get_num_threads();
  }
  omp_set_max_active_levels(1);
}
