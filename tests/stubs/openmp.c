/* An OpenMP runtime look-alike: nthreads-var is the calling thread's. Over a libgomp's names, or
 * with LLVM over libomp's too. */
static _Thread_local int count = 6;

int omp_get_max_threads(void) { return count; }
void omp_set_num_threads(int threads) { count = threads; }
int omp_get_thread_limit(void) { return 0x7fffffff; }
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags) {
  (void)threads;
  (void)flags;
  body(data);
}
#ifdef LLVM
void __kmpc_fork_call(void) {}
#endif
