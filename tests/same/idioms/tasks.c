/* One member makes tasks, all run them: recursion, dependences, groups. */
#include "idiom.h"

static long fibonacci(int n) {
  long x, y;
  if (n < 2) return n;
#pragma omp task shared(x) if (n > 12)
  x = fibonacci(n - 1);
#pragma omp task shared(y) if (n > 12)
  y = fibonacci(n - 2);
#pragma omp taskwait
  return x + y;
}

void idiom(void) {
  long number = 0, chain = 1, group = 0;
#pragma omp parallel
#pragma omp single
  {
    number = fibonacci(20);
    for (int i = 0; i < 10; i++) {
#pragma omp task depend(inout : chain)
      chain = chain * 3 % 1001;
    }
#pragma omp taskgroup task_reduction(+ : group)
    for (int i = 0; i < 50; i++) {
#pragma omp task in_reduction(+ : group)
      group += i;
    }
  }
  printf("%ld %ld %ld\n", number, chain, group);
}
