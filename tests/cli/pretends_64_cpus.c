// Preloaded: the process finds 64 CPUs, whatever the machine has. corewise reads /proc, and does
// not.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

int sched_getaffinity(pid_t process, size_t size, cpu_set_t* set) {
  (void)process;
  memset(set, 0, size);
  memset(set, 255, 64 / 8);
  return 0;
}

int pthread_getaffinity_np(pthread_t thread, size_t size, cpu_set_t* set) {
  (void)thread;
  return sched_getaffinity(0, size, set);
}

long sysconf(int name) {
  if (name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF) return 64;
  long (*real)(int) = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
  return real(name);
}
