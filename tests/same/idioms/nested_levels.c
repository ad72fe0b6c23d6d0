/* What nested regions without clauses get, with one active level and with two. */
#include "idiom.h"

static int inner_team(void) {
  int team = 0;
#pragma omp parallel num_threads(2)
  {
#pragma omp single
    {
      omp_set_num_threads(3);
#pragma omp parallel
#pragma omp master
      team = 100 * omp_get_team_size(1) + 10 * omp_get_num_threads() + omp_get_active_level();
    }
  }
  return team;
}

void idiom(void) {
  omp_set_max_active_levels(1);
  int flat = inner_team();
  omp_set_max_active_levels(2);
  printf("one level %d, two levels %d\n", flat, inner_team());
}
