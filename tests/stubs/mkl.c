/* MKL's functions as a library exports them that holds MKL inside: no layer to set, no MKL name. */
#include <string.h>

static int global_count = 8;
static _Thread_local int local_count = 0;

/* Reads the variables at the first call of anything. */
static char has_read;
int stub_has_read(void) { return has_read; }
int mkl_serv_domain_get_max_threads(int domain) {
  (void)domain;
  if (!has_read) has_read = 1;
  return local_count != 0 ? local_count : global_count;
}

int MKL_Get_Max_Threads(void) { return mkl_serv_domain_get_max_threads(-1); }
int MKL_Set_Num_Threads_Local(int threads) {
  has_read = 1;
  const int before = local_count;
  local_count = threads;
  return before;
}
void MKL_Set_Num_Threads(int threads) { global_count = threads; }
void MKL_Get_Version_String(char* text, int size) {
  has_read = 1;
  strncpy(text, "Intel(R) oneAPI Math Kernel Library Version 2099.1-Product Build 1 for stubs",
          (unsigned long)size);
}
