/* Calls the entries of libgomp that today's compilers use rarely or no longer. */
#include <omp.h>
#include <pthread.h>

typedef void (*Outlined)(void*);
#define LOOP(kind)                                                                             \
  void GOMP_parallel_loop_##kind(Outlined, void*, unsigned, long, long, long, long, unsigned); \
  _Bool GOMP_loop_##kind##_next(long*, long*);
// clang-format off
LOOP(static)
LOOP(dynamic)
LOOP(guided)
LOOP(nonmonotonic_dynamic)
LOOP(nonmonotonic_guided)
// clang-format on
void GOMP_parallel_loop_runtime(Outlined, void*, unsigned, long, long, long, unsigned);
void GOMP_parallel_loop_nonmonotonic_runtime(Outlined, void*, unsigned, long, long, long, unsigned);
void GOMP_parallel_loop_maybe_nonmonotonic_runtime(Outlined, void*, unsigned, long, long, long,
                                                   unsigned);
_Bool GOMP_loop_runtime_next(long*, long*);
_Bool GOMP_loop_nonmonotonic_runtime_next(long*, long*);
_Bool GOMP_loop_maybe_nonmonotonic_runtime_next(long*, long*);
void GOMP_parallel_sections(Outlined, void*, unsigned, unsigned, unsigned);
unsigned GOMP_sections_next(void);
void GOMP_sections_end_nowait(void);
void GOMP_loop_end_nowait(void);
void GOMP_parallel_start(Outlined, void*, unsigned);
void GOMP_parallel_loop_static_start(Outlined, void*, unsigned, long, long, long, long);
void GOMP_parallel_loop_dynamic_start(Outlined, void*, unsigned, long, long, long, long);
void GOMP_parallel_loop_guided_start(Outlined, void*, unsigned, long, long, long, long);
void GOMP_parallel_loop_runtime_start(Outlined, void*, unsigned, long, long, long);
void GOMP_parallel_sections_start(Outlined, void*, unsigned, unsigned);
void GOMP_parallel_end(void);

struct Seen {
  _Bool (*next)(long*, long*);
  long sum;
  int team;
};

static void loop(void* data) {
  struct Seen* seen = data;
  long mine = 0, begin, end;
  while (seen->next(&begin, &end))
    for (long i = begin; i < end; ++i) mine += i;
  GOMP_loop_end_nowait();
  __atomic_fetch_add(&seen->sum, mine, __ATOMIC_RELAXED);
  __atomic_store_n(&seen->team, omp_get_num_threads(), __ATOMIC_RELAXED);
}

static void sections(void* data) {
  struct Seen* seen = data;
  for (unsigned i = GOMP_sections_next(); i != 0; i = GOMP_sections_next())
    __atomic_fetch_add(&seen->sum, (long)i, __ATOMIC_RELAXED);
  GOMP_sections_end_nowait();
  __atomic_store_n(&seen->team, omp_get_num_threads(), __ATOMIC_RELAXED);
}

static void plain(void* data) {
  struct Seen* seen = data;
  __atomic_fetch_add(&seen->sum, 1, __ATOMIC_RELAXED);
  __atomic_store_n(&seen->team, omp_get_num_threads(), __ATOMIC_RELAXED);
}

/* The team of entry number `entry`; -1 if its result is wrong, 0 if there is no such entry. */
int probe_entry(int entry, unsigned threads) {
  struct Seen seen = {GOMP_loop_runtime_next, 0, 0};
  const long n = 1000;
  long want = n * (n - 1) / 2;
  switch (entry) {
    case 0:
      seen.next = GOMP_loop_static_next;
      GOMP_parallel_loop_static(loop, &seen, threads, 0, n, 1, 7, 0);
      break;
    case 1:
      seen.next = GOMP_loop_dynamic_next;
      GOMP_parallel_loop_dynamic(loop, &seen, threads, 0, n, 1, 7, 0);
      break;
    case 2:
      seen.next = GOMP_loop_guided_next;
      GOMP_parallel_loop_guided(loop, &seen, threads, 0, n, 1, 7, 0);
      break;
    case 3:
      seen.next = GOMP_loop_nonmonotonic_dynamic_next;
      GOMP_parallel_loop_nonmonotonic_dynamic(loop, &seen, threads, 0, n, 1, 7, 0);
      break;
    case 4:
      seen.next = GOMP_loop_nonmonotonic_guided_next;
      GOMP_parallel_loop_nonmonotonic_guided(loop, &seen, threads, 0, n, 1, 7, 0);
      break;
    case 5:
      GOMP_parallel_loop_runtime(loop, &seen, threads, 0, n, 1, 0);
      break;
    case 6:
      seen.next = GOMP_loop_nonmonotonic_runtime_next;
      GOMP_parallel_loop_nonmonotonic_runtime(loop, &seen, threads, 0, n, 1, 0);
      break;
    case 7:
      seen.next = GOMP_loop_maybe_nonmonotonic_runtime_next;
      GOMP_parallel_loop_maybe_nonmonotonic_runtime(loop, &seen, threads, 0, n, 1, 0);
      break;
    case 8:
      want = 6;
      GOMP_parallel_sections(sections, &seen, threads, 3, 0);
      break;
    case 9:
      GOMP_parallel_start(plain, &seen, threads);
      plain(&seen);
      GOMP_parallel_end();
      want = seen.team;
      break;
    case 10:
      seen.next = GOMP_loop_static_next;
      GOMP_parallel_loop_static_start(loop, &seen, threads, 0, n, 1, 7);
      loop(&seen);
      GOMP_parallel_end();
      break;
    case 11:
      seen.next = GOMP_loop_dynamic_next;
      GOMP_parallel_loop_dynamic_start(loop, &seen, threads, 0, n, 1, 7);
      loop(&seen);
      GOMP_parallel_end();
      break;
    case 12:
      seen.next = GOMP_loop_guided_next;
      GOMP_parallel_loop_guided_start(loop, &seen, threads, 0, n, 1, 7);
      loop(&seen);
      GOMP_parallel_end();
      break;
    case 13:
      GOMP_parallel_loop_runtime_start(loop, &seen, threads, 0, n, 1);
      loop(&seen);
      GOMP_parallel_end();
      break;
    case 14:
      want = 6;
      GOMP_parallel_sections_start(sections, &seen, threads, 3);
      sections(&seen);
      GOMP_parallel_end();
      break;
    default:
      return 0;
  }
  return seen.sum == want ? seen.team : -1;
}

static void with_one_inside(void* data) {
#pragma omp parallel num_threads(2)
  __atomic_fetch_add((int*)data, 1, __ATOMIC_RELAXED);
}

static pthread_barrier_t all_open;

static void* open_pair(void* data) {
  GOMP_parallel_start(with_one_inside, data, 2);
  pthread_barrier_wait(&all_open);
  with_one_inside(data);
  GOMP_parallel_end();
  return 0;
}

/* `callers` threads each have a region of two threads open by GOMP_parallel_start at once, and each
   of these threads runs a region inside it. How often these ran. */
int probe_pairs_at_once(int callers) {
  pthread_t threads[1000];
  int ran = 0;
  omp_set_max_active_levels(1);
  pthread_barrier_init(&all_open, 0, (unsigned)callers);
  for (int i = 0; i < callers; ++i) pthread_create(&threads[i], 0, open_pair, &ran);
  for (int i = 0; i < callers; ++i) pthread_join(threads[i], 0);
  pthread_barrier_destroy(&all_open);
  return ran;
}
