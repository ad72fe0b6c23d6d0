/* OMP_PROC_BIND=true pins the main thread as the runtime loads: places and teams stay the same. */
#define NEEDS "OMP_PROC_BIND=true"
#include "idiom.h"

void idiom(void) {
  int members = 0;
#pragma omp parallel reduction(+ : members)
  members++;
  printf("bind %d, places %d, procs %d, at most %d, members %d\n", omp_get_proc_bind(),
         omp_get_num_places(), omp_get_num_procs(), omp_get_max_threads(), members);
}
