/* An OpenBLAS whose functions, once armed, wait for a call of go(), or give up after seconds. */
#include <unistd.h>
static volatile int armed, gone, gave_up;
static int threads = 8;
static void wait_if_armed(void) {
  for (int i = 0; armed && !gone; ++i) {
    if (i == 10000) {
      gave_up = 1;
      return;
    }
    usleep(1000);
  }
}
void arm(void) {
  gone = 0;
  armed = 1;
}
void go(void) {
  gone = 1;
  armed = 0;
}
void go_after(int ms) {
  usleep(1000 * ms);
  go();
}
int has_given_up(void) { return gave_up; }
int openblas_get_num_threads(void) {
  wait_if_armed();
  return threads;
}
void openblas_set_num_threads(int n) {
  wait_if_armed();
  threads = n;
}
char* openblas_get_config(void) { return "OpenBLAS 0.3.99 MAX_THREADS=64"; }
int openblas_get_parallel(void) { return 1; }
