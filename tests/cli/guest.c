// A program with handlers of its own, to be run with and without the death watch. What it prints
// and how it ends must be the same.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static const int kDeadly[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
static char* page;
static sigjmp_buf back;

static int fail(const char* what) {
  puts(what);
  return 1;
}

static void mend(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)info, (void)context;
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
}
static int found_code;
static void fault(void);
static void find_code(int signal, siginfo_t* info, void* context) {
  mend(signal, info, context);
#ifdef __x86_64__
  const char* const at = (char*)((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP];
  found_code = at >= (char*)fault && at < (char*)fault + 128;
#else
  found_code = 1;
#endif
}
static void jump(int signal) {
  (void)signal;
  siglongjmp(back, 1);
}
static void ignore(int signal) { (void)signal; }
static void leave(int signal) {
  (void)signal;
  _exit(3);
}
static void give_up(int signal) {
  (void)signal;
  abort();
}
// As Python's faulthandler: the handler before, then the signal again.
static void pass_on(int number) {
  struct sigaction none;
  memset(&none, 0, sizeof none);
  sigaction(number, &none, NULL);
  raise(number);
}

static void set(int signal, void (*handler)(int), int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(signal, &action, NULL);
}

// Before and after there is a page that nobody may touch.
static void alternate_stack(size_t size) {
  char* all = mmap(NULL, size + (1 << 17), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(all + (1 << 16), size, PROT_READ | PROT_WRITE);
  stack_t stack = {.ss_sp = all + (1 << 16), .ss_size = size};
  sigaltstack(&stack, NULL);
}

__attribute__((noinline)) static void fault(void) {
  mprotect(page, 4096, PROT_NONE);
  page[0] = 1;
}

static int over(int depth) {
  volatile char large[4096];
  large[0] = (char)depth;
  return over(depth + 1) + large[0];
}

static int views(void) {
  struct sigaction old;
  for (int i = 0; i < 5; ++i) {
    const int number = kDeadly[i];
    if (sigaction(number, NULL, &old) != 0 || old.sa_handler != SIG_DFL) return fail("default");
    if (signal(number, jump) != SIG_DFL) return fail("signal");
    if (sigaction(number, NULL, &old) != 0 || old.sa_handler != jump) return fail("own");
    if ((old.sa_flags & SA_SIGINFO) != 0 || (old.sa_flags & SA_RESTART) == 0) return fail("flags");
    if (signal(number, SIG_IGN) != jump) return fail("ignore");
    raise(number);
    if (signal(number, SIG_DFL) != SIG_IGN) return fail("ignored");
    if (sysv_signal(number, jump) != SIG_DFL) return fail("sysv");
    if (sigsetjmp(back, 1) == 0) raise(number);
    if (signal(number, SIG_DFL) != SIG_DFL) return fail("reset");
  }
  return 0;
}

// The names that lead around what modules call.
extern int __sigaction(int, const struct sigaction*, struct sigaction*);
static int views_by_other_names(void) {
  int (*named)(int, const struct sigaction*, struct sigaction*) = dlsym(RTLD_DEFAULT, "sigaction");
  void (*(*named_signal)(int, void (*)(int)))(int) = dlsym(RTLD_DEFAULT, "signal");
  struct sigaction old;
  for (int i = 0; i < 5; ++i) {
    if (named(kDeadly[i], NULL, &old) != 0 || old.sa_handler != SIG_DFL) return fail("dlsym");
    if (__sigaction(kDeadly[i], NULL, &old) != 0 || old.sa_handler != SIG_DFL) return fail("__");
    if (named_signal(kDeadly[i], leave) != SIG_DFL) return fail("signal");
    if (__sigaction(kDeadly[i], NULL, &old) != 0 || old.sa_handler != leave) return fail("own");
  }
  return 0;
}

// Without its flag (SA_RESTORER) the restorer is whatever was in memory.
static void show(int number) {
  struct sigaction now;
  sigaction(number, NULL, &now);
  printf("%d: %s, flags %x, restorer %d, mask", number,
         now.sa_handler == SIG_DFL   ? "default"
         : now.sa_handler == SIG_IGN ? "ignored"
                                     : "own",
         now.sa_flags, (now.sa_flags & 0x04000000) != 0 && now.sa_restorer != NULL);
  for (int i = 1; i < 65; ++i) sigismember(&now.sa_mask, i) == 1 ? printf(" %d", i) : 0;
  puts("");
}

// All that can be read back.
static int reads_back(void) {
  const int kFlags[] = {0,          SA_RESTART | SA_NODEFER,   SA_RESETHAND,
                        SA_ONSTACK, SA_RESETHAND | SA_SIGINFO, 0x400 | 0x800};
  for (int i = 0; i < 5; ++i) {
    show(kDeadly[i]);
    for (int j = 0; j < 6; ++j) {
      struct sigaction action = {.sa_flags = kFlags[j]};
      sigfillset(&action.sa_mask);
      for (int k = 0; k < 3; ++k) {
        action.sa_handler = k == 0 ? SIG_IGN : k == 1 ? SIG_DFL : ignore;
        sigaction(kDeadly[i], &action, NULL);
        show(kDeadly[i]);
      }
      raise(kDeadly[i]);
      show(kDeadly[i]);
    }
    for (int interrupt = 1; interrupt >= 0; --interrupt) {
      siginterrupt(kDeadly[i], interrupt);
      show(kDeadly[i]);
      signal(kDeadly[i], ignore);
      show(kDeadly[i]);
      signal(kDeadly[i], SIG_DFL);
      show(kDeadly[i]);
    }
    sysv_signal(kDeadly[i], ignore);
    raise(kDeadly[i]);
    show(kDeadly[i]);
  }
  return 0;
}

// A child that no fork handler hears of.
static int views_in_a_clone(void) {
  struct sigaction old;
  int status;
  signal(SIGSEGV, leave);
  const pid_t child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    if (sigaction(SIGSEGV, NULL, &old) != 0 || old.sa_handler != leave) _exit(1);
    if (signal(SIGABRT, leave) != SIG_DFL) _exit(2);
    fault();
  }
  waitpid(child, &status, 0);
  printf("%x\n", status);
  return signal(SIGABRT, SIG_IGN) == SIG_DFL ? 0 : fail("its parent's");
}

// With SA_SIGINFO these two mean what they mean without it.
static int views_with_siginfo(void) {
  struct sigaction action = {.sa_handler = SIG_IGN, .sa_flags = SA_SIGINFO};
  sigaction(SIGABRT, &action, NULL);
  raise(SIGABRT);
  action.sa_handler = SIG_DFL;
  sigaction(SIGABRT, &action, NULL);
  abort();
}

static int views_of_xopen(void) {
  struct sigaction old;
  sigset_t blocked;
  for (int i = 0; i < 5; ++i) {
    const int number = kDeadly[i];
    if (sigset(number, jump) != SIG_DFL) return fail("default");
    if (sigset(number, SIG_HOLD) != jump) return fail("hold");
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    if (!sigismember(&blocked, number)) return fail("blocked");
    if (sigset(number, jump) != SIG_HOLD) return fail("held");
    if (sigsetjmp(back, 1) == 0) raise(number);
    if (sigaction(number, NULL, &old) != 0 || old.sa_handler != jump) return fail("own");
    if (sigset(number, SIG_DFL) != jump) return fail("reset");
  }
  return 0;
}

static void end_thread(int signal) {
  (void)signal;
  pthread_exit("ended");
}
static void cancelled(int signal) {
  (void)signal;
  pthread_cancel(pthread_self());
  pthread_testcancel();
}
static void say(void* what) { puts(what); }
static void* ends_itself(void* how) {
  pthread_cleanup_push(say, "cleaned up");
  if (strcmp(how, "raise") == 0) raise(SIGABRT);
  if (strcmp(how, "abort") == 0) abort();
  fault();
  pthread_cleanup_pop(0);
  return "goes on";
}
static int ends_thread(char* how) {
  pthread_t thread;
  void* result;
  set(SIGSEGV, strcmp(how, "cancel") == 0 ? cancelled : end_thread, 0);
  set(SIGABRT, end_thread, 0);
  pthread_create(&thread, NULL, ends_itself, how);
  pthread_join(thread, &result);
  puts(result == PTHREAD_CANCELED ? "cancelled" : result);
  return 0;
}

static void mend_and_fail(int signal, siginfo_t* info, void* context) {
  mend(signal, info, context);
  errno = EDOM;
}
static int sets_errno(void) {
  struct sigaction action = {.sa_sigaction = mend_and_fail, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  errno = 0;
  fault();
  return errno == EDOM ? 0 : fail("errno");
}
// Nobody asked for the context, but x86-64 passes it all the same.
static int looks_at_context(void) {
  struct sigaction action = {.sa_sigaction = find_code};
  sigaction(SIGSEGV, &action, NULL);
  fault();
  return found_code ? 0 : fail("context");
}

// All signals come only while it waits.
static int waits(const char* how, int number) {
  const struct timespec second = {2, 0};
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  sigprocmask(SIG_BLOCK, &all, NULL);
  const pid_t self = getpid();
  if (fork() == 0) {
    usleep(100000);
    kill(self, number);
    _exit(0);
  }
  if (strcmp(how, "ppoll") == 0) ppoll(NULL, 0, &second, &none);
  if (strcmp(how, "pselect") == 0) pselect(0, NULL, NULL, NULL, &second, &none);
  if (strcmp(how, "sigsuspend") == 0) sigsuspend(&none);
  if (strcmp(how, "epoll_pwait") == 0) {
    struct epoll_event event;
    epoll_pwait(epoll_create1(0), &event, 1, 2000, &none);
  }
  return fail("lives");
}

static int is_interrupted(void) {
  char byte;
  int ends[2];
  pipe(ends);
  siginterrupt(SIGABRT, 1);
  signal(SIGABRT, ignore);
  const pid_t self = getpid();
  if (fork() == 0) {
    usleep(100000);
    kill(self, SIGABRT);
    usleep(500000);
    write(ends[1], "", 1);
    _exit(0);
  }
  return read(ends[0], &byte, 1) < 0 && errno == EINTR ? 0 : fail("restarted");
}

// Signals whose facts look like those of a fault.
static int queues(int number) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_signo = number;
  info.si_code = 1;
  syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), number, &info);
  return fail("lives");
}
static int tells_of_input(int number) {
  int ends[2];
  pipe(ends);
  fcntl(ends[0], F_SETOWN, getpid());
  fcntl(ends[0], F_SETSIG, number);
  fcntl(ends[0], F_SETFL, O_ASYNC);
  write(ends[1], "", 1);
  usleep(100000);
  return fail("lives");
}

