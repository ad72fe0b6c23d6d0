"""A program whose main thread ends by pthread_exit goes on in its others and ends with the last of
them: a thread of ours must not keep it alive."""

import shutil
import subprocess

import pytest

PROGRAM = r"""
#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void* late(void* sum) {
  usleep(200000);
#pragma omp parallel num_threads(3)
#pragma omp atomic
  *(int*)sum += omp_get_num_threads();
  printf("%d\n", *(int*)sum);
  return NULL;
}
static void at_end(void) {
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, NULL, &blocked);
  printf("SIGUSR1 %s\n", sigismember(&blocked, SIGUSR1) ? "blocked" : "open");
}
int main(int argc, char** argv) {
  (void)argc;
  static int sum;
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  atexit(at_end);
  setvbuf(stdout, NULL, _IONBF, 0);
  const int alone = strcmp(argv[1], "alone") == 0;
#pragma omp parallel num_threads(2) if (!alone)
  usleep(1000);
  if (strcmp(argv[1], "child") == 0) {
    const pid_t child = fork();
    if (child != 0) {
      int status;
      waitpid(child, &status, 0);
      return status;
    }
  }
  pthread_sigmask(SIG_BLOCK, &blocked, NULL);
  pthread_t other;
  if (!alone) pthread_create(&other, NULL, late, &sum);
  pthread_exit(NULL);
}
"""


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    built = tmp_path_factory.mktemp("main_thread") / "guest"
    source = built.with_suffix(".c")
    source.write_text(PROGRAM)
    subprocess.run(["gcc", "-fopenmp", source, "-o", built], check=True)
    return built


@pytest.mark.parametrize("how", ["alone", "outlived"])
def test_the_program_ends_with_its_last_thread(corewise, guest, how):
    plain = subprocess.run([guest, how], capture_output=True, text=True, timeout=60, check=True)
    governed = corewise("run", "-q", "--", guest, how, timeout=60)
    assert (governed.returncode, governed.stdout) == (0, plain.stdout)


def test_so_does_a_forked_child(corewise, guest):
    # Ungoverned it would wait for ever at its first region: its parent used OpenMP.
    governed = corewise("run", "-q", "--", guest, "child", timeout=60)
    assert (governed.returncode, governed.stdout.splitlines()[0]) == (0, "9")
