"""Processes that fork while other threads look for pools, or hold limits."""

from __future__ import annotations

import pytest
from conftest import Run

SETUP = """
import ctypes, os, signal, sys, threading, warnings
warnings.simplefilter("ignore")
import corewise
import corewise.threadpoolctl as tp
ctypes.CDLL(f"{NATIVE}/stub/libopenblas_stub.so")
ctypes.CDLL(f"{NATIVE}/libregions.so")
receipt = corewise.limits(4)
now = lambda: [p.threads for p in corewise.pools()]
def child_of(call):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            call()
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
def check(seen, expected):
    assert seen == expected, f"{seen}, not {expected}"
"""


def test_limits_of_threads_that_did_not_survive_end(run: Run) -> None:
    code = """
inside, done = threading.Event(), threading.Event()
def hold():
    with corewise.limits(2), tp.threadpool_limits(1):
        inside.set(); done.wait()
holder = threading.Thread(target=hold); holder.start(); inside.wait()
def child():
    check(now(), [4, 4])
    with corewise.limits(3): check(now(), [3, 3])
    with tp.threadpool_limits(2): check(now(), [2, 2])
    check(now(), [4, 4])
    receipt.restore()
    check([n != 4 for n in now()], [True, True])
print(child_of(child), now())
done.set(); holder.join()
print(now())
"""
    assert run(SETUP + code) == "0 [1, 4]\n[4, 4]\n"


def test_own_limits_survive(run: Run) -> None:
    code = """
def child():
    check(now(), [2, 2])
    scope.__exit__(None, None, None)
    check(now(), [4, 4])
with corewise.limits(2) as scope:
    print(child_of(child), now())
print(now())
"""
    assert run(SETUP + code) == "0 [2, 2]\n[4, 4]\n"


@pytest.mark.parametrize(
    "churn",
    [
        "with corewise.limits(2): pass",
        "with tp.threadpool_limits(1): tp.threadpool_info()",
        "tp.reset_cached_controller(); tp.get_cached_controller(); corewise.info()",
    ],
)
def test_fork_while_others_are_busy(run: Run, churn: str) -> None:
    code = f"""
stop = False
def busy():
    while not stop:
        {churn}
threads = [threading.Thread(target=busy) for _ in range(3)]
[t.start() for t in threads]
def child():
    with corewise.limits(3), tp.threadpool_limits(2): check(now(), [2, 2])
    check(now(), [4, 4])
print({{child_of(child) for _ in range(25)}})
stop = True
[t.join() for t in threads]
print(now())
"""
    assert run(SETUP + code) == "{0}\n[4, 4]\n"


@pytest.mark.parametrize("call", ["info()", "budget()", "doctor()", "limits(2).restore()"])
def test_fork_while_others_use_corewise_for_the_first_time(run: Run, call: str) -> None:
    code = f"""
import sys, threading
sys.setswitchinterval(1e-6)
def use(): repr(corewise.{call})
thread = threading.Thread(target=use)
thread.start()
print(child_of(use))
thread.join()
"""
    for _ in range(5):
        assert run(SETUP + code) == "0\n"


@pytest.mark.parametrize("governed", [False, True])
def test_a_thousand_forks_from_eight_busy_threads(run: Run, governed: bool) -> None:
    code = f"""
if {governed}: corewise.govern()
calls = [corewise.info, corewise.budget, corewise.doctor, lambda: corewise.limits(2).restore()]
ended = False
def busy(call):
    while not ended: call()
threads = [threading.Thread(target=busy, args=(call,)) for call in 2 * calls]
for thread in threads: thread.start()
def child():
    with corewise.limits(3): check(now(), [3, 3])
    corewise.info()
print({{child_of(child) for _ in range(1000)}})
ended = True
for thread in threads: thread.join()
"""
    assert run(SETUP + code) == "{0}\n"
