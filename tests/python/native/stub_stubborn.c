/* An OpenBLAS that keeps its 8 threads, whatever count it is given. */
int openblas_get_num_threads(void) { return 8; }
void openblas_set_num_threads(int n) { (void)n; }
int openblas_get_parallel(void) { return 1; }
char* openblas_get_config(void) { return "OpenBLAS 0.3.99 MAX_THREADS=64"; }
