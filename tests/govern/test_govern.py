"""The governor on real runtimes, each case in a fresh process. Run by ctest, or with
COREWISE_LIBRARY and COREWISE_PROBES set: pytest tests/govern/test_govern.py

The probes bend here; test_whole.py runs them with whole teams."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
PROBES = pathlib.Path(os.environ.get("COREWISE_PROBES", HERE))
RUNTIMES = sorted(p.stem.removeprefix("libprobe_") for p in PROBES.glob("libprobe_*.so"))
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "OMP_"))}


def run(script, *arguments, **environment):
    """Runs the script in a fresh process; what it prints last, as JSON."""
    bending = {"COREWISE_BEND": "/libprobe_"} if ".probe(" in script else {}
    env = ENVIRONMENT | bending | environment | {"PYTHONPATH": str(HERE)}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout.splitlines()[-1])


REGIONS = """
import ctypes, json, sys, cw
runtime, early = sys.argv[1], sys.argv[2] == "early"
if early: p = cw.probe(runtime)
cw.govern(3)
if not early: p = cw.probe(runtime)
p.probe_set_threads(8)
outer = ctypes.c_int()
out = {
    "team": p.probe_team(), "clause": [p.probe_team_clause(n) for n in (1, 2, 6)],
    "if": [p.probe_team_if(0), p.probe_team_if(1)], "icv": p.probe_max_threads(),
    "nested": [p.probe_nested(2, 5, ctypes.byref(outer)), outer.value],
    "sums": p.probe_sums(ctypes.c_long(1000), 5), "tasks": p.probe_task_reduction(5, 100),
    "many": [p.probe_twenty(5), p.probe_many(5)],
}
if hasattr(p, "probe_entry"): out["entries"] = [p.probe_entry(i, 5) for i in range(15)]
report = cw.report()
out["asked"] = report["regions"] > 0 and report["abandoned"] == 0
out["findings"] = report["findings"] + [q["finding"] for q in report["pools"] if q["finding"]]
cw.ungovern()
out["undone"] = [p.probe_team(), p.probe_team_clause(6)]
cw.govern(2)
out["again"] = p.probe_team()
print(json.dumps(out))
"""


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_regions(runtime, when):
    out = run(REGIONS, runtime, when)
    assert out["team"] == 3
    assert out["clause"] == [1, 2, 3]
    assert out["if"] == [1, 3]
    assert out["icv"] == 8
    assert out["nested"] == [1, 2]
    assert out["sums"] == 499500
    assert out["tasks"] == 4950
    assert out["many"] == [210, 5050]
    assert out.get("entries", [3]) == [3] * len(out.get("entries", [3]))
    assert out["asked"]
    assert out["findings"] == []
    assert out["undone"] == [8, 6]
    assert out["again"] == 2


SERIAL = """
import json, sys, cw
p = cw.probe(sys.argv[1])
cw.govern(3)
def after(icv, clause):
    p.probe_set_threads(icv)
    before = cw.report()["regions"]
    teams = [p.probe_team_clause_if(clause, 0), p.probe_team(), p.probe_team()]
    return teams + [cw.report()["regions"] - before]
print(json.dumps([after(1, 8), after(8, 2), after(8, 1)]))
"""

# A serial region, a region of the ICV's width, another; and how many asked for a grant. LLVM's
# runtimes differ in whether the clause still holds: a team is never larger than in either.
AFTER_SERIAL = [[1, 1, 1, 0], [1, 3, 3, 2], [1, 3, 3, 2]]
AFTER_SERIAL_LLVM = [[1, 1, 1, 0], [1, 2, 3, 2], [1, 1, 3, 1]]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_clause_of_a_serial_region_is_its_own(runtime):
    llvm = runtime.startswith("omp")
    assert run(SERIAL, runtime) == (AFTER_SERIAL_LLVM if llvm else AFTER_SERIAL)


RELOADED = """
import _ctypes, json, cw
cw.govern(3)
teams = []
for _ in range(4):
    if teams: _ctypes.dlclose(p._handle)
    p = cw.probe("gomp")
    p.probe_set_threads(8)
    teams.append(p.probe_team())
cw.ungovern()
teams.append(p.probe_team())
print(json.dumps([teams, cw.report()["findings"]]))
"""


@pytest.mark.skipif("gomp" not in RUNTIMES, reason="needs gcc's OpenMP")
def test_a_library_that_comes_and_goes():
    assert run(RELOADED) == [[3, 3, 3, 3, 8], []]


def test_options():
    out = run("""
import json, os, cw
out = []
for budget in (-1, 1 << 20):
    try: cw.govern(budget)
    except RuntimeError as error: out.append(str(error))
