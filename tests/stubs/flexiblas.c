/* A FlexiBLAS look-alike: its own functions, and those of the libraries it stands in for. */
#include <stddef.h>
#include <string.h>

static int count = 5;

int flexiblas_get_num_threads(void) { return count; }
void flexiblas_set_num_threads(int threads) { count = threads; }
void flexiblas_get_version(int* major, int* minor, int* patch) {
  *major = 3;
  *minor = 4;
  *patch = 5;
}
int flexiblas_current_backend(char* name, size_t size) {
  strncpy(name, "NETLIB", size);
  return 6;
}
int openblas_get_num_threads(void) { return count; }
void openblas_set_num_threads(int threads) { count = threads; }
int MKL_Get_Max_Threads(void) { return count; }
int MKL_Set_Num_Threads_Local(int threads) { return threads; }
void MKL_Get_Version_String(char* text, int size) { strncpy(text, "stub", (size_t)size); }
int bli_thread_get_num_threads(void) { return count; }
void bli_thread_set_num_threads(int threads) { count = threads; }
