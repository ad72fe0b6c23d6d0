// What a program may do with little stack. small_stack STACK_BYTES WHAT: on an alternate stack of a
// signal (as crash reporters do), or with "thread" first, on a thread that has no more.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;
static const char* what;
static int end = -1;

static void* act(void* unused) {
  char* words[] = {"true", NULL};
  pid_t child = 0;
  if (strcmp(what, "dlsym") == 0) {
    end = dlsym(RTLD_DEFAULT, "fork") == NULL;
    return unused;
  }
  if (strcmp(what, "posix_spawnp") == 0) {
    if (posix_spawnp(&child, "true", NULL, NULL, words, environ) != 0) return unused;
  } else if (strcmp(what, "execlp") == 0) {
    child = vfork();
    if (child == 0) {
      execlp("true", "true", (char*)NULL);
      _exit(1);
    }
  } else {
    child = fork();
    if (child == 0) {
      if (strcmp(what, "execve") == 0) execve("/bin/true", words, environ);
      _exit(0);
    }
  }
  waitpid(child, &end, 0);
  return unused;
}

static void on_signal(int number) {
  (void)number;
  act(NULL);
}

int main(int count, char** words) {
  const int on_thread = count == 4;
  const size_t size = (size_t)atoi(words[count - 2]);
  what = words[count - 1];
  char* const all = mmap(NULL, size + 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char* const stack = all + 65536;
  mprotect(stack, size, PROT_READ | PROT_WRITE);
  if (on_thread) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstack(&attributes, stack, size) != 0) return 3;
    pthread_create(&thread, &attributes, act, NULL);
    pthread_join(thread, NULL);
  } else {
    const stack_t signals = {.ss_sp = stack, .ss_size = size};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sigaltstack(&signals, NULL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
  }
  printf("%s ended with %d\n", what, end);
  return 0;
}
