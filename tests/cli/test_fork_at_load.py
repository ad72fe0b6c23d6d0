"""A thread forks while another loads the process's first pool: neither waits for the other."""

import shutil
import subprocess

import pytest

# A runtime that takes part in the test: when corewise asks it for its limit, in the middle of the
# first load's hook pass, it lets the program fork and waits until that thread stands at a lock.
RUNTIME = r"""
void asked(void);
static _Thread_local int count = 3;
int omp_get_max_threads(void) { return count; }
void omp_set_num_threads(int threads) { count = threads; }
int omp_get_thread_limit(void) { asked(); return 64; }
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags) {
  body(data);
}
"""

PROGRAM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static sem_t may_fork;
static atomic_int forker, forks, was_asked;

static int is_asleep(int thread) {
  char path[64], text[256] = "", state = '?';
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
  FILE* file = fopen(path, "r");
  if (file == NULL || fgets(text, sizeof text, file) == NULL) return 0;
  fclose(file);
  sscanf(text, "%*d (%*[^)]) %c", &state);
  return state == 'S';
}

// Two seconds at most: a fork that waits for nobody is done by then.
void asked(void) {
  if (atomic_exchange(&was_asked, 1)) return;
  sem_post(&may_fork);
  for (int i = 0; i < 2000 && atomic_load(&forks) < 2; ++i) {
    usleep(1000);
    if (atomic_load(&forks) == 1 && is_asleep(atomic_load(&forker))) return;
  }
}

// Called before corewise's own, which take its locks.
static void before(void) { atomic_store(&forks, 1); }

static void* fork_once(void* unused) {
  atomic_store(&forker, (int)syscall(SYS_gettid));
  sem_wait(&may_fork);
  const pid_t child = fork();
  if (child == 0) _exit(5);
  atomic_store(&forks, 2);
  int status = 0;
  waitpid(child, &status, 0);
  printf("child %d\n", WEXITSTATUS(status));
  return unused;
}

int main(int argc, char** argv) {
  (void)argc;
  pthread_t other;
  alarm(60);
  sem_init(&may_fork, 0, 0);
  pthread_atfork(before, NULL, NULL);
  pthread_create(&other, NULL, fork_once, NULL);
  void* const runtime = dlopen(argv[1], RTLD_NOW);
  if (runtime == NULL) return puts(dlerror()), 1;
  int (*const most)(void) = (int (*)(void))dlsym(runtime, "omp_get_max_threads");
  printf("most %d\n", most());
  pthread_join(other, NULL);
  return was_asked ? 0 : 2;
}
"""


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    folder = tmp_path_factory.mktemp("fork_at_load")
    for name, text, how in (
        ("runtime.c", RUNTIME, ["-shared", "-fPIC", "-o", "runtime.so"]),
        ("guest.c", PROGRAM, ["-rdynamic", "-pthread", "-o", "guest"]),
    ):
        (folder / name).write_text(text)
        subprocess.run(["gcc", "-w", name, *how], cwd=folder, check=True)
    return [folder / "guest", folder / "runtime.so"]


# Without a socket, every later load would try again to make one.
@pytest.mark.parametrize("control", [{}, {"COREWISE_CONTROL": "off"}], ids=["", "no socket"])
def test_a_fork_amid_the_first_load(corewise, guest, control):
    done = corewise("run", "-q", "--", *guest, env=control)
    assert (done.returncode, sorted(done.stdout.splitlines())) == (0, ["child 5", "most 3"])