// What a debugger sees at last.
static int is_traced(const char* how) {
  siginfo_t info;
  int status;
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    if (strcmp(how, "kill") == 0) kill(getpid(), SIGSEGV);
    if (strcmp(how, "sigqueue") == 0) sigqueue(getpid(), SIGSEGV, (union sigval){.sival_int = 42});
    fault();
  }
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    ptrace(PTRACE_GETSIGINFO, child, NULL, &info);
    ptrace(PTRACE_CONT, child, NULL, WSTOPSIG(status));
  }
  printf("%d of %d, from %d, value %d, at %d; ended by %d\n", info.si_code, info.si_signo,
         info.si_code <= 0 && info.si_pid == child, info.si_code == SI_QUEUE ? info.si_int : 0,
         info.si_code > 0 && info.si_addr == page, WTERMSIG(status));
  return 0;
}

// From now on the kernel lets it read, write and end.
static int is_confined(const char* how) {
  if (strcmp(how, "handles") == 0) {
    set(SIGSEGV, jump, SA_NODEFER);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    if (sigsetjmp(back, 0) == 0) page[0] = 1;
    syscall(SYS_exit, 3);
  }
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
  page[0] = 1;
  return 1;
}

static volatile int dying;

static void* dies(void* unused) {
  while (!dying) usleep(100);
  abort();
}

