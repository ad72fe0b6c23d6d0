/* Everything that a member can ask about its team. */
#include "idiom.h"

void idiom(void) {
  int facts[64][7] = {{0}}, team = 0, chunk = 0;
  omp_sched_t kind;
  omp_get_schedule(&kind, &chunk);
#pragma omp parallel
  {
    int me = omp_get_thread_num();
    int now[] = {omp_get_num_threads(),
                 omp_get_max_threads(),
                 omp_in_parallel(),
                 omp_get_level(),
                 omp_get_active_level(),
                 omp_get_team_size(1),
                 omp_get_ancestor_thread_num(1)};
    memcpy(facts[me], now, sizeof now);
#pragma omp master
    team = omp_get_num_threads();
  }
  printf("outside %d %d %d %d %d %d %d %d\n", omp_get_num_threads(), omp_get_max_threads(),
         omp_in_parallel(), omp_get_num_procs(), omp_get_dynamic(), omp_get_max_active_levels(),
         (int)kind, chunk);
  for (int i = 0; i < team; i++) {
    for (int k = 0; k < 7; k++) printf("%d ", facts[i][k]);
    printf("\n");
  }
}
