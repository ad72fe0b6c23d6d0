"""The governor on oneTBB, MKL and BLIS, each case in a fresh process. A sleeping team in another
thread holds part of the budget, so that their grants are known."""

import os
import pathlib

import pytest
from test_govern import AFTER_SERIAL_LLVM, PROBES, SERIAL, run

REAL = pathlib.Path(os.environ.get("COREWISE_REAL_VENV") or "/nowhere") / "lib"
DEBIAN = pathlib.Path("/usr/lib/x86_64-linux-gnu")
TASKS = PROBES / "libtasks_tbb.so"

pytestmark = pytest.mark.skipif(
    not (PROBES / "libprobe_gomp.so").exists(), reason="needs gcc's OpenMP"
)

HOLDING = """
import contextlib, ctypes, json, os, sys, threading, time, cw
g = cw.probe("gomp")

@contextlib.contextmanager
def held(threads):
    # oneTBB's workers leave an arena a little after its work has ended.
    for _ in range(50):
        inside, end = [], threading.Event()
        visit = cw.VISIT(lambda: (inside.append(1), end.wait(60)) and None)
        holder = threading.Thread(target=g.probe_visit, args=(threads, visit))
        holder.start()
        late = time.monotonic() + 0.5
        while len(inside) < threads and time.monotonic() < late: time.sleep(0.01)
        if len(inside) == threads:
            time.sleep(0.2)  # until it is no recent caller any more
            break
        end.set()
        holder.join()
    try: yield
    finally:
        end.set()
        holder.join()

def reached(expected, look):
    # Threads come late where others keep the CPUs busy: looks again, and for longer, until so much or
    # more is seen.
    for longer in range(1, 2 if sys.argv[-1] == "once" else 20):
        if (seen := look(longer)) >= expected: break
        time.sleep(0.25)
    return seen
"""

TBB = (
    HOLDING
    + """
cw.govern(8)
p = ctypes.CDLL(sys.argv[1])
left = 8 if sys.argv[-1] == "limited" else 5
how = lambda: [q["how"] for q in cw.report()["pools"] if q["runtime"] == "tbb"]
together = lambda longer, visit=None: p.probe_together(8, 60 * longer, visit)
p.probe_enqueued.restype = ctypes.c_int
out = {"alone": reached(8, together)}
with held(3): out["beside 3"] = reached(left, together)
teams, nested = [], []
inner = cw.VISIT(lambda: teams.append(g.probe_team_clause(4)))
together(1, inner)
outer = cw.VISIT(lambda: nested.append(reached(2, lambda longer: p.probe_together(4, 60 * longer, None))))
g.probe_visit(2, outer)
with held(8): out["enqueued"], out["beside 8"] = p.probe_enqueued(), reached(2, together)
cw.ungovern()
with held(3): out["undone"] = reached(8, together)
cw.govern(8)
out |= {"teams": sorted(set(teams)), "nested": nested, "how": how()}
out["findings"] = cw.report()["findings"]
with held(3): out["again"] = reached(left, together)
print(json.dumps(out))
"""
)


@pytest.mark.skipif(
    not TASKS.exists() or not (REAL / "libtbb.so.12").exists(), reason="needs oneTBB's wheel"
)
def test_arenas_of_onetbb_get_what_is_free():
    out = run(TBB, str(TASKS), LD_LIBRARY_PATH=str(REAL))
    assert out == {
        "alone": 8,
        "beside 3": 5,
        "enqueued": 1,
        "beside 8": 2,  # its own thread, and the worker that notices the end
        "undone": 8,
        "again": 5,
        "teams": [1],
        "nested": [2, 2],
        "how": ["gate"],
        "findings": [],
    }


WORKING_ARENA = (
    HOLDING
    + """
cw.govern(8)
p = ctypes.CDLL(sys.argv[1])

def settled(expected):
    # A worker ends its task of 20 ms before it leaves.
    steady = 0
    for _ in range(3000):
        now = p.probe_working()
        steady = steady + 1 if now == expected else 0
        if steady == 20: break
        time.sleep(0.01)
    return now

out = {}
with held(5):
    arena = threading.Thread(target=p.probe_together, args=(8, 100_000, None), daemon=True)
    arena.start()
    out["begins beside 5"] = settled(3)
out["then alone"] = settled(8)
end = threading.Event()
visit = cw.VISIT(lambda: end.wait(60) and None)
other = threading.Thread(target=g.probe_visit, args=(8, visit))
other.start()
out["then beside one that wants 8"] = settled(4)
end.set()
other.join()
out["alone again"] = settled(8)
out["regions"] = cw.report()["regions"]
print(json.dumps(out), flush=True)
os._exit(0)
"""
)


