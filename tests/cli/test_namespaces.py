"""A governed program enters namespaces that only a process with one thread may enter."""

import os
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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char** words) {
  omp_get_num_procs();
  int result = -1;
  if (strcmp(words[1], "user") == 0) result = unshare(CLONE_NEWUSER);
  if (strcmp(words[1], "user by number") == 0) result = syscall(SYS_unshare, CLONE_NEWUSER);
  if (strcmp(words[1], "wrong by number") == 0) result = syscall(SYS_unshare, 1 << 20);
  if (strcmp(words[1], "mount by number") == 0) {
    result = syscall(SYS_setns, open("/proc/self/ns/mnt", O_RDONLY), CLONE_NEWNS);
  }
  if (strcmp(words[1], "memory") == 0) result = unshare(CLONE_VM);
  if (strcmp(words[1], "wrong") == 0) result = unshare(1 << 20);
  if (strcmp(words[1], "mount") == 0) {
    result = setns(open("/proc/self/ns/mnt", O_RDONLY), CLONE_NEWNS);
  }
  // These children have a copy of the parent's memory, or the memory itself, and not its thread.
  if (strcmp(words[1], "raw clone") == 0 || strcmp(words[1], "vfork") == 0) {
    const pid_t child = words[1][0] == 'v' ? vfork() : syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(unshare(1 << 20) == 0 ? 1 : errno == EINVAL ? 2 : 3);
    int status = 0;
    waitpid(child, &status, 0);
    printf("%d\\n", WEXITSTATUS(status));
    result = 0;
  }
  // No fork handler runs, and in there the child has its parent's number.
  if (strcmp(words[1], "first") == 0) {
    char path[4096];
    snprintf(path, sizeof path, "%s/corewise/%d.sock", getenv("XDG_RUNTIME_DIR"), getpid());
    for (int i = 0; i < 100 && access(path, F_OK) != 0; ++i) usleep(10000);
    const pid_t child = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(7);
    int status = 0;
    waitpid(child, &status, 0);
    printf("%d %d\\n", getpid(), WEXITSTATUS(status));
    result = access(path, F_OK);
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


@pytest.mark.parametrize(
    "what",
    [
        *("user", "memory", "mount", "wrong", "raw clone", "vfork"),
        *("user by number", "mount by number", "wrong by number"),
    ],
)
def test_it_enters_as_it_would_ungoverned(corewise, enters, what):
    plain = subprocess.run([enters, what], env=CLEAN, capture_output=True, text=True)
    done = corewise("run", "-q", "--", enters, what)
    assert (done.returncode, done.stdout, done.stderr) == (0, plain.stdout, plain.stderr)


@pytest.mark.parametrize("what", ["wrong", "wrong by number", "raw clone", "vfork"])
def test_who_does_not_enter_keeps_its_socket(corewise, program, enters, what):
    words = [program, "run", "-q", "--", enters, what, "wait"]
    with subprocess.Popen(words, env=CLEAN, stdin=-1, stdout=-1, text=True) as running:
        told = [running.stdout.readline() for _ in range(2 if what.startswith("wrong") else 3)]
        asked = corewise("info", "--pid", str(running.pid), "--json")
        running.communicate("\n")
    assert (told[-1], asked.returncode) == ("2\n", 0), asked.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a pid namespace")
def test_the_first_process_of_a_namespace_keeps_what_is_its_own(program, enters, tmp_path):
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("no pid namespace may be made here")
    report = tmp_path / "report"
    report.touch()
    done = subprocess.run(
        [*inside, program, "run", "-q", "--", enters, "first"],
        env=CLEAN | {"XDG_RUNTIME_DIR": str(tmp_path), "COREWISE_REPORT_FILE": str(report)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "1 7\nentered\n2\n", done.stderr
    ends = [line for line in report.read_text().splitlines() if '"event":"end"' in line]
    assert len(ends) == 1 and '"pool' in ends[0]
