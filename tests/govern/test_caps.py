"""A limit from outside, in a process that is governed and in one that is not. For whole regions of
OpenMP it acts like omp_set_num_threads in each thread; teams that bend keep to it in any case. Each
case in a fresh process."""

import pytest
from test_govern import PROBES, RUNTIMES, run

pytestmark = pytest.mark.skipif(
    not (PROBES / "libprobe_gomp.so").exists(), reason="needs gcc's OpenMP"
)

BEGIN = """
import ctypes, json, sys, threading, cw
p = cw.probe(sys.argv[1])
if sys.argv[2] == "governed": cw.govern(3)
def cap(threads, name="limits", key="openmp"):
    answer = cw.ask({"request": "limit", name: {key: threads}})
    keys = "before", "after", "at_most", "reach", "reason"
    return [[o[key] for key in keys] for o in answer["outcomes"]]
def lift(): return cw.ask({"request": "restore"})["restored"]
team, clause, count, set_count = (
    p.probe_team, p.probe_team_clause, p.probe_max_threads, p.probe_set_threads)
def in_thread(function):
    out = []
    thread = threading.Thread(target=lambda: out.append(function()))
    thread.start()
    thread.join()
    return out[0]
set_count(5)
team()
"""


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    return request.param


@pytest.fixture(params=["governed", "alone"])
def tried(request, runtime):
    """Runs a script in one of the two kinds of processes."""

    def tried(script, bend="", **environment):
        environment |= {"COREWISE_BEND": bend, "KMP_WARNINGS": "0"}
        return run(BEGIN + script, runtime, request.param, **environment)

    return tried


def test_regions_follow_and_clauses_keep_their_size(tried):
    out = tried(
        """
out = [[count(), team(), clause(6)]]
told = cap(2)
out += [[team(), clause(6), count(), team()]]
lift()
out += [[team(), clause(6), count()]]
print(json.dumps([out, told]))
"""
    )
    assert out[0] == [[5, 5, 6], [2, 6, 2, 2], [5, 6, 5]]
    (told,) = out[1]
    assert told[:3] == [None, None, 2] and told[4] == ""
    assert told[3] == (
        "every thread, from its next region without a num_threads clause on, until the thread sets "
        "a count itself; in libraries that bend, every region"
    )


def test_the_answer_tells_no_count_of_its_own_thread(tried):
    out = tried(
        """
told = [cap(4)[0][:3], cap(3)[0][:3]]
told += [[o[key] for key in ("before", "after", "at_most")] for o in lift()]
print(json.dumps(told))
""",
        OMP_NUM_THREADS="2",
    )
    # Only the program's threads can read their own counts; the thread that answers has
    # OMP_NUM_THREADS.
    assert out == [[None, None, 4], [None, None, 3], [None, None, 3]]


def test_the_count_agrees_with_the_next_team(tried):
    out = tried(
        """
cap(2)
out = [count(), team()]
n = count()
cap(4)
out += [n, team(), team(), count(), team()]
n = count()
lift()
out += [n, team(), team()]
print(json.dumps(out))
"""
    )
    # A thread that asked before a cap came or went may have divided its work by the answer.
    assert out == [2, 2, 2, 2, 4, 4, 4, 4, 4, 5]


def test_fortran_is_told_the_same(tried):
    out = tried(
        """
cap(2)
out = [p.probe_max_threads_fortran(), team()]
n = p.probe_max_threads_fortran()
lift()
out += [n, team(), team()]
cap(2)
out += [team()]
p.probe_set_threads_fortran(2)
lift()
out += [team(), team()]
print(json.dumps(out))
"""
    )
    assert out == [2, 2, 2, 2, 5, 2, 2, 2]


def test_what_the_program_sets_meanwhile_holds_and_stays(tried):
    out = tried(
        """
out = []
for own in (2, 3, 4):
    set_count(5)
    out.append(team())
    cap(2)
    out.append(team())
    set_count(own)
    out += [count(), team()]
    lift()
    out += [count(), team()]
print(json.dumps(out))
"""
    )
    assert out == [5, 2, 2, 2, 2, 2, 5, 2, 3, 3, 3, 3, 5, 2, 4, 4, 4, 4]


