/* Constructs that divide the work among the threads that come, in every schedule. */
#include "idiom.h"

enum { kWork = 2000 };
static int done[kWork];

static int wrong(void) {
  int count = 0;
  for (int i = 0; i < kWork; i++) count += done[i] != 1;
  memset(done, 0, sizeof done);
  return count;
}

#define LOOP(text)                                         \
  _Pragma(text) for (int i = 0; i < kWork; i++) done[i]++; \
  printf(" %d", wrong());

void idiom(void) {
  LOOP("omp parallel for schedule(static, 7)")
  LOOP("omp parallel for schedule(dynamic)")
  LOOP("omp parallel for schedule(guided)")
  LOOP("omp parallel for schedule(runtime)")
  LOOP("omp parallel for schedule(auto)")
  LOOP("omp parallel for schedule(monotonic : dynamic, 3)")
  LOOP("omp parallel for schedule(nonmonotonic : guided, 2)")
  LOOP("omp parallel for num_threads(3)")
  LOOP("omp parallel for schedule(dynamic, 5) num_threads(3)")
  LOOP("omp parallel for simd")
  long last = -1, sum = 0, scanned = 0;
#pragma omp parallel for lastprivate(last) reduction(+ : sum)
  for (int i = 0; i < kWork; i++) sum += last = i;
#pragma omp parallel for reduction(inscan, + : scanned)
  for (int i = 0; i < kWork; i++) {
    scanned++;
#pragma omp scan inclusive(scanned)
    done[i] = scanned == i + 1;
  }
  printf(" %d last %ld sum %ld\n", wrong(), last, sum);
}
