/* Critical parts, locks of both kinds, atomics. */
#include "idiom.h"

void idiom(void) {
  omp_lock_t lock;
  omp_nest_lock_t nest;
  long plain = 0, named = 0, locked = 0, nested = 0, captured = 0;
  omp_init_lock(&lock);
  omp_init_nest_lock(&nest);
#pragma omp parallel
  for (int i = 0; i < 200; i++) {
    long mine;
#pragma omp critical
    plain++;
#pragma omp critical(name)
    named++;
    omp_set_lock(&lock);
    locked++;
    omp_unset_lock(&lock);
    omp_set_nest_lock(&nest);
    omp_set_nest_lock(&nest);
    nested++;
    omp_unset_nest_lock(&nest);
    omp_unset_nest_lock(&nest);
#pragma omp atomic capture
    mine = ++captured;
    if (mine < 1) abort();
  }
  printf("%ld %ld %ld %ld %ld\n", plain, named, locked, nested, captured);
  omp_destroy_lock(&lock);
  omp_destroy_nest_lock(&nest);
}
