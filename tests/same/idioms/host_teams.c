/* A league of teams on the host, each with regions of its own. */
#include "idiom.h"

void idiom(void) {
  int members[2] = {0}, teams = 0;
#pragma omp teams num_teams(2) thread_limit(3)
  {
    int team = omp_get_team_num();
    if (team == 0) WRITE(teams, omp_get_num_teams());
#pragma omp parallel num_threads(3)
#pragma omp atomic
    members[team]++;
  }
  printf("teams %d, members %d %d\n", teams, members[0], members[1]);
}
