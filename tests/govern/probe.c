/* Regions of every kind, to look at from outside. Compiled with GCC and with Clang. */
#include <omp.h>

/* Clang 19 needs entries that libomp 14 does not have yet. */
#ifdef PLAIN_SCHEDULES
#define SCHEDULE(...) schedule(static)
#else
#define SCHEDULE(...) schedule(__VA_ARGS__)
#endif
#define PRAGMA(...) _Pragma(#__VA_ARGS__)
#define PARALLEL_FOR(...) PRAGMA(omp parallel for __VA_ARGS__)

typedef void (*Visit)(void);

int probe_team(void) {
  int team = 0;
#pragma omp parallel
#pragma omp single
  team = omp_get_num_threads();
  return team;
}

int probe_team_clause(int threads) {
  int team = 0;
#pragma omp parallel num_threads(threads)
#pragma omp single
  team = omp_get_num_threads();
  return team;
}

int probe_team_if(int condition) {
  int team = 0;
#pragma omp parallel if (condition)
#pragma omp single
  team = omp_get_num_threads();
  return team;
}

int probe_team_clause_if(int threads, int condition) {
  int team = 0;
#pragma omp parallel num_threads(threads) if (condition)
#pragma omp single
  team = omp_get_num_threads();
  return team;
}

/* The team of a region inside a region; *outer is the outer team. */
int probe_nested(int outer_threads, int inner_threads, int* outer) {
  int inner = 0;
  omp_set_max_active_levels(2);
#pragma omp parallel num_threads(outer_threads)
  {
#pragma omp single
    *outer = omp_get_num_threads();
    int mine = 0;
#pragma omp parallel num_threads(inner_threads)
#pragma omp single
    mine = omp_get_num_threads();
#pragma omp critical
    if (mine > inner) inner = mine;
  }
  omp_set_max_active_levels(1);
  return inner;
}

/* Each thread of a team calls visit. */
int probe_visit(int threads, Visit visit) {
  int team = 0;
#pragma omp parallel num_threads(threads)
  {
    visit();
#pragma omp single
    team = omp_get_num_threads();
  }
  return team;
}

/* The same sum by every schedule; 0 if one differs. */
long probe_sums(long n, int threads) {
  long sums[6] = {0};
  long total = 0;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long i = 0; i < n; ++i) {
#pragma omp atomic
    sums[0] += i;
  }
  PARALLEL_FOR(SCHEDULE(dynamic, 3) num_threads(threads))
  for (long i = 0; i < n; ++i) {
#pragma omp atomic
    sums[1] += i;
  }
  PARALLEL_FOR(SCHEDULE(guided) num_threads(threads))
  for (long i = 0; i < n; ++i) {
#pragma omp atomic
    sums[2] += i;
  }
  PARALLEL_FOR(SCHEDULE(runtime) num_threads(threads))
  for (long i = 0; i < n; ++i) {
#pragma omp atomic
    sums[3] += i;
  }
  PARALLEL_FOR(SCHEDULE(monotonic : dynamic, 2) reduction(+ : total) num_threads(threads))
  for (long i = 0; i < n; ++i) total += i;
  sums[4] = total;
  long low = 0, high = 0;
#ifndef PLAIN_SCHEDULES
#pragma omp parallel sections num_threads(threads)
  {
#pragma omp section
    for (long i = 0; i < n / 2; ++i) low += i;
#pragma omp section
    for (long i = n / 2; i < n; ++i) high += i;
  }
#else
  low = total;
#endif
  sums[5] = low + high;
  for (int i = 1; i < 6; ++i)
    if (sums[i] != sums[0]) return 0;
  return sums[0];
}

/* Task reductions over a region: GOMP_parallel_reductions. */
long probe_task_reduction(int threads, int tasks) {
  long sum = 0;
#pragma omp parallel reduction(task, + : sum) num_threads(threads)
#pragma omp single
  for (int i = 0; i < tasks; ++i) {
#pragma omp task in_reduction(+ : sum)
    sum += i;
  }
  return sum;
}

/* A region that shares many variables: long argument lists of __kmpc_fork_call. */
#define TEN(X, p) X(p##0) X(p##1) X(p##2) X(p##3) X(p##4) X(p##5) X(p##6) X(p##7) X(p##8) X(p##9)
#define HUNDRED(X) \
  TEN(X, a)        \
  TEN(X, b) TEN(X, c) TEN(X, d) TEN(X, e) TEN(X, f) TEN(X, g) TEN(X, h) TEN(X, i) TEN(X, j)
long probe_many(int threads) {
  long n = 0;
#define DECLARE(v) long v = ++n;
  HUNDRED(DECLARE)
  long sum = 0;
#pragma omp parallel num_threads(threads)
#pragma omp single
  {
#define ADD(v) \
  sum += v;    \
  v = 0;
    HUNDRED(ADD)
  }
#define REST(v) sum += v;
  HUNDRED(REST)
  return sum; /* 5050 */
}
long probe_twenty(int threads) {
  long n = 0;
  TEN(DECLARE, a) TEN(DECLARE, b) long sum = 0;
#pragma omp parallel num_threads(threads)
#pragma omp single
  {TEN(ADD, a) TEN(ADD, b)} TEN(REST, a) TEN(REST, b) return sum; /* 210 */
}

int probe_max_threads(void) { return omp_get_max_threads(); }
void probe_set_threads(int threads) { omp_set_num_threads(threads); }

/* A team waits for its last thread in a loop of its own, `rounds` times; how often it came. */
int probe_spin_barrier(int threads, int rounds) {
  int came = 0;
#pragma omp parallel num_threads(threads)
  for (int round = 1; round <= rounds; ++round) {
    __atomic_fetch_add(&came, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&came, __ATOMIC_SEQ_CST) < round * threads) {
    }
  }
  return came;
}

/* Only LLVM's runtimes have these. */
extern int kmp_get_blocktime(void) __attribute__((weak));
extern void kmp_set_blocktime(int milliseconds) __attribute__((weak));
int probe_blocktime(void) { return kmp_get_blocktime ? kmp_get_blocktime() : -1; }
void probe_set_blocktime(int milliseconds) {
  if (kmp_set_blocktime) kmp_set_blocktime(milliseconds);
}

extern void ompc_set_num_threads(int threads) __attribute__((weak));
int probe_set_threads_llvm(int threads) {
  if (ompc_set_num_threads) ompc_set_num_threads(threads);
  return ompc_set_num_threads != 0;
}

/* The largest count that the runtime tells a thread of a region. */
int probe_max_inside(void) {
  int most = 0;
#pragma omp parallel reduction(max : most)
  most = omp_get_max_threads();
  return most;
}

/* The team of a region in a league of one. */
int probe_team_in_league(void) {
  int team = 0;
#pragma omp teams num_teams(1) shared(team)
#pragma omp parallel
#pragma omp single
  team = omp_get_num_threads();
  return team;
}

/* Under the names that Fortran calls. */
int omp_get_max_threads_(void);
void omp_set_num_threads_(int* threads);
int probe_max_threads_fortran(void) { return omp_get_max_threads_(); }
void probe_set_threads_fortran(int threads) { omp_set_num_threads_(&threads); }

/* Empty regions, for their cost. */
void probe_repeat(int times, int threads) {
  for (int i = 0; i < times; ++i) {
#pragma omp parallel num_threads(threads)
    {
      __asm__ volatile("");
    }
  }
}
