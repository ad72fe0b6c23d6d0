/* One member reads, and all get what it read. */
#include "idiom.h"

void idiom(void) {
  int token = 0, members = 0, received = 0;
#pragma omp parallel private(token) reduction(+ : members, received)
  {
    members++;
    for (int round = 1; round <= 20; round++) {
#pragma omp single copyprivate(token)
      token = round;
      received += token;
    }
  }
  printf("received %d by %d\n", received, members);
}
