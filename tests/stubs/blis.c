/* A BLIS look-alike. THREAD_LOCAL: as since 1.0, with bli_thread_reset. WAYS: loops have ways set.
   COUNT: what BLIS_NUM_THREADS said. */
#include <pthread.h>
#include <stdint.h>

/* Reads the variables at the first call of what is not built in. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int is_set_up;
static void set_up(void) { is_set_up = 1; }
void bli_init(void) { pthread_once(&once, set_up); }
int stub_is_set_up(void) { return is_set_up; }

#ifdef THREAD_LOCAL
static _Thread_local int64_t count = 3;
void bli_thread_reset(void) { count = 3; }
#define VERSION "0.9.0-77-snapshot"
#else
#ifndef COUNT
#define COUNT -1
#endif
static int64_t count = COUNT;
#define VERSION "0.9.0"
#endif

int64_t bli_thread_get_num_threads(void) {
  bli_init();
  return count;
}
void bli_thread_set_num_threads(int64_t threads) {
  bli_init();
  count = threads;
}
const char* bli_info_get_version_str(void) { return VERSION; }
int64_t bli_info_get_enable_openmp(void) { return 0; }
int64_t bli_info_get_enable_pthreads(void) { return 1; }
int bli_arch_query_id(void) {
  bli_init();
  return 5;
}
const char* bli_arch_string(int id) { return id == 5 ? "stub" : "wrong"; }
#ifdef WAYS
int64_t bli_thread_get_jc_nt(void) { return 2; }
int64_t bli_thread_get_ic_nt(void) { return 3; }
#endif
int64_t stub_raw(void) { return count; }
