/* An OpenBLAS over OpenMP: linked with the OpenMP look-alike, whose count is its own. */
int omp_get_max_threads(void);
void omp_set_num_threads(int threads);

int openblas_get_num_threads(void) { return omp_get_max_threads(); }
void openblas_set_num_threads(int threads) { omp_set_num_threads(threads); }
const char* openblas_get_config(void) { return "OpenBLAS 9.8.7 USE_OPENMP Stub MAX_THREADS=64"; }
const char* openblas_get_corename(void) { return "Stub"; }
int openblas_get_parallel(void) { return 2; }
