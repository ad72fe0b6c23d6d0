"""Real programs with our buffers. Run: pytest tests/hook/test_buffers.py

Needs numpy, scipy and scikit-learn; COREWISE_TEST_HOOKS names libcorewise_test_hooks.so.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

HOOKS = os.environ.get(
    "COREWISE_TEST_HOOKS",
    str(pathlib.Path(__file__).parents[2] / "build/tests/hook/libcorewise_test_hooks.so"),
)

KMEANS = """
import ctypes, json, sys, time
import numpy, scipy.linalg
from sklearn.cluster import KMeans
hooks = ctypes.CDLL(sys.argv[1])
hooks.cwt_install.restype = ctypes.c_char_p
copies = hooks.cwt_install().decode() if sys.argv[2] == "buffers" else ""
n = int(sys.argv[3])
x = numpy.random.default_rng(0).standard_normal((n, 512))
init = x[:1024].copy()
start = time.perf_counter()
fit = KMeans(1024, init=init, n_init=1, max_iter=3, algorithm="lloyd").fit(x)
print(json.dumps({
    "inertia": fit.inertia_, "seconds": time.perf_counter() - start,
    "buffers": hooks.cwt_buffers(), "copies": copies,
}))
"""

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "OMP_"))}


def run(script, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, HOOKS, *arguments],
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=580,
    )


def kmeans(threads, kind="buffers", n=80_000):
    done = run(KMEANS, kind, str(n), OMP_NUM_THREADS=str(threads))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


@pytest.fixture(scope="module")
def serial():
    return kmeans(1, kind="original")[0]["inertia"]


@pytest.mark.parametrize("threads", [128, 1000])
def test_kmeans_survives_any_number_of_callers(threads, serial):
    result, output = kmeans(threads)
    print(threads, result)
    assert result["inertia"] == pytest.approx(serial, rel=1e-12)
    assert result["buffers"] > 0
    assert "OpenBLAS warning" not in output
    assert "Bad memory unallocation" not in output


def test_both_copies_are_served(serial):
    result, _ = kmeans(2)
    lines = [line.split("\t") for line in result["copies"].splitlines()]
    assert len(lines) == 2
    assert all(line[1] == "served" and line[2] == "" for line in lines), lines


STRIPPED = """
import ctypes, sys
hooks = ctypes.CDLL(sys.argv[1])
hooks.cwt_install.restype = ctypes.c_char_p
ctypes.CDLL(sys.argv[2])
print(hooks.cwt_install().decode())
"""


def test_a_stripped_copy_is_refused_with_the_reason(tmp_path):
    numpy = pytest.importorskip("numpy")
    folder = pathlib.Path(numpy.__file__).parents[1] / "numpy.libs"
    library = next(folder.glob("libscipy_openblas64*"))
    listing = subprocess.run(["nm", "-D", library], capture_output=True, text=True).stdout
    if " T blas_memory_alloc" in listing:
        pytest.skip("this NumPy exports blas_memory_alloc: stripping hides nothing")
    copy = tmp_path / library.name
    subprocess.run(["strip", "-o", copy, library], check=True)
    done = run(STRIPPED, str(copy), LD_LIBRARY_PATH=str(folder))
    assert done.returncode == 0, done.stderr
    assert "\tnot served\tits blas_memory_alloc is in no symbol table" in done.stdout
    assert "cap its callers instead" in done.stdout
