/* Gates, hooks and buffers under ASan and UBSan: threads that call one runtime while governing
 * begins and ends, and forked children that do. Each runtime is a program of its own; the runtimes
 * themselves are not instrumented.
 *
 * Built with GOMP for libgomp's entry points, with KMP for the compiler's own regions (LLVM's
 * runtime), else for OpenBLAS. */
#include <corewise.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kCallers = 4, kRounds = 60 };

#if defined GOMP || defined KMP

static void part(void* took) { atomic_fetch_add((atomic_uint*)took, 1); }

#ifdef GOMP
void GOMP_parallel(void (*function)(void*), void* data, unsigned threads, unsigned flags);
static void region(unsigned threads, atomic_uint* took) { GOMP_parallel(part, took, threads, 0); }
#else
static void region(unsigned threads, atomic_uint* took) {
#pragma omp parallel num_threads(threads)
  part(took);
}
#endif

static void work(int round) {
  static _Thread_local atomic_uint took;
  const unsigned threads = (unsigned)round % 5 + 1;
  atomic_store(&took, 0);
  region(threads, &took);
  if (atomic_load(&took) != threads) abort();
}

#else

#include <cblas.h>
enum { kSide = 120 };

static void work(int round) {
  static _Thread_local double a[kSide * kSide], c[kSide * kSide];
  for (int i = 0; i < kSide * kSide; ++i) a[i] = 1;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kSide, kSide, kSide, 1, a, kSide, a, kSide,
              0, c, kSide);
  if (c[round] != (double)kSide) abort();
}

#endif

static void* caller(void* unused) {
  for (int round = 0; round < kRounds; ++round) work(round);
  return unused;
}

static void govern(void) {
  const cw_govern_options options = {sizeof options, 2, CW_GOVERN_OVERCOMMIT, "sanitized"};
  if (cw_govern(&options) != CW_OK) {
    fprintf(stderr, "%s\n", cw_last_error());
    exit(1);
  }
}

int main(void) {
  work(0);
  for (int turn = 0; turn < 4; ++turn) {
    pthread_t callers[kCallers];
    for (int i = 0; i < kCallers; ++i) pthread_create(&callers[i], NULL, caller, NULL);
    govern();
    for (int round = 0; round < kRounds; ++round) work(round);
    if (turn % 2 != 0) cw_ungovern();
    for (int i = 0; i < kCallers; ++i) pthread_join(callers[i], NULL);
    if (turn % 2 == 0) cw_ungovern();
  }
  govern();
  caller(NULL);
  const pid_t child = fork();
  if (child == 0) {
    caller(NULL);
    _exit(0);
  }
  int status = 1;
  waitpid(child, &status, 0);
  cw_ungovern();
  return status == 0 ? 0 : 1;
}
