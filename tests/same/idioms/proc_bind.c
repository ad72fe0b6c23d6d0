/* Members bound to places. */
#include "idiom.h"

void idiom(void) {
  int members = 0, bind = -1;
#pragma omp parallel num_threads(2) proc_bind(spread) reduction(+ : members)
  {
    members++;
#pragma omp master
    bind = omp_get_proc_bind();
  }
#pragma omp parallel proc_bind(close) reduction(+ : members)
  members += 10;
  printf("bind %d, members %d, places %d\n", bind, members, omp_get_num_places());
}
