/* An OpenMP runtime look-alike: nthreads-var is the calling thread's. Over a libgomp's names, or
 * with LLVM over libomp's too. */
static _Thread_local int count = 6;

/* LLVM's sets itself up at the first call of any function; libgomp's constructor has done so. */
static int is_set_up;
int stub_is_set_up(void) { return is_set_up; }
#ifdef LLVM
#define SET_UP \
  if (!is_set_up) is_set_up = 1
#else
#define SET_UP (void)is_set_up
#endif

int omp_get_max_threads(void) {
  SET_UP;
  return count;
}
void omp_set_num_threads(int threads) {
  SET_UP;
  count = threads;
}
int omp_get_thread_limit(void) {
  SET_UP;
  return 64;
}
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags) {
  (void)threads;
  (void)flags;
  body(data);
}
#ifdef LLVM
void __kmpc_fork_call(void) {}
#endif
