// A plugin with functions of its own that have the names of the C library's.
#include <stdio.h>

#define OWN(name) \
  int name(void) { return 1; }
#define EACH(do)                                                                                                                                      \
  do                                                                                                                                                  \
  (setuid) do(seteuid) do(setreuid) do(setresuid) do(unshare) do(setns) do(_exit) do(raise) do(execve) do(execv) do(execvp) do(execvpe) do(execl) do( \
      execlp) do(execle) do(fexecve) do(execveat) do(posix_spawn) do(posix_spawnp) do(prctl) do(syscall) do(signal) do(sigaction) do(exit) do(abort) do(dlsym)

EACH(OWN)

#define TELL(name) \
  if (name() != 1) puts(#name);

// Prints the functions of which it reaches others'.
int tell(void) {
  EACH(TELL)
  return 0;
}
