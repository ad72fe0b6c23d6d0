"""What must have every thread that it asks for gets it, however little is free: each case in a fresh
process, and wrong or without an end when its teams are made smaller."""

import json
import subprocess

import pytest
from test_govern import ENVIRONMENT, HERE, PROBES, RUNTIMES, run
from test_others import HOLDING, REAL

pytestmark = pytest.mark.skipif(
    not (PROBES / "libprobe_gomp.so").exists(), reason="needs gcc's OpenMP"
)

NAMED = """
import json, sys, cw
cw.govern(2)
p = cw.probe(sys.argv[1])
p.probe_set_threads(5)
print(json.dumps([p.probe_team(), p.probe_team_clause(6), cw.report()["findings"]]))
"""


@pytest.mark.parametrize(
    ("names", "teams"),
    [("", [2, 2]), ("libelse:libprobe_", [2, 6]), (":", [2, 2]), ("libprobe_", [2, 6])],
)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_clauses_of_libraries_that_the_user_names_are_kept(runtime, names, teams):
    assert run(NAMED, runtime, COREWISE_EXACT_TEAMS=names) == [*teams, []]


# Few rows against many: the strategy that merges what each thread of the team found.
NEIGHBOURS = """
import json, cw
cw.govern(1)
import numpy as np
from sklearn.neighbors import NearestNeighbors
rng = np.random.default_rng(0)
many, few = rng.random((20000, 20)), rng.random((10, 20))
found = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(many).kneighbors(few)[1]
true = np.argsort(((few[:, None] - many) ** 2).sum(2), axis=1)[:, :5]
print(json.dumps([(found == true).all().item(), cw.report()["widest"]]))
"""


def test_nearest_neighbours_of_scikit_learn_are_right():
    assert run(NEIGHBOURS, OMP_NUM_THREADS="4") == [True, 4]


LU = (
    HOLDING
    + """
import numpy as np
cw.govern(4)
mkl = ctypes.CDLL(sys.argv[1])
mkl.MKL_Set_Dynamic(0)
mkl.MKL_Set_Num_Threads(4)
n, rng = 600, np.random.default_rng(0)
at = lambda m: m.ctypes.data_as(ctypes.c_void_p)
def error():
    a = rng.standard_normal((n, n))
    lu, pivots = a.copy(), np.zeros(n, np.int32)
    assert mkl.LAPACKE_dgetrf(101, n, n, at(lu), n, at(pivots)) == 0
    product = (np.tril(lu, -1) + np.eye(n)) @ np.triu(lu)
    for row, pivot in reversed(list(enumerate(pivots - 1))):
        product[[row, pivot]] = product[[pivot, row]]
    return float(abs(product - a).max())
errors = [error()]
for others in (2, 3, 4):
    with held(others): errors.extend(error() for _ in range(3))
print(json.dumps(max(errors)))
"""
)


@pytest.mark.skipif(not list(REAL.glob("libmkl_rt.so.*")), reason="needs mkl's wheel")
@pytest.mark.parametrize("layer", ["INTEL", "GNU", "TBB"])
def test_a_decomposition_of_mkl_is_right(layer):
    rt = sorted(REAL.glob("libmkl_rt.so.*"))[0]
    environment = {"MKL_THREADING_LAYER": layer, "LD_LIBRARY_PATH": str(REAL)}
    assert run(LU, str(rt), **environment) < 1e-9


GRADIENT = """
import json, cw
cw.govern(2)
import torch
torch.set_num_threads(4)
torch.manual_seed(0)
x, w = (torch.randn(s, requires_grad=True) for s in ((8, 16, 32, 32), (16, 16, 3, 3)))
torch.nn.functional.conv2d(x, w, padding=1).square().mean().backward()
print(json.dumps([w.grad.double().sum().item(), cw.report()["widest"]]))
"""


@pytest.mark.skipif(not list(REAL.glob("python*/site-packages/torch")), reason="needs torch")
def test_the_gradient_of_a_convolution_ends():
    done = subprocess.run(
        [REAL.parent / "bin" / "python", "-c", GRADIENT],
        env=ENVIRONMENT | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "4"},
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout) == [pytest.approx(-5.5624, rel=1e-3), 4]
