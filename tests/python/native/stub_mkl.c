/* A library with MKL's control functions and MKL_DYNAMIC on, that intends to use 2 threads. */
#include <string.h>

/* Set: the program has used MKL. */
static volatile char has_read = 1;
int mkl_serv_domain_get_max_threads(int domain) {
  (void)domain;
  if (!has_read) has_read = 1;
  return 2;
}

static _Thread_local int local;
int MKL_Get_Max_Threads(void) { return local ? local : 2; }
int MKL_Get_Dynamic(void) { return 1; }
int MKL_Set_Num_Threads_Local(int n) {
  const int before = local;
  local = n;
  return before;
}
void MKL_Get_Version_String(char* text, int size) {
  strncpy(text, "Intel(R) oneAPI Math Kernel Library Version 2099.1-Product", (size_t)size);
}
