"""A group's budget, changed while its programs run."""

import json
import os
import time

import pytest
from conftest import CLEAN, ready

CPUS = os.cpu_count() or 1
BUSY = """
import sys, numpy as np
a = np.ones((700, 700))
print("ready", flush=True)
while True:
    a @ a
"""

pytestmark = pytest.mark.skipif(CPUS < 2, reason="a change takes two CPUs")


@pytest.fixture
def group():
    return f"test {os.getpid()}"


def running(program, group, python, budget="1"):
    how = [program, "run", "-q", "--budget", budget, "--group", group]
    return ready([*how, "--", python, "-c", BUSY], env=CLEAN)


def widest(corewise, group):
    """The most threads that the group held at a look, for a second."""
    most = 0
    until = time.monotonic() + 1
    while time.monotonic() < until:
        told = json.loads(corewise("budget", "--group", group, "--json").stdout)
        most = max(most, sum(one["granted"] for one in told["programs"]))
    return most


# That they get more again is for test_group_budget.cpp: here others may want the CPUs.
def test_running_programs_follow(corewise, program, group, numpy_python):
    with running(program, group, numpy_python, budget="2") as child:
        told = json.loads(corewise("budget", "--group", group, "--set", "1", "--json").stdout)
        assert (told["before"], told["budget"], told["chosen"]) == (2, 1, True)
        assert [one["pid"] for one in told["programs"]] == [child.pid]
        time.sleep(0.2)
        assert widest(corewise, group) == 1
        with running(program, group, numpy_python, budget="2"):  # its own budget does not hold
            told = json.loads(corewise("budget", "--group", group, "--json").stdout)
            assert told["budget"] == 1 and len(told["programs"]) == 2
        back = json.loads(corewise("budget", "--group", group, "--unset", "--json").stdout)
        assert (back["before"], back["budget"], back["chosen"]) == (1, 2, False)
    assert corewise("budget", "--group", group).returncode == 13


def test_the_screen_says_what_changed(corewise, program, group, numpy_python):
    with running(program, group, numpy_python) as child:
        shown = corewise("budget", "--group", group, "--set", "2").stdout
        assert shown.startswith(f"Group {group}: 1 -> 2 threads\n")
        assert str(child.pid) in shown and "--unset" in shown
        assert corewise("-q", "budget", "--group", group).stdout.count("\n") == 4


def test_a_group_that_nobody_has(corewise, group):
    for words in ((), ("--set", "1"), ("--unset",)):
        done = corewise("budget", "--group", group, *words)
        assert done.returncode == 13 and done.stdout == ""
        assert f"no program of yours is in the group '{group}'" in done.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--set", "0"], "--set takes a whole number from 1"),
        (["--set=-1"], "--set takes a whole number from 1"),
        (["--set", "1.5"], "--set takes a whole number from 1"),
        (["--set", "many"], "--set takes a whole number from 1"),
        (["--set", str(CPUS + 1)], "is above the machine, which has"),
        (["--set", "1", "--unset"], "contradict each other"),
        (["--cap", "1"], "about a machine"),
    ],
)
def test_what_makes_no_sense(corewise, group, words, why):
    done = corewise("budget", "--group", group, *words)
    assert done.returncode == 2 and done.stdout == "" and why in done.stderr


def test_set_wants_a_group(corewise):
    for words in (["--set", "1"], ["--unset"], ["--group", "", "--set", "1"]):
        done = corewise("budget", *words)
        assert done.returncode == 2 and "--group" in done.stderr
