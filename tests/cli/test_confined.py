"""Programs that deny themselves something, or were denied it, end as they do ungoverned."""

import platform
import resource
import subprocess

import pytest
from conftest import CLEAN
from governed import Governed

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of x86-64")

# For all threads: the calls with these numbers are refused (EPERM) or fatal from now on.
CONFINE = """
import ctypes, struct, sys
def confine(numbers, verdict):
    libc = ctypes.CDLL(None)
    code = [(0x20, 0, 0, 0)]
    code += [(0x15, len(numbers) - i, 0, n) for i, n in enumerate(numbers)]
    code += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, verdict)]
    held = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in code))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxQ", len(code), ctypes.addressof(held))
    )
    libc.prctl(38, 1, 0, 0, 0)
    assert libc.syscall(317, 1, 1, program) == 0
DENY, KILL = 0x50001, 0x80000000
OPEN = [2, 85, 257, 437]
"""

# A thread is there before, and computes for the first time afterwards.
LATER = """
import threading, numpy as np
a = np.ones((300, 300)); a @ a
go, out = threading.Event(), []
def product():
    go.wait()
    for _ in range(100): value = (a @ a)[0, 0]
    out.append(value)
threads = [threading.Thread(target=product) for _ in range(3)]
for each in threads: each.start()
confine(%s)
go.set()
for each in threads: each.join()
print(out, flush=True)
"""
CALLS = {
    "mprotect": "[10], DENY",
    "mmap": "[9], DENY",
    "mprotect and mmap": "[9, 10], DENY",
    "madvise": "[28], DENY",
    "open": "OPEN, DENY",
    "open, or die": "OPEN, KILL",
    "its CPUs, or die": "[204], KILL",
    "unlink, or die": "[87, 263], KILL",
    # By these we would look whether there is a filter, and whether we are in a child.
    "pread, or die": "[17], KILL",
    "getpid, or die": "[39], KILL",
    "kill, or die": "[62], KILL",
}


FORKS_WITHOUT = {
    "open": "OPEN",
    "its CPUs": "[204]",
    "pread": "[17]",
    "getpid": "[39]",
    "kill": "[62]",
    "close": "[3]",
    "fstat": "[5, 262]",
}
# As a server that confines itself and then forks its workers.
FORKS = """
import os, numpy as np
a = np.ones((300, 300)); a @ a
confine(%s, KILL)
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        (a @ a)
        os._exit(7)
    print(os.waitpid(pid, 0)[1])
"""


@pytest.fixture
def ends(program):
    """How a command ends and what it prints, plainly and under `corewise run`."""

    def run(words, *how, **options):
        found = []
        for command in (words, [program, "run", "-q", *how, "--", *words]):
            done = subprocess.run(
                command,
                env=CLEAN | {"OPENBLAS_NUM_THREADS": "2"},
                capture_output=True,
                text=True,
                timeout=300,
                **options,
            )
            found.append((done.returncode, done.stdout))
        return found

    return run


@pytest.fixture
def both(ends, numpy_python):
    return lambda code, *how, **options: ends([numpy_python, "-c", code], *how, **options)


@pytest.mark.parametrize("opened", ["", "a @ a; "], ids=["closed", "open again"])
def test_what_is_refused_to_who_closed_all_descriptors(both, opened):
    """The filter is seen as it is installed."""
    closing = f"import os; os.closerange(3, 4096); {opened}confine("
    code = CONFINE + (LATER % CALLS["open, or die"]).replace("confine(", closing)
    plain, governed = both(code, "--report")
    assert governed == plain
    assert plain[0] == 0


@pytest.mark.parametrize("calls", CALLS)
def test_what_is_refused_later(both, calls):
    plain, governed = both(CONFINE + LATER % CALLS[calls])
    assert governed == plain
    assert plain[0] == 0


@pytest.mark.parametrize("how", [[], ["--report"]], ids=["", "report"])
@pytest.mark.parametrize("calls", FORKS_WITHOUT)
def test_children_of_a_confined_process(both, calls, how):
    plain, governed = both(CONFINE + FORKS % FORKS_WITHOUT[calls], *how)
    assert governed == plain
    assert plain[0] == 0


def test_children_of_a_confined_python(numpy_with_corewise):
    """They try for no control socket, nor does a later library: socket() is fatal."""
    ends = []
    for first in ("", "import corewise; corewise.info()\n"):
        code = first + CONFINE + FORKS % "[41]"
        done = subprocess.run(
            [numpy_with_corewise, "-c", code],
            env=CLEAN,
            capture_output=True,
            text=True,
            timeout=300,
        )
        ends.append((done.returncode, done.stdout))
    assert ends[1] == ends[0] == (0, "1792\n" * 3)


# The filter comes by a call of the program's own, not through ctypes.
CALLS_IT = """
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
static void ignore(int signal) {}
int main(int count, char** words) {
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pread64, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  struct sock_fprog filter = {sizeof code / sizeof code[0], code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (count > 1 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return 1;
  if (count == 1 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) return 2;
  struct sigaction action = {.sa_handler = ignore};
  if (sigaction(SIGSEGV, &action, 0) != 0 || sigaction(SIGABRT, &action, 0) != 0) return 3;
  if (fork() == 0) _exit(0);
  return 7;
}
"""


