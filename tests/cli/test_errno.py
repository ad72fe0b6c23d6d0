"""Programs may rely on errno being 0 when main() begins, and on calls that succeed to leave it."""

import subprocess

import pytest
from conftest import CLEAN

CALLS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <omp.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
extern char** environ;
#define TELL(name, call) do { errno = 0; const int done = (call) >= 0; tell(name, done); } while (0)
static void tell(const char* name, int done) {
  const int now = errno;
  printf("%s: %d, errno %d\n", name, done, now);
  fflush(stdout);
}
static void at_exit(void) {
  tell("exit", 1);
  errno = 0;
}
__attribute__((destructor)) static void at_end(void) { tell("end", 1); }
int main(void) {
  tell("main", 1);
  atexit(at_exit);
  omp_get_num_procs();  // a library with a pool gives the process a control socket
  pid_t child = 0;
  char* words[] = {"true", NULL};
  TELL("fork", child = fork());
  if (child == 0) _exit(0);
  TELL("wait", waitpid(child, NULL, 0));
  TELL("posix_spawn", posix_spawn(&child, "/bin/true", NULL, NULL, words, environ));
  TELL("wait", waitpid(child, NULL, 0));
  TELL("system", system("true"));
  TELL("seteuid", seteuid(geteuid() == 0 ? 65534 : geteuid()));
  TELL("setreuid", setreuid(-1, getuid()));
  TELL("prctl", prctl(PR_SET_NAME, "name"));
  TELL("dlopen", dlopen("libm.so.6", RTLD_NOW) != NULL);
  TELL("unshare", unshare(CLONE_NEWUSER));
  errno = 0;
  return 0;
}
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("errno")
    (folder / "calls.c").write_text(CALLS)
    words = ["gcc", "-w", "-fopenmp", folder / "calls.c", "-o", folder / "calls"]
    subprocess.run(words, check=True)
    return folder / "calls"


def test_what_succeeds_leaves_it(corewise, calls):
    plain = subprocess.run([calls], env=CLEAN, capture_output=True, text=True)
    done = corewise("run", "-q", "--", calls)
    assert (done.returncode, done.stdout, done.stderr) == (0, plain.stdout, plain.stderr)
    assert plain.stdout.startswith("main: 1, errno 0\n")