@pytest.mark.skipif(
    not TASKS.exists() or not (REAL / "libtbb.so.12").exists(), reason="needs oneTBB's wheel"
)
def test_an_arena_of_onetbb_that_works_on_gets_more_and_gives_back():
    out = run(WORKING_ARENA, str(TASKS), "once", LD_LIBRARY_PATH=str(REAL))
    assert out == {
        "begins beside 5": 3,
        "then alone": 8,
        "then beside one that wants 8": 4,
        "alone again": 8,
        "regions": 3,
    }


@pytest.mark.skipif(
    not TASKS.exists() or not (REAL / "libtcm.so.1").exists(), reason="needs Intel's tcmlib wheel"
)
def test_a_permit_manager_that_the_user_chose_is_left_alone():
    out = run(TBB, str(TASKS), "once", LD_LIBRARY_PATH=str(REAL), TCM_ENABLE="1")
    assert out["how"] == ["limit"] and out["enqueued"] == 1


@pytest.mark.skipif(
    not TASKS.exists() or not (DEBIAN / "libtbb.so.12").exists(), reason="needs libtbb-dev"
)
def test_onetbb_that_knows_no_permits_is_limited():
    out = run(TBB, str(TASKS), "limited")
    assert out["how"] == ["limit"] and out["alone"] == out["beside 3"] == 8


PRODUCT = (
    HOLDING
    + """
import numpy as np
cw.govern(4)
library, functions = ctypes.CDLL(sys.argv[1]), sys.argv[2:4]
dgemm, set_threads = (getattr(library, name) for name in functions)
rng = np.random.default_rng(0)
a, b = rng.random((400, 400)), rng.random((400, 400))
true = a @ b
def product():
    c = np.zeros_like(a)
    at = lambda m: m.ctypes.data_as(ctypes.c_void_p)
    one, none, n = ctypes.c_double(1), ctypes.c_double(0), 400
    dgemm(101, 111, 111, n, n, n, one, at(a), n, at(b), n, none, at(c), n)
    return float(abs(c - true).max())
if hasattr(library, "MKL_Set_Dynamic"): library.MKL_Set_Dynamic(0)
set_threads(4)
wrong, got = [product()], []
def granted(_):
    before = cw.report()
    wrong.extend(product() for _ in range(5))
    after = cw.report()
    regions = after["regions"] - before["regions"]
    return (after["granted"] - before["granted"]) / regions if regions else 0
for others, left in ((2, 2), (3, 1), (4, 1)):
    with held(others): got.append(reached(left, granted))
print(json.dumps([max(wrong), got, cw.report()["findings"]]))
"""
)


@pytest.mark.skipif(not list(REAL.glob("libmkl_rt.so.*")), reason="needs mkl's wheel")
@pytest.mark.parametrize("layer", ["INTEL", "GNU", "TBB"])
def test_mkl_is_right_and_over_onetbb_gets_what_is_free(layer):
    rt = sorted(REAL.glob("libmkl_rt.so.*"))[0]
    environment = {"MKL_THREADING_LAYER": layer, "LD_LIBRARY_PATH": str(REAL)}
    wrong, got, findings = run(
        PRODUCT, str(rt), "cblas_dgemm", "MKL_Set_Num_Threads", **environment
    )
    assert wrong < 1e-9 and findings == []
    assert got == ([2, 1, 1] if layer == "TBB" else [4, 4, 4])


@pytest.mark.parametrize("build", ["openmp", "pthread"])
def test_teams_of_blis_are_never_cut_short(build):
    """BLIS aborts the program if a team is smaller than it asked for, except a team of one."""
    library = DEBIAN / f"blis-{build}" / "libblis.so.4"
    if not library.exists():
        pytest.skip(f"needs libblis4-{build}")
    setter = "bli_thread_set_num_threads"
    wrong, _, findings = run(PRODUCT, str(library), "cblas_dgemm", setter, "once")
    assert wrong < 1e-9 and findings == []


@pytest.mark.skipif(
    not (PROBES / "libprobe_omp.so").exists() or not (REAL / "libiomp5.so").exists(),
    reason="needs clang and the wheel of Intel's OpenMP",
)
def test_intels_runtime_forgets_the_clause_of_a_serial_region(tmp_path):
    """So do LLVM's runtimes after 14."""
    (tmp_path / "libomp.so.5").symlink_to(REAL / "libiomp5.so")
    path = f"{tmp_path}:{REAL}"
    assert run(SERIAL, "omp", LD_LIBRARY_PATH=path) == AFTER_SERIAL_LLVM
