/* What identifies libomp and libiomp5; the file's name says which of them it is. */
static int threads = 8;
int omp_get_max_threads(void) { return threads; }
int omp_get_num_threads(void) { return 1; }
void omp_set_num_threads(int n) { threads = n; }
int omp_get_thread_limit(void) { return 2147483647; }
void __kmpc_fork_call(void) {}
