"""A governed program enters namespaces that only a process with one thread may enter."""

import subprocess

import pytest
from conftest import CLEAN

# A library with a pool gives the process a control socket, and so a thread.
ENTERS = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char** words) {
  omp_get_num_procs();
  int result = -1;
  if (strcmp(words[1], "user") == 0) result = unshare(CLONE_NEWUSER);
  if (strcmp(words[1], "memory") == 0) result = unshare(CLONE_VM);
  if (strcmp(words[1], "wrong") == 0) result = unshare(1 << 20);
  if (strcmp(words[1], "mount") == 0) {
    result = setns(open("/proc/self/ns/mnt", O_RDONLY), CLONE_NEWNS);
  }
  printf("%s\\n", result == 0 ? "entered" : strerrorname_np(errno));
  int size = 0;
#pragma omp parallel num_threads(2) reduction(+ : size)
  ++size;
  printf("%d\\n", size);
  fflush(stdout);
  if (count > 2) getchar();
  return 0;
}
"""


@pytest.fixture(scope="module")
def enters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("namespaces")
    (folder / "enters.c").write_text(ENTERS)
    built = folder / "enters"
    subprocess.run(["gcc", "-w", "-fopenmp", folder / "enters.c", "-o", built], check=True)
    return built


@pytest.mark.parametrize("what", ["user", "memory", "mount", "wrong"])
def test_it_enters_as_it_would_ungoverned(corewise, enters, what):
    plain = subprocess.run([enters, what], env=CLEAN, capture_output=True, text=True)
    done = corewise("run", "-q", "--", enters, what)
    assert (done.returncode, done.stdout, done.stderr) == (0, plain.stdout, plain.stderr)
