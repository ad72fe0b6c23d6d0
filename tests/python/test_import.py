"""Importing, and the ways in which the drop-in takes the place of threadpoolctl."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import OURS, THEIRS, Run


def cpu_seconds(statement: str) -> float:
    """CPU time of a process: neighbours disturb it less than wall time."""
    child = subprocess.Popen([sys.executable, "-S", "-c", statement])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_import_costs_at_most_a_third_of_threadpoolctl() -> None:
    pytest.importorskip("threadpoolctl")
    paths = f"import sys; sys.path = {sys.path!r}; "
    statements = ["pass", f"import {OURS}", f"import {THEIRS}"]
    rounds = [[cpu_seconds(paths + statement) for statement in statements] for _ in range(25)]
    bare, ours, theirs = (min(column) for column in zip(*rounds, strict=True))
    assert ours - bare < (theirs - bare) / 3


@pytest.mark.parametrize("module", ["corewise", OURS])
def test_import_loads_nothing_slow(run: Run, module: str) -> None:
    code = f"import sys; before = set(sys.modules); import {module}"
    loaded = eval(run(f"{code}; print(set(sys.modules) - before)"))
    assert {name.split(".")[0] for name in loaded} <= {"corewise", "__future__", "atexit"}


INSTALL = """
import sys, ctypes
import threadpoolctl as real
from threadpoolctl import threadpool_limits as kept
import sys as consumer
consumer.held = real.ThreadpoolController()
class Custom(real.LibController):
    user_api = internal_api = "custom"
    filename_prefixes = ("libcustom",)
    def get_num_threads(self): return self.dynlib.custom_get_num_threads()
    def set_num_threads(self, n): self.dynlib.custom_set_num_threads(n)
    def get_version(self): return None
real.register(Custom)
import corewise
print(corewise.install_as_threadpoolctl())
print(corewise.install_as_threadpoolctl())
import threadpoolctl
ours = corewise.threadpoolctl
print(threadpoolctl is ours, real is ours, kept is ours.threadpool_limits)
print(type(consumer.held) is ours.ThreadpoolController)
ctypes.CDLL(f"{NATIVE}/libcustom_pool.so")
print([(e["user_api"], e["num_threads"]) for e in ours.threadpool_info()])
with kept(1, user_api="custom"):
    print(ours.threadpool_info()[0]["num_threads"])
"""


def test_install_replaces_what_was_imported(run: Run) -> None:
    pytest.importorskip("threadpoolctl")
    replaced, again, *rest = run(INSTALL).splitlines()
    assert eval(replaced) == ["__main__.kept", "__main__.real", "sys.held"]
    assert eval(again) == []
    assert rest == ["True True True", "True", "[('custom', 5)]", "1"]


def test_install_before_any_import(run: Run) -> None:
    code = "import corewise; print(corewise.install_as_threadpoolctl())\n"
    code += "import threadpoolctl; print(threadpoolctl.__name__)"
    assert run(code).splitlines() == ["[]", OURS]


def test_install_reaches_scikit_learn(run: Run) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("threadpoolctl")
    code = """
import corewise, sklearn.cluster, sklearn.utils.parallel as parallel
parallel._get_threadpool_controller()
replaced = corewise.install_as_threadpoolctl()
print(type(parallel._get_threadpool_controller()).__module__)
print(all(type(x).__module__ != "threadpoolctl" for m in tuple(__import__("sys").modules.values())
          if (getattr(m, "__name__", None) or "").startswith("sklearn")
          for x in vars(m).values()))
"""
    assert run(code) == f"{OURS}._limiter\nTrue\n"


@pytest.mark.parametrize(("switch", "name"), [("1", OURS), ("0", THEIRS), ("", THEIRS)])
def test_switch_works_before_any_import(run: Run, switch: str, name: str) -> None:
    pytest.importorskip("threadpoolctl")
    code = "from threadpoolctl import ThreadpoolController; import sys, threadpoolctl\n"
    code += "print(threadpoolctl.__name__, threadpoolctl is sys.modules['threadpoolctl'])"
    assert run(code, env={"COREWISE_THREADPOOLCTL": switch}) == f"{name} True\n"


def test_switch_costs_nothing_until_used(run: Run) -> None:
    code = "import sys; print([m for m in sys.modules if m.startswith('corewise')])"
    assert run(code, env={}) == "[]\n"
    assert eval(run(code, env={"COREWISE_THREADPOOLCTL": "1"})) == ["corewise", "corewise._startup"]


@pytest.mark.parametrize("inherited", ["", "2 "])
def test_a_subinterpreter_starts_without_a_word(inherited: str) -> None:
    """Python 3.12 and later keep our extension module out of it; its first use says so."""
    code = """
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
one = interpreters.create()
run = getattr(interpreters, "exec", None) or interpreters.run_string
failed = run(one, "import corewise")
assert failed is None, failed
failed = run(one, "corewise.info()")
assert failed is None or "does not support loading in subinterpreters" in str(failed), failed
interpreters.destroy(one)
"""
    env = os.environ | ({"COREWISE_INHERIT": inherited} if inherited else {})
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
