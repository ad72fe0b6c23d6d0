/* An OpenBLAS look-alike over a plain counter. What is odd about a copy comes from the command
 * line: PREFIX and SUFFIX, GETTER_FAILS, SETTER_IGNORES, SETTER_CLAMPS=n, NO_SETTER, DATA_NOT_CODE,
 * NAMES_COUNT, MISCOUNTS, SETTER_UNSIZED, WORK_BUFFERS.
 */
#include <stdlib.h>

#ifndef PREFIX
#define PREFIX
#endif
#ifndef SUFFIX
#define SUFFIX
#endif
#define PASTE(prefix, name, suffix) prefix##name##suffix
#define AFFIXED(prefix, name, suffix) PASTE(prefix, name, suffix)
#define NAME(name) AFFIXED(PREFIX, name, SUFFIX)

#ifndef PARALLEL
#define PARALLEL 1
#endif

#ifdef NAMES_COUNT
/* Where OpenBLAS over pthreads keeps it: what a governor must find. */
#define count blas_cpu_number
int count = 8;
#else
static int count = 8;
#endif
static int sets = 0;

#ifdef DATA_NOT_CODE
int openblas_get_num_threads = 8;
#else
int NAME(openblas_get_num_threads)(void) {
#ifdef GETTER_FAILS
  return 0;
#elif defined(MISCOUNTS)
  return count + 1;
#else
  return count;
#endif
}
#endif

#ifdef SETTER_UNSIZED /* a hook does not know where its code ends */
__attribute__((visibility("hidden"))) void set_count(int threads) { count = threads; }
#ifdef __x86_64__
#define JUMP "jmp"
#else
#define JUMP "b"
#endif
__asm__(
    ".text\n"
    ".globl openblas_set_num_threads\n"
    ".type openblas_set_num_threads, %function\n"
    ".size openblas_set_num_threads, 0\n"
    "openblas_set_num_threads: " JUMP " set_count\n");
#elif !defined(NO_SETTER)
void NAME(openblas_set_num_threads)(int threads) {
#ifndef NAMES_COUNT /* its first instruction would be one that hooks do not know */
  ++sets;
#endif
#ifdef SETTER_CLAMPS
  count = threads < SETTER_CLAMPS ? threads : SETTER_CLAMPS;
#elif !defined(SETTER_IGNORES)
  count = threads;
#else
  (void)threads;
#endif
}
#endif

const char* NAME(openblas_get_config)(void) {
  return "OpenBLAS 9.8.7 DYNAMIC_ARCH Stub MAX_THREADS=64";
}
const char* NAME(openblas_get_corename)(void) { return "Stub"; }
int NAME(openblas_get_parallel)(void) { return PARALLEL; }

#ifdef WORK_BUFFERS
void* blas_memory_alloc(int procpos) {
  (void)procpos;
  return malloc(64);
}
void blas_memory_free(void* buffer) { free(buffer); }
#endif

/* For tests: past the getter. */
int stub_count(void) { return count; }
int stub_sets(void) { return sets; }
