/* waiting TEAM MICROSECONDS REGIONS [GAP]: what the waiting of whole teams costs.
 *
 * Runs REGIONS parallel regions of TEAM threads that share work of so many microseconds of one CPU,
 * with GAP microseconds of the caller's own work between two, and prints wall and CPU time a
 * region, in microseconds. bench/waiting.py runs it beside itself and beside busy neighbours. */
#define _POSIX_C_SOURCE 200809L
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void work(long turns) {
  for (volatile long i = 0; i < turns; ++i) {
  }
}

/* Turns of work() in a microsecond: the fastest of many, since other programs may be running. */
static double turns_per_microsecond(void) {
  double fastest = 0;
  for (int i = 0; i < 50; ++i) {
    const double begin = seconds(CLOCK_MONOTONIC);
    work(100000);
    const double rate = 0.1 / (seconds(CLOCK_MONOTONIC) - begin);
    if (rate > fastest) fastest = rate;
  }
  return fastest;
}

int main(int count, char** arguments) {
  if (count < 4) return 2;
  const int team = atoi(arguments[1]);
  const double rate = turns_per_microsecond();
  const long part = (long)(atof(arguments[2]) * rate / team);
  const int regions = atoi(arguments[3]);
  const long gap = count > 4 ? (long)(atof(arguments[4]) * rate) : 0;
#pragma omp parallel num_threads(team)
  work(1);
  const double wall = seconds(CLOCK_MONOTONIC);
  const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
  for (int i = 0; i < regions; ++i) {
#pragma omp parallel num_threads(team)
    work(part);
    work(gap);
  }
  printf("%.1f %.1f\n", 1e6 * (seconds(CLOCK_MONOTONIC) - wall) / regions,
         1e6 * (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / regions);
  return 0;
}
