/* A program that calls the OpenMP look-alike and exports nothing. */
int omp_get_max_threads(void);

int main(void) { return omp_get_max_threads() > 0 ? 0 : 1; }
