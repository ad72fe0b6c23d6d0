/* Preloaded: threads that fault at the same moment, and a writer of the report that is as slow as
   one among a thousand runnable threads. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile int go;

static void* fault(void* unused) {
  (void)unused;
  while (!go) poll(0, 0, 1);
  return (void*)(long)*(volatile int*)0;
}

void die_together(int threads) {
  pthread_t thread;
  for (int i = 0; i < threads; ++i) pthread_create(&thread, 0, fault, 0);
  poll(0, 0, 200);
  go = 1;
  for (;;) pause();
}

ssize_t process_vm_readv(pid_t process, const struct iovec* here, unsigned long ours,
                         const struct iovec* there, unsigned long theirs, unsigned long flags) {
  static int was_called;
  if (go && !was_called) {
    was_called = 1;
    poll(0, 0, 1500);
  }
  return syscall(SYS_process_vm_readv, process, here, ours, there, theirs, flags);
}
