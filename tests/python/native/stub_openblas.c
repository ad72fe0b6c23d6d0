/* A library with OpenBLAS's control functions and nothing behind them: over pthreads, at most
 * 64 threads, one count for the process. */
static int threads = 8;
int openblas_get_num_threads(void) { return threads; }
void openblas_set_num_threads(int n) { threads = n < 1 ? 8 : n > 64 ? 64 : n; }
char* openblas_get_config(void) { return "OpenBLAS 0.3.99 STUB MAX_THREADS=64"; }
char* openblas_get_corename(void) { return "Stub"; }
int openblas_get_parallel(void) { return 1; }
