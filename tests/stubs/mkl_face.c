/* A second face of the MKL look-alike: the same counts behind another module's functions. With
 * LOADS_PARTS as libmkl_rt, whose counter is in a part that it loads.
 */
static int one(void) { return 1; }
static int before(int threads) { return threads; }
int (*face_get)(void) = one;
int (*face_set)(int) = before;

#ifndef LOADS_PARTS
int mkl_serv_domain_get_max_threads(int domain) {
  static char has_read;
  (void)domain;
  if (!has_read) has_read = 1;
  return face_get();
}
#endif
int MKL_Get_Max_Threads(void) { return face_get(); }
int MKL_Set_Num_Threads_Local(int threads) { return face_set(threads); }
void MKL_Get_Version_String(char* text, int size) {
  if (size > 0) text[0] = '\0';
}
