"""What becomes of calls that find all slots of OpenBLAS taken. src/advice/caller_slots.h says it
for each version; this shows it with the wheels that are here, one call after another.

A version that no longer breaks needs a row in src/advice/caller_slots.cpp.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHONS = [sys.executable, str(ROOT / ".venv-seed/bin/python")]

CALLS = """
import ctypes, sys
import numpy, scipy.linalg
paths = {line.split()[-1] for line in open("/proc/self/maps") if "openblas" in line}
[path] = [path for path in paths if sys.argv[1] + ".libs" in path]
blas = ctypes.CDLL(path)
try:
    take, give = blas.blas_memory_alloc, blas.blas_memory_free
except AttributeError:
    print("not exported")
    sys.exit()
take.restype, give.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
held = [take(0) for _ in range(128)]
buffers = set()
for _ in range(int(sys.argv[2])):
    buffers.add(buffer := take(0))
    give(buffer)
for buffer in held:
    give(buffer)
print(len(buffers), "buffers")
"""


def calls(python: str, package: str, count: int, *before: str) -> subprocess.CompletedProcess[str]:
    """128 calls that keep running, and beside them `count` calls, one after another."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(
        [*before, python, "-c", CALLS, package, str(count)],
        env=env | {"OPENBLAS_NUM_THREADS": "1", "COREWISE_POSTMORTEM": "off"},
        capture_output=True,
        text=True,
        errors="replace",  # of a process whose memory is damaged
        timeout=120,
        check=False,
    )
    if "not exported" in done.stdout:
        pytest.skip("this build does not export blas_memory_alloc")
    return done


@pytest.mark.parametrize("package", ["numpy", "scipy"])
@pytest.mark.parametrize("python", PYTHONS, ids=["newest", "seed"])
def test_each_spare_slot_serves_once(python: str, package: str) -> None:
    if not Path(python).exists():
        pytest.skip("needs .venv-seed: make test-seed")
    few = calls(python, package, 500)
    assert (few.returncode, few.stdout.split("\n")[0]) == (0, "500 buffers")
    assert few.stderr.count("precompiled NUM_THREADS exceeded") == 1
    # Only ever one at a time: the 513th call writes past a table on the heap.
    assert calls(python, package, 700).returncode < 0
    governed = calls(python, package, 700, "corewise", "run", "--")
    assert governed.returncode == 0 and "exceeded" not in governed.stderr
