/* What members keep from one region to the next; and copyin. */
#include "idiom.h"

static int base;
static long kept;
#pragma omp threadprivate(base, kept)

void idiom(void) {
  long sum = 0;
  base = 7;
  omp_set_dynamic(0);
#pragma omp parallel copyin(base)
  {
    kept = 0;
#pragma omp for
    for (int i = 0; i < 1000; i++) kept += base;
  }
  middle();
#pragma omp parallel reduction(+ : sum)
  sum += kept;
  printf("kept %ld\n", sum);
}
