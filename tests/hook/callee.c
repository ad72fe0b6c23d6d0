/* A runtime for the tests: one function to hook, with the prologue of a real one (pushes, an
 * access relative to its own address, a call), and one that is too
 * short for it. */
#include <stddef.h>

int callee_calls = 0;
extern int callee_helper(int);

__attribute__((noinline)) int callee_helper(int x) {
  __asm__ volatile("" ::: "memory");
  return x + CALLEE_ID;
}

__attribute__((noinline)) int stub_parallel(int a, int b) {
  __atomic_fetch_add(&callee_calls, 1, __ATOMIC_RELAXED);
  int sum = callee_helper(a);
  sum += callee_helper(b) - CALLEE_ID;
  return sum;
}

__attribute__((noinline)) int stub_short(void) { return CALLEE_ID; }