def test_a_number_set_before_the_cap_holds_for_its_region(tried):
    # Many programs set their number before each region, and divide by it. The first cap, of another
    # kind, puts the hooks in place even if nobody governs.
    out = tried('cap(9, key="blas")\nset_count(4)\ncap(2)\nprint(json.dumps([team(), team()]))')
    assert out == [4, 2]


def test_a_cap_above_the_programs_own_number_changes_nothing(tried):
    assert tried("cap(7)\nout = [team(), count()]\nlift()\nprint(json.dumps(out + [team()]))") == [
        5, 5, 5,
    ]  # fmt: skip


def test_each_thread_has_its_own_count_again(tried):
    out = tried(
        """
cap(2)
out = [in_thread(lambda: [team(), count(), clause(3)])]
with_barrier = threading.Barrier(2)
def other():
    out = [team()]
    with_barrier.wait()
    with_barrier.wait()
    return out + [team(), count()]
def main():
    with_barrier.wait()
    lift()
    with_barrier.wait()
thread = threading.Thread(target=main)
thread.start()
out.append(in_thread(other))
thread.join()
out.append(in_thread(lambda: [team(), count()]))
out.append(team())
print(json.dumps(out))
""",
        OMP_NUM_THREADS="6",
    )
    assert out == [[2, 2, 3], [2, 6, 6], [6, 6], 5]


def test_a_cap_that_comes_amid_a_region_holds_after_it(tried):
    out = tried(
        """
first = threading.Lock()
counts = []
def visit():
    if first.acquire(blocking=False):
        cap(2)
        counts.append(count())
out = [p.probe_visit(4, cw.VISIT(visit))]
out += [counts[0], team(), team(), count()]
print(json.dumps(out))
"""
    )
    # Inside, the count was not changed yet: the region had begun.
    assert out[:2] == [4, 5]
    # One region may use the count that its thread read before.
    assert out[2] in (2, 5) and out[3:] == [2, 2]


def test_a_cap_reaches_a_thread_that_asks_inside_its_regions(tried):
    out = tried(
        """
p.probe_max_inside()
cap(2)
out = [p.probe_max_inside(), p.probe_max_inside(), team()]
lift()
print(json.dumps(out + [p.probe_max_inside(), p.probe_max_inside(), team()]))
"""
    )
    assert out == [2, 2, 2, 5, 5, 5]


UNHOOKED = """
(path,) = {q["path"] for q in cw.ask({"request": "info"})["pools"] if q["api"] == "openmp"}
runtime = ctypes.CDLL(path)
"""


def test_a_number_set_by_a_way_without_a_hook_holds_and_stays(tried):
    out = tried(
        UNHOOKED
        + """
out = []
for name in "omp_set_num_threads", "ompc_set_num_threads":
    unhooked = getattr(runtime, name, runtime.omp_set_num_threads)
    for before in 5, 2:
        set_count(before)
        team()
        cap(3)
        out.append(team())
        unhooked(7)
        out += [team(), count(), team()]
        cap(4)
        out.append(team())
        unhooked(6)
        lift()
        out += [team(), count()]
print(json.dumps(out))
"""
    )
    assert out == [3, 7, 7, 7, 4, 6, 6, 2, 7, 7, 7, 4, 6, 6] * 2


def test_the_extra_name_of_llvm_is_told_the_same(tried, runtime):
    script = """
cap(2)
out = [team(), p.probe_set_threads_llvm(2)]
lift()
print(json.dumps(out + [team(), count()]))
"""
    assert tried(script) == ([2, 0, 5, 5] if runtime == "gomp" else [2, 1, 2, 2])


def test_numbers_below_the_cap_do_not_end_it(tried):
    # What threadpoolctl does around a call: reads the count, sets another, then the first again.
    out = tried(
        UNHOOKED
        + """
cap(3)
out = [team()]
was = runtime.omp_get_max_threads()
runtime.omp_set_num_threads(1)
out.append(team())
runtime.omp_set_num_threads(was)
out.append(team())
lift()
print(json.dumps(out + [team()]))
"""
    )
    assert out == [3, 1, 3, 5]


def test_a_league_of_teams_does_not_end_a_cap(tried):
    # LLVM's runtime restores the count at the end of the league in which it was lowered.
    out = tried(
        """
league = p.probe_team_in_league
out = [league()]
cap(2)
out += [league(), team(), league(), team()]
lift()
print(json.dumps(out + [team(), league()]))
"""
    )
    # The runtime gives a league no more threads than there are CPUs.
    own = out[0]
    assert out == [own, min(own, 2), 2, min(own, 2), 2, 5, own]


