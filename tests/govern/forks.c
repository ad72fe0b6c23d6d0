/* Regions in children of forks, of every kind of fork: one function a case, named on the command
   line. Each child checks what it can observe of its teams. Prints nothing and returns 0 if all is
   as it would be in a process that was not forked; a child that waits for ever is killed by its
   alarm, which its parent takes for a failure. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                      \
  do {                                                        \
    if (!(condition)) {                                       \
      fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
      _exit(1);                                               \
    }                                                         \
  } while (0)

enum { kMost = 8, kWork = 1000 };
static int visits;
#pragma omp threadprivate(visits)
static _Thread_local int own_mark;

/* Divides its work by the team size that it asked for, as xgboost does. */
static void divided(int team, int master) {
  long parts[kMost] = {0}, sum = 0;
  int seen[kMost] = {0}, level = 0, size = 0, mark = 0;
#pragma omp parallel num_threads(team)
  {
    const int me = omp_get_thread_num();
    for (int i = me * kWork / team; i < (me + 1) * kWork / team; i++) parts[me] += i;
    __atomic_add_fetch(&seen[me], 1, __ATOMIC_SEQ_CST);
    if (me == 0) {
      level = omp_get_level();
      size = omp_get_num_threads();
      mark = own_mark;
      master = master == (int)syscall(SYS_gettid);
    }
  }
  for (int i = 0; i < team; i++) sum += parts[i];
  CHECK(sum == (long)kWork * (kWork - 1) / 2);
  for (int i = 0; i < team; i++) CHECK(seen[i] == 1);
  CHECK(level == 1 && size == team && mark == own_mark && master == 1);
}

static void divide(int team) { divided(team, (int)syscall(SYS_gettid)); }

static int counted(void) {
  int team = 0;
#pragma omp parallel reduction(+ : team)
  team += 1;
  return team;
}

static void thread_data_stays(int team) {
  int first = 0, second = 0;
#pragma omp parallel num_threads(team) reduction(+ : first)
  first += ++visits;
#pragma omp parallel num_threads(team) reduction(+ : second)
  second += ++visits;
  CHECK(second == first + team);
}

static void nested(int team) {
  int all = 0;
  omp_set_max_active_levels(2);
#ifndef __clang__
  omp_set_nested(1); /* before GCC 11 that decides */
#endif
#pragma omp parallel num_threads(team) reduction(+ : all)
  {
#pragma omp parallel num_threads(2) reduction(+ : all)
    all += 1;
  }
  CHECK(all == 2 * team);
}

static void check_all(int team) {
  const int tid = (int)syscall(SYS_gettid);
  divided(team, tid);
  CHECK(counted() == omp_get_max_threads());
  thread_data_stays(team);
  for (int other = 2; other <= kMost; other++) divided(other, tid);
  nested(2);
}

/* Forks, runs `in_child` in the child, and says how it went. */
static int forked(void (*in_child)(int), int argument) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    in_child(argument);
    _exit(0);
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  return status;
}

static void parent_regions(int team) {
  own_mark = 7;
  omp_set_num_threads(team);
  thread_data_stays(team);
}

static int in_a_row(void) {
  for (int team = 2; team <= kMost; team++) {
    parent_regions(team);
    for (int i = 0; i < 50; i++) {
      if (forked(i == 0 ? check_all : divide, team) != 0) return 1;
      CHECK(counted() == team);
    }
  }
  return 0;
}

static void fork_again(int depth) {
  check_all(3);
  if (depth > 0) CHECK(forked(fork_again, depth - 1) == 0);
  check_all(4);
}

static int child_of_child(void) {
  parent_regions(4);
  return forked(fork_again, 2);
}

static void* end_after(void* thread) {
  CHECK(pthread_join(*(pthread_t*)thread, NULL) == 0);
  _exit(0);
}

/* A thread other than the first forks, and ends in the child like any other. */
static void* fork_and_end(void* regions) {
  parent_regions(3);
  const pid_t child = fork();
  if (child == 0) {
    static pthread_t self, waiter;
    alarm(20);
    self = pthread_self();
    if (regions != NULL) check_all(3);
    CHECK(pthread_create(&waiter, NULL, end_after, &self) == 0);
    return NULL;
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return status == 0 ? NULL : (void*)1;
}

static int other_thread(void) {
  parent_regions(2);
  for (long regions = 0; regions < 2; regions++) {
    pthread_t thread;
    void* result = (void*)1;
    CHECK(pthread_create(&thread, NULL, fork_and_end, (void*)regions) == 0);
    pthread_join(thread, &result);
    if (result != NULL) return 1;
  }
  return 0;
}

static atomic_int stop;
static void* busy(void* arg) {
  (void)arg;
  while (!stop) counted();
  return NULL;
}

static int amid_others(void) {
  pthread_t threads[3];
  omp_set_num_threads(2);
  for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, busy, NULL) == 0);
  parent_regions(3);
  int status = 0;
  for (int i = 0; i < 10 && status == 0; i++) status = forked(check_all, 3);
  stop = 1;
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  return status;
}