try: cw.govern((os.cpu_count() or 1) + 1, flags=0)
except RuntimeError as error: out.append(str(error))
cw.govern(2); cw.govern(2)
try: cw.govern(3)
except RuntimeError as error: out.append(str(error))
cw.ungovern(); out.append(cw.report()["governed"])
cw.ungovern(); cw.ungovern(); out.append(cw.report()["governed"])
print(json.dumps(out))
""")
    assert "-1" in out[0] and "1048576" in out[1]
    assert "above the machine" in out[2] and "governed already" in out[3]
    assert out[4:] == [True, False]


OPENBLAS = """
import ctypes, json, sys, threading, cw
import numpy as np, scipy.linalg
from threadpoolctl import threadpool_info, threadpool_limits
def counts(): return [p["num_threads"] for p in threadpool_info() if p["internal_api"] == "openblas"]
libraries = [ctypes.CDLL(p["filepath"]) for p in threadpool_info() if p["internal_api"] == "openblas"]
raw = [ctypes.c_int.in_dll(l, "blas_cpu_number") for l in libraries if hasattr(l, "blas_cpu_number")]
"""

LIMITS = (
    OPENBLAS
    + """
before = counts()
a = np.random.default_rng(0).standard_normal((700, 700))
product, factor = a @ a, scipy.linalg.qr(a)[1]
cw.govern(2)
out = {"before": before, "governed": counts()}
out["equal"] = bool((a @ a == product).all() and np.allclose(scipy.linalg.qr(a)[1], factor))
wrong, stop, s = [], False, a[:300, :300].copy()
def work():
    while not stop: s @ s
threads = [threading.Thread(target=work) for _ in range(3)]
for t in threads: t.start()
for _ in range(50):
    for n in (1, 2, 5):
        with threadpool_limits(n, user_api="blas"):
            if counts() != [n] * len(before): wrong.append((n, counts()))
    if counts() != before: wrong.append((0, counts()))
stop = True
for t in threads: t.join()
out["wrong"] = wrong
report = cw.report()
out["calls"] = report["calls"]
out["how"] = [p["how"] for p in report["pools"] if p["runtime"] == "openblas"]
cw.ungovern()
out["after"] = counts()
out["findings"] = cw.report()["findings"]
print(json.dumps(out))
"""
)


def test_openblas_limits_stay_upper_bounds():
    out = run(LIMITS)
    assert out["how"] == ["gate"] * len(out["before"])
    assert out["governed"] == out["after"] == out["before"]
    assert out["equal"]
    assert out["wrong"] == []
    assert out["calls"] > 0
    assert out["findings"] == []


def test_workers_of_a_team_are_inside():
    out = run(
        OPENBLAS
        + """
p = cw.probe("gomp")
cw.govern(2)
s, seen = np.ones((300, 300)), []
def visit():
    s @ s
    seen.append(([r.value for r in raw], counts()))
calls = cw.report()["calls"]
team = p.probe_visit(2, cw.VISIT(visit))
print(json.dumps([team, seen, cw.report()["calls"] - calls, [r.value for r in raw], counts()]))
"""
    )
    team, seen, calls, raw, counts = out
    assert team == 2 and len(seen) == 2
    for inside, told in seen:
        assert set(inside) <= {1}
        assert told == counts
    assert calls == 0
    assert raw == counts[: len(raw)]


def test_threads_that_share_leave_the_count_to_vector_routines():
    out = run(
        OPENBLAS
        + """
import threading, time
cw.govern(2)
s = np.ones((300, 300))
def work():
    for _ in range(200): s @ s
before, shared = max(r.value for r in raw), 0
for _ in range(50):  # on a busy machine they may miss each other
    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads: t.start()
    for t in threads: t.join()
    shared, told = min(r.value for r in raw), counts()
    if shared == 1: break
time.sleep(0.2)
s @ s
print(json.dumps([before, shared, told, [r.value for r in raw], counts()]))
"""
    )
    before, shared, told, raw, counts = out
    assert before == 2 and shared == 1
    assert told == counts  # the program's own number is not touched
    assert raw == counts[: len(raw)]  # a lone call got all that it wanted, as before


def test_a_limit_from_outside_leaves_no_trace_once_it_is_taken_back():
    out = run(
        OPENBLAS
        + """
cw.govern(2)
s = np.ones((300, 300))
def look():
    s @ s
    return [r.value for r in raw]
before = look()
cw.ask({"request": "limit", "limits": {"blas": 1}})
limited = look()
cw.ask({"request": "restore"})
print(json.dumps([before, limited, [r.value for r in raw], counts()]))
"""
    )
    before, limited, restored, told = out
    assert set(limited) == {1}
    assert restored == before == told[: len(before)]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be shared")
def test_work_that_the_ledger_does_not_know_shortens_teams():
    out = run(
        """
import ctypes, json, subprocess, sys, time, cw
p = cw.probe("gomp")
cw.govern(flags=0)
budget = cw.report()["budget"]
busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(budget)]
try:
    late = time.monotonic() + 20
    while cw.report()["shortened"] == 0 and time.monotonic() < late: p.probe_repeat(200, budget)
    narrow = cw.report()["shortened"]
    time.sleep(0.3)
    team = p.probe_team()  # what was seen of the others is old
