"""What killed programs, with the real libraries: each run in a fresh process and compared with the
serial result. COREWISE_RUNS says how often (`make test-reliability`: 50)."""

import os

import pytest
from test_govern import run

RUNS = range(int(os.environ.get("COREWISE_RUNS", "1")))

# 1,500 chunks of some milliseconds each, so that the kernel preempts threads inside OpenBLAS: by
# default such a run dies ("precompiled NUM_THREADS exceeded", then SIGSEGV or a corrupted heap).
KMEANS = """
import json, sys, cw
import numpy as np
from sklearn.cluster import KMeans
if sys.argv[1] != "serial": cw.govern(int(sys.argv[1]))
X = np.random.default_rng(0).standard_normal((384000, 256))
model = KMeans(1024, init=X[:1024], n_init=1, max_iter=1).fit(X)
print(json.dumps({"inertia": model.inertia_} | cw.report()))
"""


@pytest.fixture(scope="module")
def serial_inertia():
    return run(KMEANS, "serial", OMP_NUM_THREADS="1")["inertia"]


@pytest.mark.parametrize("each", RUNS)
@pytest.mark.parametrize("budget", [0, 1500])
def test_kmeans_of_1500_callers(serial_inertia, budget, each):
    """With the machine's budget, and with one that lets all 1,500 in at once."""
    out = run(KMEANS, str(budget), OMP_NUM_THREADS="1500")
    assert out["inertia"] == pytest.approx(serial_inertia, rel=1e-12)
    assert out["findings"] == []


CALLERS = """
import json, sys, threading, cw
import numpy as np, scipy.linalg
cw.govern()
A = np.random.default_rng(0).random((150, 150))
S = A @ A.T + 150 * np.eye(150)
CALLS = {
    "gemm": lambda: A @ A,
    "svd": lambda: np.linalg.svd(A)[1],
    "cholesky": lambda: np.linalg.cholesky(S),
    "scipy gemm": lambda: scipy.linalg.blas.dgemm(1.0, A, A),
    "scipy svd": lambda: scipy.linalg.svdvals(A),
    "scipy cholesky": lambda: scipy.linalg.cholesky(S),
}
call = CALLS[sys.argv[1]]
expected = call()
wrong, done = [], []
start = threading.Barrier(1000)
def work():
    start.wait()
    for _ in range(3):
        if not np.allclose(call(), expected, rtol=1e-9, atol=1e-12): wrong.append(1)
    done.append(1)
threads = [threading.Thread(target=work) for _ in range(1000)]
for t in threads: t.start()
for t in threads: t.join()
print(json.dumps({"wrong": len(wrong), "done": len(done)} | cw.report()))
"""


@pytest.mark.parametrize("each", RUNS)
@pytest.mark.parametrize(
    "call", ["gemm", "svd", "cholesky", "scipy gemm", "scipy svd", "scipy cholesky"]
)
def test_a_thousand_callers(call, each):
    out = run(CALLERS, call)
    assert (out["done"], out["wrong"]) == (1000, 0)
    assert out["findings"] == []