@pytest.mark.parametrize("how", [[], ["--report"]], ids=["", "report"])
@pytest.mark.parametrize("through", ["prctl", "syscall"])
def test_what_a_compiled_program_kills_itself_for(ends, tmp_path, through, how):
    (tmp_path / "filter.c").write_text(CALLS_IT)
    subprocess.run(["gcc", "-w", tmp_path / "filter.c", "-o", tmp_path / "filter"], check=True)
    words = [tmp_path / "filter", *(["prctl"] if through == "prctl" else [])]
    assert ends(words, *how) == [(7, ""), (7, "")]


# As a sandbox starts a program: the filter is there before the program, and so before our library.
BEFORE = """
import os
confine(%s, KILL)
os.execv(sys.argv[1], sys.argv[1:])
"""
COMPUTES = """
import os, numpy as np
a = np.ones((300, 300)); a @ a
if pid := os.fork():
    print((a @ a)[0, 0], os.waitpid(pid, 0)[1])
else:
    (a @ a)
    os._exit(0)
"""
FATAL_BEFORE = {
    "socket": [41],
    "bind": [49],
    "listen": [50],
    "accept4": [288],
    "poll": [7, 271],
    "flock": [73],
    "mkdir": [83, 258],
    "fchmod": [91],
    "unlink": [87, 263],
    "kill": [62],
    "faccessat2": [439],
    "geteuid": [107],
    "getpid": [39],
    "membarrier": [324],
    "prctl": [157],
    "getcpu": [309],
    "writev": [20],
    "sigaltstack": [131],
    "rename": [82, 264, 316],
    "truncate": [76, 77, 285],
    "wait4": [61],
}


@pytest.fixture
def sandbox(ends, numpy_python):
    def run(numbers, code):
        start = [numpy_python, "-c", CONFINE + BEFORE % numbers]
        return ends([*start, numpy_python, "-c", code])

    return run


@pytest.mark.parametrize("call", FATAL_BEFORE)
def test_what_was_fatal_before_the_start(sandbox, call):
    # The program's own wait would be fatal too.
    code = COMPUTES.partition("if pid")[0] if call == "wait4" else COMPUTES
    plain, governed = sandbox(FATAL_BEFORE[call], code)
    assert governed == plain
    assert plain[0] == 0


# Python and OpenBLAS need these themselves.
@pytest.mark.parametrize(
    "number",
    [8, 14, 28, 110],
    ids=["lseek", "rt_sigprocmask", "madvise", "getppid"],
)
def test_what_only_we_would_call(ends, numpy_python, number):
    start = [numpy_python, "-c", CONFINE + BEFORE % [number]]
    assert ends([*start, "/bin/true"], "--report") == [(0, ""), (0, "")]


def test_governing_a_sandboxed_program_is_refused(program, numpy_with_corewise):
    ask = """
import corewise
try: corewise.govern().__enter__()
except PermissionError as why: print(type(why).__name__, why)
"""
    words = [numpy_with_corewise, "-c", CONFINE + BEFORE % "[41]", numpy_with_corewise, "-c", ask]
    done = subprocess.run(words, env=CLEAN, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0
    assert done.stdout.startswith("PermissionError the filter (seccomp) that this process")


# Python ignores the signal of this limit.
@pytest.mark.parametrize("how", [[], ["--report"]], ids=["", "report"])
def test_no_file_may_grow(corewise, how):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    words = ["sh", "-c", "ulimit -f; exec true"]
    done = corewise("run", "-q", *how, "--", *words, preexec_fn=limit)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


@pytest.mark.parametrize("how", [[], ["--report"]], ids=["", "report"])
def test_six_descriptors(both, how):
    """Three are the standard streams, and Python's import needs the others."""
    plain, governed = both(
        "import numpy as np; a = np.ones((300, 300)); print((a @ a)[0, 0])",
        *how,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (6, 6)),
    )
    assert governed == plain == (0, "300.0\n")


def test_an_array_that_just_fits(both):
    """`ulimit -v`, as batch systems have it: the first call of BLAS reserves no gigabytes."""
    limit = 3_000_000 << 10
    code = """
import numpy as np
a = np.ones((300, 300)); a @ a
try: b = np.ones(1_500_000_000 // 8); print("fits")
except MemoryError: print("too large")
"""
    plain, governed = both(
        code, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    )
    assert governed == plain == (0, "fits\n")


# A confined process writes no last line: its counts are those of its page.
COUNTED = """
a = np.ones((300, 300))
for _ in range(5): a @ a
confine([41], DENY)
if pid := os.fork():
    print(os.waitpid(pid, 0)[1])
else:
    for _ in range(3): a @ a
    os._exit(0)
"""


def test_the_counts_of_a_confined_process_are_not_its_childs(program, numpy_python):
    code = CONFINE + "import os, numpy as np\n" + COUNTED
    done = Governed(program, numpy_python, "-c", code, env={"OPENBLAS_NUM_THREADS": "2"})
    assert (done.code, done.out) == (0, "0\n")
    assert done.report["sum"]["calls"] == 5
