/* dlsym(RTLD_NEXT) means: behind the module that asks. So the hook of dlsym must not look like the
 * one that asks. Compiled three times: the program, linked with `first` and `second` in this order
 * before corewise, and these two, each with a `marker`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

int marker(void);
void* next_marker(void);

#if defined(FIRST) || defined(SECOND)
int marker(void) {
#ifdef FIRST
  return 1;
#else
  return 2;
#endif
}
#ifdef FIRST
void* next_marker(void) {
  void* found = dlsym(RTLD_NEXT, "marker");
  /* Not as a jump: then the program would be the one that asks. */
  __asm__ volatile("" ::: "memory");
  return found;
}
#else
int second(void) { return 2; }
#endif
#else
#include <corewise.h>
#include <stdio.h>

int second(void);

int main(void) {
  void* before = next_marker();
  if (cw_govern(NULL) != CW_OK || before == NULL || ((int (*)(void))before)() != second()) return 1;
  void* after = next_marker();
  static char report[1 << 16];
  cw_govern_report_json(report, sizeof report);
  puts(report);
  cw_ungovern();
  return after == before && next_marker() == before ? 0 : 2;
}
#endif