static void* idles(void* unused) {
  pause();
  return unused;
}

// Each child says its number and dies too, once its parent has. With many threads, a report takes
// long.
static int forks_beside_a_death(void) {
  pthread_t thread;
  for (int i = 0; i < 500; ++i) pthread_create(&thread, NULL, idles, NULL);
  pthread_create(&thread, NULL, dies, NULL);
  for (int i = 0; i < 300; ++i) {
    dying |= i == 2;
    if (fork() != 0) continue;
    dprintf(1, "%d\n", getpid());
    usleep(500000);
    fault();
  }
  pause();
  return 1;
}

int main(int count, char** words) {
  const char* how = count > 1 ? words[1] : "";
  const size_t size = count > 2 ? (size_t)atoi(words[2]) : 8192;
  page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (getenv("WATCH_LATE") != NULL) {  // handlers first, the watch after them
    struct sigaction action = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    alternate_stack(size);
    sigaction(SIGSEGV, &action, NULL);
    void* library = dlopen(getenv("WATCH_LATE"), RTLD_NOW);
    int (*watch)(void) = library ? (int (*)(void))dlsym(library, "cw_watch_death") : NULL;
    if (watch == NULL || watch() != 0) return fail("no watch");
    fault();
    puts("lives");
    return 0;
  }
  if (strcmp(how, "views") == 0) return views();
  if (strcmp(how, "views by other names") == 0) return views_by_other_names();
  if (strcmp(how, "views in a clone") == 0) return views_in_a_clone();
  if (strcmp(how, "views with siginfo") == 0) return views_with_siginfo();
  if (strcmp(how, "reads back") == 0) return reads_back();
  if (strcmp(how, "is interrupted") == 0) return is_interrupted();
  if (strcmp(how, "views of X/Open") == 0) return views_of_xopen();
  if (strcmp(how, "mends") == 0) {
    struct sigaction action = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    alternate_stack(size);
    sigaction(SIGSEGV, &action, NULL);
    for (int i = 0; i < 1000; ++i) fault();
    puts("lives");
    return 0;
  }
  if (strcmp(how, "jumps") == 0) {
    set(SIGSEGV, jump, SA_NODEFER);
    for (volatile int i = 0; i < 1000; ++i) {
      if (sigsetjmp(back, 0) == 0) fault();
    }
    puts("lives");
    return 0;
  }
  if (strcmp(how, "leaves") == 0) set(SIGSEGV, leave, 0), fault();
  if (strcmp(how, "gives up") == 0) {
    alternate_stack(size);
    set(SIGSEGV, give_up, SA_ONSTACK);
    fault();
  }
  if (strcmp(how, "passes on") == 0) set(SIGSEGV, pass_on, SA_NODEFER), fault();
  if (strcmp(how, "overflows") == 0) {
    alternate_stack(size);
    return over(0);
  }
  if (strcmp(how, "aborts") == 0) abort();
  if (strcmp(how, "child of vfork") == 0) {
    set(SIGSEGV, leave, 0);
    if (vfork() == 0) {
      signal(SIGSEGV, SIG_DFL);
      _exit(0);
    }
    wait(NULL);
    fault();
  }
  if (strcmp(how, "ends thread") == 0) return ends_thread(words[2]);
  if (strcmp(how, "waits") == 0) return waits(words[2], atoi(words[3]));
  if (strcmp(how, "queues") == 0) return queues(atoi(words[2]));
  if (strcmp(how, "tells of input") == 0) return tells_of_input(atoi(words[2]));
  if (strcmp(how, "is traced") == 0) return is_traced(words[2]);
  if (strcmp(how, "is confined") == 0) return is_confined(words[2]);
  if (strcmp(how, "sets errno") == 0) return sets_errno();
  if (strcmp(how, "looks at context") == 0) return looks_at_context();
  if (strcmp(how, "forks beside a death") == 0) return forks_beside_a_death();
  return fail("what?");
}