finally:
    for b in busy: b.kill(); b.wait()
print(json.dumps([narrow, team, budget]))
"""
    )
    narrow, team, budget = out
    assert narrow > 0
    assert team == budget


def test_thousand_openmp_threads():
    script = (
        OPENBLAS
        + """
from sklearn.cluster import KMeans
if sys.argv[1] == "governed": cw.govern(2)
x = np.random.default_rng(0).standard_normal((20000, 64))
k = KMeans(64, init=x[:64], n_init=1, max_iter=3).fit(x)
print(json.dumps([k.inertia_, int(k.labels_.sum())]))
"""
    )
    governed = run(script, "governed", OMP_NUM_THREADS="1000")
    serial = run(script, "not", OMP_NUM_THREADS="1")
    assert governed[1] == serial[1]
    assert governed[0] == pytest.approx(serial[0], rel=1e-12)


def test_forked_children_are_governed_and_share_the_budget():
    out = run(
        OPENBLAS
        + """
from concurrent.futures import ProcessPoolExecutor
from sklearn.cluster import KMeans
x = np.random.default_rng(0).standard_normal((5000, 20))
def fit(i):
    k = KMeans(8, n_init=1, random_state=i).fit(x)
    r = cw.report()
    return k.inertia_, r["regions"] > 0, counts()
cw.govern(2)
with ProcessPoolExecutor(4) as pool: done = list(pool.map(fit, range(8)))
cw.ungovern()
serial = [KMeans(8, n_init=1, random_state=i).fit(x).inertia_ for i in range(8)]
print(json.dumps([done, serial, counts()]))
"""
    )
    done, serial, counts = out
    for (inertia, asked, told), expected in zip(done, serial, strict=True):
        assert inertia == pytest.approx(expected, rel=1e-9)
        assert asked
        assert told == counts


def test_govern_and_ungovern_under_load():
    out = run(
        OPENBLAS
        + """
p = cw.probe("gomp")
s, stop, sums = np.ones((64, 64)), False, []
def blas():
    while not stop: assert (s @ s == 64).all()
def regions():
    while not stop: sums.append(p.probe_sums(ctypes.c_long(200), 3))
threads = [threading.Thread(target=f) for f in (blas, blas, regions)]
for t in threads: t.start()
before = counts()
for _ in range(30):
    cw.govern(2)
    cw.ungovern()
stop = True
for t in threads: t.join()
print(json.dumps([set(sums) <= {19900}, counts() == before, p.probe_team_clause(5)]))
"""
    )
    assert out == [True, True, 5]


SPINNING = (
    OPENBLAS
    + """
import os, subprocess
def word(library):
    path, address = os.path.realpath(library._name), None
    for line in subprocess.run(["nm", path], capture_output=True, text=True).stdout.splitlines():
        if line.endswith(" thread_timeout"): address = int(line.split()[0], 16)
    with open("/proc/self/maps") as maps:
        base = min(int(line.split("-")[0], 16) for line in maps if path in line)
    return ctypes.c_uint32.from_address(base + address)
words = [word(l) for l in sorted(libraries, key=lambda l: "scipy.libs" in l._name)]
spins = lambda: [w.value.bit_length() - 1 for w in words]
p = cw.probe("gomp"); p.probe_set_threads(4)
a = np.random.default_rng(0).standard_normal((300, 300))
a @ a; scipy.linalg.lu_factor(a)
out = {"before": spins()}
cw.govern(4); out["governed"] = spins()
a @ a; out["numpy"] = spins()
scipy.linalg.lu_factor(a); out["scipy"] = spins()
a @ a; p.probe_team(); out["region"] = spins()
a @ a; cw.ungovern(); out["undone"] = spins()
cw.govern(1); a @ a; out["held back"] = spins()
cw.ungovern(); out["undone again"] = spins()
print(json.dumps(out))
"""
)


@pytest.mark.parametrize("user", [None, "12", "20"])
def test_idle_threads_wait_for_the_next_call_while_nobody_else_does(user):
    """The idle words hold powers of two. The pool whose call came last, and got all that it wanted,
    spins for longer; but never if the user has said how long."""
    environment = {"OPENBLAS_NUM_THREADS": "2"}
    if user is not None:
        environment["OPENBLAS_THREAD_TIMEOUT"] = user
    out = run(SPINNING, **environment)
    brief = 12 if user == "12" else 16
    patient = 20 if user is None else brief
    assert out["undone"] == out["undone again"] == out["before"]
    assert out["governed"] == out["region"] == out["held back"] == [brief, brief]
    assert out["numpy"] == [patient, brief]
    assert out["scipy"] == [brief, patient]
