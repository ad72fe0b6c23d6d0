/* Children that are forked after a region and have a region of their own. Ungoverned, gcc's runtime
   waits for threads that the child does not have. */
#include <sys/wait.h>

#include "idiom.h"

static int sum_of_team(void) {
  int sum = 0;
#pragma omp parallel reduction(+ : sum)
  sum += 1;
  return sum > 0;
}

void idiom(void) {
  int ended = 0;
  sum_of_team();
  for (int i = 0; i < 5; i++) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) _exit(sum_of_team() ? 5 : 6);
    waitpid(child, &status, 0);
    ended += WIFEXITED(status) && WEXITSTATUS(status) == 5;
  }
  printf("children %d, parent %d\n", ended, sum_of_team());
}
