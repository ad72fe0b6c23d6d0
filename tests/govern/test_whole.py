"""Teams are as they would be ungoverned, however little is free; each case in a fresh process. The
real libraries here give wrong results or never end if their teams are smaller."""

import json
import subprocess

import pytest
from test_govern import ENVIRONMENT, HERE, PROBES, RUNTIMES, run
from test_others import HOLDING, REAL

pytestmark = pytest.mark.skipif(
    not (PROBES / "libprobe_gomp.so").exists(), reason="needs gcc's OpenMP"
)

EVERYTHING = """
import ctypes, json, sys, cw
p = cw.probe(sys.argv[1])
governed = int(sys.argv[2])
if governed: cw.govern(governed)
p.probe_set_threads(5)
outer = ctypes.c_int()
def all():
    nested = [[p.probe_nested(2, n, ctypes.byref(outer)), outer.value] for n in (1, 2, 5)]
    return [
        p.probe_team(), [p.probe_team_clause(n) for n in (1, 2, 6)],
        [p.probe_team_if(0), p.probe_team_if(1)], p.probe_max_threads(), nested,
        [p.probe_team_clause_if(8, 0), p.probe_team(), p.probe_team_clause_if(2, 1)],
        [p.probe_entry(i, 5) for i in range(15)] if hasattr(p, "probe_entry") else [],
        [p.probe_sums(ctypes.c_long(1000), 5), p.probe_task_reduction(5, 100), p.probe_many(5)],
    ]
print(json.dumps([all(), all()]))
"""


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OMP_THREAD_LIMIT": "3"},
        {"OMP_MAX_ACTIVE_LEVELS": "1"},
        {"OMP_MAX_ACTIVE_LEVELS": "4"},
        {"OMP_NUM_THREADS": "3,2"},
    ],
    ids=str,
)
@pytest.mark.parametrize("budget", [1, 2, 3])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_teams_are_as_ungoverned(runtime, budget, environment):
    # LLVM's runtime warns if a limit stops a team.
    environment = {"COREWISE_BEND": "", "KMP_WARNINGS": "0"} | environment
    ungoverned = run(EVERYTHING, runtime, "0", **environment)
    assert run(EVERYTHING, runtime, str(budget), **environment) == ungoverned


NAMED = """
import json, sys, cw
cw.govern(2)
p = cw.probe(sys.argv[1])
p.probe_set_threads(5)
teams = [p.probe_team(), p.probe_team_clause(6)]
report = cw.report()
print(json.dumps([teams, [b["why"] for b in report["bending"]], report["findings"]]))
"""


@pytest.mark.parametrize(
    ("bend", "exact", "teams"),
    [
        ("", "", [5, 6]),
        ("/libprobe_", "", [2, 2]),
        (":libelse:/libprobe_:", "", [2, 2]),
        ("/libprobe_", "libprobe_", [5, 6]),
        ("/libprobe_", "/", [5, 6]),
        ("libelse", "", [5, 6]),
    ],
)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_libraries_that_the_user_names_bend(runtime, bend, exact, teams):
    out = run(NAMED, runtime, COREWISE_BEND=bend, COREWISE_EXACT_TEAMS=exact)
    assert out[0] == teams
    assert out[1] == (["COREWISE_BEND"] if teams == [2, 2] else [])
    unmatched = ["COREWISE_BEND names 'libelse', which matches no library that was loaded"]
    assert out[2] == (unmatched if "libelse" in bend else [])


# Few rows against many: the strategy merges what each thread of the team found.
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


PAIRS = """
import json, sys, cw
p = cw.probe("gomp")
cw.govern(2)
def asked(callers):
    before = cw.report()
    ran = p.probe_pairs_at_once(callers)
    after = cw.report()
    return [ran, after["regions"] - before["regions"], after["nested"] - before["nested"]]
print(json.dumps([asked(n) for n in (100, 100, 140, 100)]))
"""


def test_regions_of_old_compilers_are_marked_as_long_as_there_is_room():
    # In each region the caller and its worker both run a region of two threads inside it. A worker
    # that is not marked asks for a grant.
    def marked(n):
        return [4 * n, n, 2 * n]

    assert run(PAIRS, COREWISE_BEND="", OMP_MAX_ACTIVE_LEVELS="2") == [
        marked(100),
        marked(100),
        [560, 140 + 12, 280 - 12],
        marked(100),
    ]