/* Forked inside a region of one thread. The child's next region is after the end of that one. */
static int inside_one(void) {
  parent_regions(3);
  pid_t child = 0;
#pragma omp parallel num_threads(1)
  {
    child = fork();
    if (child == 0) {
      alarm(20);
      int all = 0;
#pragma omp parallel num_threads(3) reduction(+ : all)
      all += omp_get_level();
      CHECK(all == 6);
    }
  }
  if (child == 0) {
    for (int i = 0; i < 3; i++) check_all(3);
    CHECK(forked(divide, 3) == 0);
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return status;
}

/* Forked by a member of a team: what the child starts inside is as in its parent. */
static int inside_team(void) {
  parent_regions(3);
  omp_set_max_active_levels(2);
#ifndef __clang__
  omp_set_nested(1); /* before GCC 11 that decides */
#endif
  int failed = 0;
#pragma omp parallel num_threads(3) reduction(+ : failed)
  {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      int all = 0;
#pragma omp parallel num_threads(3) reduction(+ : all)
      all += omp_get_num_threads();
      _exit(all == 9 ? 0 : 1);
    }
    int status = 0;
    failed += waitpid(child, &status, 0) != child || status != 0;
  }
  return failed;
}

#ifndef NO_PAIRS
void GOMP_parallel_start(void (*function)(void*), void* data, unsigned threads);
void GOMP_parallel_end(void);

static void add_one(void* data) { __atomic_add_fetch((int*)data, 1, __ATOMIC_SEQ_CST); }

static void pairs_in_child(int team) {
  for (int i = 0; i < 3; i++) {
    int count = 0;
    GOMP_parallel_start(add_one, &count, (unsigned)team);
    add_one(&count);
    GOMP_parallel_end();
    CHECK(count == team);
  }
}

/* As GCC before 4.9 compiled regions. */
static int pairs(void) {
  parent_regions(3);
  return forked(pairs_in_child, 3);
}
#endif

static int exec_and_spawn(const char* self) {
  parent_regions(3);
  int status = 0;
  char* const arguments[] = {(char*)self, "plain", NULL};
  pid_t child = fork();
  if (child == 0) {
    execv(self, arguments);
    _exit(1);
  }
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  child = vfork();
  if (child == 0) {
    execv(self, arguments);
    _exit(1);
  }
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  extern char** environ;
  CHECK(posix_spawn(&child, self, NULL, NULL, arguments, environ) == 0);
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  check_all(3);
  return 0;
}

/* As task queues do: threads that have regions fork workers all the time. */
static atomic_int to_fork;
static void* queue(void* arg) {
  (void)arg;
  omp_set_num_threads(2);
  while (atomic_fetch_sub(&to_fork, 1) > 0) {
    counted();
    if (forked(divide, 2) != 0) return (void*)1;
  }
  return NULL;
}

static int many(const char* count) {
  pthread_t threads[8];
  int failed = 0;
  to_fork = atoi(count);
  for (int i = 0; i < 8; i++) CHECK(pthread_create(&threads[i], NULL, queue, NULL) == 0);
  for (int i = 0; i < 8; i++) {
    void* result = NULL;
    pthread_join(threads[i], &result);
    failed += result != NULL;
  }
  return failed;
}

/* A call governs the process only now. */
static void govern(void) {
  void* const library = dlopen(getenv("COREWISE_LIBRARY"), RTLD_NOW);
  CHECK(library != NULL);
  int (*const start)(const void*) = (int (*)(const void*))dlsym(library, "cw_govern");
  CHECK(start != NULL && start(NULL) == 0);
}

static void govern_and_check(int team) {
  govern();
  check_all(team);
}

static int governed_in_the_child(void) {
  parent_regions(3);
  for (int i = 0; i < 5; i++) {
    if (forked(govern_and_check, 3) != 0) return 1;
  }
  return 0;
}

/* Memory that is in use is kept, in a child too. */
static void keep(int team) {
  int before = 0, after = 0;
#pragma omp parallel num_threads(team) reduction(+ : before)
  before += visits += omp_get_thread_num();
  govern();
#pragma omp parallel num_threads(team) reduction(+ : after)
  after += visits;
  CHECK(after == before && before >= team * (team - 1) / 2);
}

static int governed_amid_life(void) {
  if (forked(keep, 3) != 0) return 1;
  keep(3);
  return 0;
}

int main(int argc, char** argv) {
  const char* const name = argc > 1 ? argv[1] : "";
  if (strcmp(name, "plain") == 0) return parent_regions(3), 0;
  if (strcmp(name, "in_a_row") == 0) return in_a_row() != 0;
  if (strcmp(name, "child_of_child") == 0) return child_of_child() != 0;
  if (strcmp(name, "other_thread") == 0) return other_thread() != 0;
  if (strcmp(name, "amid_others") == 0) return amid_others() != 0;
  if (strcmp(name, "inside_one") == 0) return inside_one() != 0;
  if (strcmp(name, "inside_team") == 0) return inside_team() != 0;
#ifndef NO_PAIRS
  if (strcmp(name, "pairs") == 0) return pairs() != 0;
#endif
  if (strcmp(name, "exec_and_spawn") == 0) return exec_and_spawn(argv[0]) != 0;
  if (strcmp(name, "governed_in_the_child") == 0) return governed_in_the_child() != 0;
  if (strcmp(name, "governed_amid_life") == 0) return governed_amid_life() != 0;
  if (strcmp(name, "many") == 0 && argc > 2) return many(argv[2]) != 0;
  return 2;
}
