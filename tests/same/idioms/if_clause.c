/* Regions that are serial if the work is small. */
#include "idiom.h"

static int team(int work) {
  int count = 0;
#pragma omp parallel if (work > 100) reduction(+ : count)
  count++;
  return count;
}

static int team_of_clause(int work, int threads) {
  int count = 0;
#pragma omp parallel if (work > 100) num_threads(threads) reduction(+ : count)
  count++;
  return count;
}

void idiom(void) {
  int small = team(10), large = team(1000), few = team_of_clause(10, 4),
      many = team_of_clause(1000, 4);
  printf("small %d %d, large %d %d, after %d\n", small, few, large, many, team(1000));
}
