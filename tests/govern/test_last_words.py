"""What a process leaves behind if a library ended it, or if it died with cut teams: with real
libraries if there are any. Each death in a process of its own."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

VENV = pathlib.Path(os.environ.get("COREWISE_REAL_VENV") or "/nowhere")
LIBRARY = os.environ["COREWISE_LIBRARY"]
INTEL = VENV / "lib/libiomp5.so"
LLVM = [VENV / "libomp-14/libomp.so.5", pathlib.Path("/usr/lib/x86_64-linux-gnu/libomp.so.5")]
NUMBA = bool(list(VENV.glob("lib/python3*/site-packages/numba")))
VARIABLES = ("OMP_NUM_THREADS", "LD_PRELOAD", "COREWISE_POSTMORTEM", "KMP_DUPLICATE_LIB_OK")
RUN = {"LD_PRELOAD": LIBRARY, "COREWISE_GOVERN": "1"}

needs_numba = pytest.mark.skipif(not NUMBA, reason="needs the wheel of numba")
needs_intel = pytest.mark.skipif(not INTEL.exists(), reason="needs the wheel of Intel's OpenMP")


def die(tmp_path, words, **variables):
    """How the process ended, and the report of the last process that died in it."""
    environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    environment["XDG_STATE_HOME"] = str(tmp_path / "state")
    done = subprocess.run(
        [str(word) for word in words],
        env=environment | RUN | {"COREWISE_GROUP": f"dies{os.getpid()}"} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    code = """
import ctypes, os
library = ctypes.CDLL(os.environ["COREWISE_LIBRARY"])
text = ctypes.create_string_buffer(1 << 20)
needed = ctypes.c_size_t()
library.cw_last_death_json(text, len(text), ctypes.byref(needed))
print(text.value.decode())
"""
    asked = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done, json.loads(asked.stdout)


def only_finding(told):
    [finding] = told["findings"]
    return finding


OPENMPS = """
import ctypes, sys
for path in sys.argv[1:]:
    print(ctypes.CDLL(path).omp_get_max_threads() > 0, flush=True)
"""


@needs_intel
@pytest.mark.parametrize("other", [path for path in LLVM if path.exists()] + ["a copy"])
@pytest.mark.parametrize("intel_first", [True, False])
def test_two_copies_of_llvms_runtime(tmp_path, other, intel_first):
    if other == "a copy":
        other = tmp_path / "libiomp5.so"
        shutil.copy(INTEL, other)
    pair = [INTEL, other] if intel_first else [other, INTEL]
    done, told = die(tmp_path, [sys.executable, "-c", OPENMPS, *pair])
    assert done.returncode == -signal.SIGABRT and "OMP: Error #15" in done.stderr
    first, second = (path.resolve() for path in pair)
    finding = only_finding(told)
    assert finding["id"] == "death-two-openmps"
    assert finding["what"] == f"{second} refused to start beside {first} (OMP: Error #15)"


PARALLEL = """
import multiprocessing, threading, numba, numpy
@numba.njit(parallel=True, nogil=True)
def add(a):
    total = 0.0
    for i in numba.prange(a.size): total += a[i] ** 0.5
    return total
a = numpy.ones(5_000_000)
add(a)
"""
TWO_THREADS = """
threads = [threading.Thread(target=lambda: [add(a) for _ in range(500)]) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
FORKED = """
child = multiprocessing.get_context("fork").Process(target=add, args=(a,))
child.start(); child.join()
print(child.exitcode)
"""


@needs_numba
def test_numbas_workqueue_entered_by_two(tmp_path):
    words = [VENV / "bin/python", "-c", PARALLEL + TWO_THREADS]
    done, told = die(tmp_path, words, NUMBA_THREADING_LAYER="workqueue")
    assert done.returncode == -signal.SIGABRT and "Concurrent access" in done.stderr
    assert only_finding(told)["id"] == "death-numba-concurrent"


@needs_numba
def test_numba_after_a_fork(tmp_path):
    words = [VENV / "bin/python", "-c", PARALLEL + FORKED]
    done, told = die(tmp_path, words, NUMBA_THREADING_LAYER="omp")
    assert done.returncode == 0 and done.stdout == f"{-signal.SIGTERM}\n", done.stderr
    assert only_finding(told)["id"] == "death-numba-fork"
    assert told["death"]["signal"] == "SIGTERM"


@needs_numba
def test_a_program_that_ends_itself_leaves_no_report(tmp_path):
    """Programs usually end by SIGTERM; it is a cause only if a pool's library sends it."""
    ends = "\nimport signal; signal.raise_signal(signal.SIGTERM)"
    words = [VENV / "bin/python", "-c", PARALLEL + ends]
    done, _ = die(tmp_path, words, NUMBA_THREADING_LAYER="omp")
    assert done.returncode == -signal.SIGTERM
    # Not what die() returns: that may be of another program of this user, which had no home.
    assert list(tmp_path.rglob("*.json")) == []


CUT = r"""
#include <omp.h>
#include <stdlib.h>
void work(void) {
  int asked = 4, got = 1;
#pragma omp parallel num_threads(asked)
#pragma omp single
  got = omp_get_num_threads();
  if (got != asked) abort();
}
"""


def test_teams_that_had_been_cut(tmp_path):
    (tmp_path / "cut.c").write_text(CUT)
    library = tmp_path / "libcut.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-fopenmp", tmp_path / "cut.c", "-o", library], check=True
    )
    words = [sys.executable, "-c", f"import ctypes; ctypes.CDLL({str(library)!r}).work()"]
    done, told = die(tmp_path, words, COREWISE_BEND="libcut", COREWISE_BUDGET="1")
    assert done.returncode == -signal.SIGABRT
    finding = told["findings"][-1]
    assert finding["id"] == "death-bent-team" and finding["severity"] == "danger"
    assert (
        "libcut.so had been cut: they asked for 4 threads and got 1, in 1 of 1" in finding["what"]
    )
    assert told["death"]["bent"]["from"] == [4] and told["death"]["bent"]["to"] == [1]
    done, _ = die(tmp_path, words, COREWISE_EXACT_TEAMS="libcut", COREWISE_BUDGET="1")
    assert done.returncode == 0
