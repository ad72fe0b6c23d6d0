"""How the threads of whole teams wait, on real runtimes: each case in a fresh process."""

import pytest
from test_govern import PROBES, RUNTIMES, run

pytestmark = pytest.mark.skipif(
    not (PROBES / "libprobe_gomp.so").exists(), reason="needs gcc's OpenMP"
)

# libgomp's word for the program's spin count; beside it is that of a program with too many threads.
WORD = """
import ctypes, json, os, sys, threading, time, cw
p = cw.probe("gomp")
def word(value):
    with open("/proc/self/maps") as maps:
        rows = [l.split() for l in maps if "libgomp" in l and l.split()[1].startswith("rw")]
    found = []
    for row in rows:
        begin, end = (int(x, 16) for x in row[0].split("-"))
        values = (ctypes.c_uint64 * ((end - begin) // 8)).from_address(begin)
        found += [begin + 8 * i for i, v in enumerate(values)
                  if v == value and {100, 1000} & set(values[max(0, i - 4):i + 5])]
    assert len(found) == 1, found
    return ctypes.c_uint64.from_address(found[0])
spins = word(int(sys.argv[1]))
out = {"before": spins.value}
"""

FOLLOWS = (
    WORD
    + """
cw.govern(2)
p.probe_team_clause(2); out["alone"] = spins.value
time.sleep(0.2)  # whoever asked lately counts
inside, go_on = threading.Semaphore(0), threading.Event()
visit = cw.VISIT(lambda: (inside.release(), go_on.wait()))
holder = threading.Thread(target=p.probe_visit, args=(2, visit)); holder.start()
assert inside.acquire(timeout=60) and inside.acquire(timeout=60)
p.probe_team_clause(2); out["held"] = spins.value
go_on.set(); holder.join()
time.sleep(0.2)
p.probe_team_clause(2); out["released"] = spins.value
p.probe_team_clause(8); out["wider"] = spins.value
cw.ungovern(); out["undone"] = spins.value
p.probe_team_clause(8); out["ungoverned"] = spins.value
cw.govern(1); p.probe_team_clause(2); out["again"] = spins.value
cw.ungovern(); out["undone again"] = spins.value
print(json.dumps([out, cw.report()["findings"]]))
"""
)


@pytest.mark.parametrize("bend", ["", "/libprobe_"])
@pytest.mark.parametrize("by_run", [False, True])
def test_libgomp_spins_only_while_nobody_else_wants_the_cpus(by_run, bend):
    before = 30000 if by_run else 300000
    environment = {"COREWISE_BEND": bend}
    if by_run:  # what `corewise run` sets
        environment |= {"GOMP_SPINCOUNT": "30000", "COREWISE_SPINCOUNT": "30000"}
    out, findings = run(FOLLOWS, str(before), **environment)
    # A team that bends is never wider than its grant; a grant of the whole budget is not short.
    wider = 30000 if bend else 0
    assert out == {
        "before": before,
        "alone": 30000,
        "held": 0,
        "released": 30000,
        "wider": wider,
        "undone": before,
        "ungoverned": before,
        "again": wider,
        "undone again": before,
    }
    assert findings == []


@pytest.mark.parametrize(
    ("environment", "turns"),
    [
        ({"GOMP_SPINCOUNT": "30000"}, 30000),
        ({"GOMP_SPINCOUNT": "500"}, 500),
        ({"GOMP_SPINCOUNT": "500", "COREWISE_SPINCOUNT": "30000"}, 500),
        ({"OMP_WAIT_POLICY": "active"}, 30000000000),
    ],
    ids=str,
)
def test_the_users_turns_stay(environment, turns):
    out, findings = run(FOLLOWS, str(turns), COREWISE_BEND="", **environment)
    assert set(out.values()) == {turns}
    assert findings == []