def test_a_child_goes_by_the_cap_of_its_parent(tried):
    # LLVM's runtime starts anew in a child, with the count that the process started with.
    out = tried(
        """
import os
cap(2)
team()
read, write = os.pipe()
if (child := os.fork()) == 0:
    os.write(write, bytes([count(), team()]))
    os._exit(0)
os.waitpid(child, 0)
print(json.dumps(list(os.read(read, 2))))
""",
        OMP_NUM_THREADS="7",
    )
    assert out == [2, 2]


def test_what_bends_is_held_at_once(tried):
    out = tried(
        """
n = count()
cap(2)
out = [team(), clause(6), count()]
set_count(5)
out += [team(), count()]
lift()
print(json.dumps(out + [clause(2), count()]))
""",
        bend="/libprobe_",
    )
    assert out == [2, 2, 2, 2, 5, 2, 5]


def test_limits_in_the_program_come_and_go_in_any_order(tried):
    out = tried(
        """
out = []
def look(): out.append(team())
# Opened under the cap, closed after it.
cap(3); look(); inner = cw.Limits(2); look(); lift(); look(); inner.close(); look()
# Around the cap.
inner = cw.Limits(4); look(); cap(2); look(); lift(); look(); inner.close(); look()
# Closed under the cap, which holds again.
inner = cw.Limits(2); cap(3); look(); inner.close(); look(); lift(); look()
# Wider than the cap; as wide as the cap.
cap(2); look(); inner = cw.Limits(4); look(); inner.close(); look(); lift(); look()
cap(2); look(); inner = cw.Limits(2); lift(); look(); inner.close(); look()
print(json.dumps(out))
"""
    )
    assert out == [3, 2, 2, 5, 4, 2, 4, 5, 2, 3, 5, 2, 2, 2, 5, 2, 2, 5]


def test_a_later_cap_takes_the_place_of_the_one_before(tried):
    out = tried(
        "out = []\n"
        "for most in (4, 2, 3, 7, 2): cap(most); out.append(team())\n"
        "lift()\nprint(json.dumps(out + [team()]))"
    )
    assert out == [4, 2, 3, 5, 2, 5]


def test_a_process_governed_and_not_governed_while_capped(tried):
    out = tried(
        """
cap(2)
out = [team()]
for _ in range(2):
    if sys.argv[2] == "governed": cw.ungovern()
    else: cw.govern(3)
    out.append(team())
    if sys.argv[2] == "governed": cw.govern(3)
    else: cw.ungovern()
    out.append(team())
lift()
if sys.argv[2] == "governed": cw.ungovern()
print(json.dumps(out + [team(), count(), team()]))
"""
    )
    assert out == [2, 2, 2, 2, 2, 5, 5, 5]


def test_a_dry_run_changes_nothing(tried):
    out = tried(
        """
told = cw.ask({"request": "limit", "limits": {"openmp": 2}, "dry_run": True})["outcomes"]
print(json.dumps([team(), count(), told[0]["at_most"], told[0]["reach"]]))
"""
    )
    assert out[:3] == [5, 5, 2] and "num_threads clause" in out[3]


@pytest.mark.parametrize("kind", ["governed", "alone"])
def test_two_copies_are_capped_each_for_itself(kind):
    if not {"gomp", "omp"} <= set(RUNTIMES):
        pytest.skip("needs libgomp and libomp")
    script = """
other = cw.probe("omp")
other.probe_set_threads(4)
other.probe_team()
(libomp,) = (q["runtime"] for q in cw.ask({"request": "info"})["pools"] if "omp.so" in q["path"] and "gomp" not in q["path"])
cap(2, "pools", "libgomp")
out = [[team(), other.probe_max_threads(), other.probe_team()]]
cap(3, "pools", libomp)
out += [[team(), other.probe_team(), count(), team(), other.probe_max_threads()]]
lift()
out += [[team(), other.probe_team()]]
print(json.dumps(out))
"""
    out = run(BEGIN + script, "gomp", kind, COREWISE_BEND="")
    # The other thread's region uses the count that the thread read before.
    assert out == [[2, 4, 4], [2, 3, 2, 2, 3], [5, 3]]
