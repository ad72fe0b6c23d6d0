/* A thread that somebody cancels with pthread_cancel() runs on to its next cancellation point. A
   region, a fork, the start of another program and a symbol lookup are not cancellation points. */
#include <dlfcn.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

#include "idiom.h"

extern char** environ;
static volatile int ready, asked;
static int regions, symbols, forked, spawned;

static void region(void) {
#pragma omp parallel
  {
#pragma omp single
    regions++;
  }
}

static int exit_code_of(pid_t child) {
  int status = 0;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  waitpid(child, &status, 0);
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void* body(void* unused) {
  char* words[] = {"true", NULL};
  pid_t child = 0;
  region();
  ready = 1;
  while (!asked) {
  }
#ifndef __clang__ /* LLVM's runtime waits in a cancellation point once it has spun enough */
  for (int i = 0; i < 2000; i++) region();
#endif
  symbols = dlsym(RTLD_DEFAULT, "free") != NULL && dlsym(RTLD_DEFAULT, "no_such_symbol") == NULL;
  child = fork();
  if (child == 0) _exit(5);
  forked = exit_code_of(child);
  if (posix_spawnp(&child, "true", NULL, NULL, words, environ) == 0)
    spawned = exit_code_of(child);
  else
    spawned = -1;
  pthread_testcancel();
  return unused;
}

void idiom(void) {
  pthread_t thread;
  void* how = NULL;
  ready = asked = 0;
  pthread_create(&thread, NULL, body, &how);
  while (!ready) {
  }
  pthread_cancel(thread);
  asked = 1;
  pthread_join(thread, &how);
  printf("regions %d symbols %d forked %d spawned %d %s\n", regions, symbols, forked, spawned,
         how == PTHREAD_CANCELED ? "cancelled" : "went on");
}