LOST = """
import json, os, cw
p = cw.probe("gomp")
os.environ["GOMP_SPINCOUNT"] = os.environ["COREWISE_SPINCOUNT"] = "31337"  # the runtime holds another
cw.govern(1)
teams = [p.probe_team_clause(4) for _ in range(3)]
cw.ungovern(); cw.govern(1); p.probe_team()
print(json.dumps([teams, cw.report()["findings"]]))
"""


def test_teams_are_whole_where_the_word_is_not_found():
    teams, findings = run(LOST, COREWISE_BEND="")
    assert teams == [4, 4, 4]
    assert len(findings) == 1 and "its spin count was not found" in findings[0]


BLOCKTIME = """
import ctypes, json, os, sys, cw
p = cw.probe(sys.argv[1])
with open("/proc/self/maps") as maps:
    path = next(l.split()[-1] for l in maps if "libomp" in l)
true = ctypes.CDLL(path).kmp_get_blocktime
def look(threads, then=lambda: None):
    seen = []
    def visit():
        seen.append((true(), p.probe_blocktime()))
        then()
        seen.append((true(), p.probe_blocktime()))
    p.probe_visit(threads, cw.VISIT(visit))
    return sorted(set(seen))
out = {"before": look(2)}
cw.govern(2)
out["alone"] = look(2)
out["wider"] = look(3)
out["between"] = [true(), p.probe_blocktime()]
out["set within"] = look(3, lambda: p.probe_set_blocktime(5))
out["after that"] = [true(), p.probe_blocktime()]
p.probe_set_blocktime(7)
out["set"] = [look(3), look(2), true()]
p.probe_set_blocktime(0)
out["never"] = look(3)
print(json.dumps(out))
"""


@pytest.mark.parametrize("bend", ["", "/libprobe_"])
@pytest.mark.parametrize("runtime", [r for r in RUNTIMES if "omp" in r and r != "gomp"])
def test_llvms_runtimes_wait_only_while_nobody_else_wants_the_cpus(runtime, bend):
    out = run(BLOCKTIME, runtime, COREWISE_BEND=bend)
    # A team of three on two CPUs waits like that by itself, and the runtime says so from then on.
    low = 200 if bend else 0
    assert out["before"] == out["alone"] == [[200, 200]]
    assert out["wider"] == [[low, low]]
    assert out["between"] == out["after that"] == [low, low]
    assert out["set within"] == sorted([[5, 5], [low, low]])
    assert out["set"] == [[[7 if bend else 0, 7]], [[7, 7]], 7]
    assert out["never"] == [[0, 0]]


CROWDED = (
    BLOCKTIME[: BLOCKTIME.index("out =")]
    + """
cw.govern(1)
out = [look(2), [true(), p.probe_blocktime()], look(3)]
print(json.dumps(out))
"""
)


@pytest.mark.parametrize("runtime", [r for r in RUNTIMES if "omp" in r and r != "gomp"])
def test_a_team_that_fits_the_machine_waits_while_others_want_it(runtime):
    lowered = [[0, 200]]
    assert run(CROWDED, runtime, COREWISE_BEND="") == [lowered, [200, 200], lowered]


@pytest.mark.parametrize(
    "environment",
    [{"KMP_BLOCKTIME": "200"}, {"KMP_LIBRARY": "throughput"}, {"OMP_WAIT_POLICY": "active"}],
    ids=str,
)
@pytest.mark.parametrize("runtime", [r for r in RUNTIMES if "omp" in r and r != "gomp"])
def test_the_users_blocktime_stays(runtime, environment):
    out = run(BLOCKTIME, runtime, COREWISE_BEND="", **environment)
    assert out["wider"] == out["before"] and out["wider"][0][0] == out["wider"][0][1]


BARRIERS = """
import json, sys, cw
p = cw.probe(sys.argv[1])
cw.govern(1)
print(json.dumps(p.probe_spin_barrier(6, 20)))
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_hand_made_spin_barrier_ends_in_a_team_wider_than_the_machine(runtime):
    assert run(BARRIERS, runtime, COREWISE_BEND="") == 6 * 20
