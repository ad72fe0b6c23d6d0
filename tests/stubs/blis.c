/* A BLIS look-alike. THREAD_LOCAL: as since 1.0, with bli_thread_reset. WAYS: loops have ways set.
 */
#include <stdint.h>

#ifdef THREAD_LOCAL
static _Thread_local int64_t count = 3;
void bli_thread_reset(void) { count = 3; }
#define VERSION "0.9.0-77-snapshot"
#else
static int64_t count = -1;
#define VERSION "0.9.0"
#endif

int64_t bli_thread_get_num_threads(void) { return count; }
void bli_thread_set_num_threads(int64_t threads) { count = threads; }
const char* bli_info_get_version_str(void) { return VERSION; }
int64_t bli_info_get_enable_openmp(void) { return 0; }
int64_t bli_info_get_enable_pthreads(void) { return 1; }
int bli_arch_query_id(void) { return 5; }
const char* bli_arch_string(int id) { return id == 5 ? "stub" : "wrong"; }
#ifdef WAYS
int64_t bli_thread_get_jc_nt(void) { return 2; }
int64_t bli_thread_get_ic_nt(void) { return 3; }
#endif
int64_t stub_raw(void) { return count; }
