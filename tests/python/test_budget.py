"""corewise.budget."""

from __future__ import annotations

import json
import math
import os
import pickle
from dataclasses import FrozenInstanceError
from decimal import Decimal
from fractions import Fraction
from typing import Any

import corewise
import pytest
from conftest import Array, Run


def test_it_is_what_the_document_says() -> None:
    budget = corewise.budget()
    told = json.loads(budget.to_json())
    assert told["schema_version"] == 1
    assert budget.cpus == told["cpus"]
    assert 1 <= budget.floor <= max(1, budget.cpus) <= budget.ceil
    assert budget.topology._asdict() == told["topology"]
    assert [c._asdict() for c in budget.constraints] == told["constraints"]
    assert any(c.binding for c in budget.constraints)
    assert corewise.budget() == budget


def test_a_cap_of_any_kind_of_number() -> None:
    for cap in (0.5, Fraction(1, 2)):
        budget = corewise.budget(cap=cap)
        assert (budget.cpus, budget.floor, budget.ceil) == (0.5, 1, 1)
        assert [c.where for c in budget.constraints if c.binding] == ["argument"]
    assert corewise.budget(1).cpus <= 1


@pytest.mark.parametrize("cap", [0, -1, -0.0, math.nan, math.inf, 1e6, 10**400, Decimal("sNaN")])
def test_a_cap_that_makes_no_sense(cap: Any) -> None:
    with pytest.raises(corewise.BadValue) as raised:
        corewise.budget(cap)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, corewise.Error)


@pytest.mark.parametrize("cap", ["2", b"2", [1], True, object(), Array()])
def test_a_cap_that_is_no_number(cap: Any) -> None:
    with pytest.raises(corewise.BadType, match="give a number"):
        corewise.budget(cap)


def test_it_is_read_anew(run: Run) -> None:
    code = """
import os, corewise
before = corewise.budget()
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
after = corewise.budget()
print(after.cpus == min(1, before.cpus) and after.allowed == str(min(os.sched_getaffinity(0))))
os.environ["COREWISE_BUDGET"] = "500m"
print(corewise.budget().cpus)
os.environ["COREWISE_BUDGET"] = "lots"
print(corewise.budget().findings[0])
"""
    first, second, third = run(code).splitlines()
    assert first == "True"
    assert float(second) == 0.5
    assert third.startswith("COREWISE_BUDGET was ignored")


def test_it_is_frozen_and_can_travel() -> None:
    budget = corewise.budget()
    with pytest.raises(FrozenInstanceError):
        budget.cpus = 3.0  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(budget)) == budget


def test_screens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COREWISE_BUDGET", "<lots>")
    budget = corewise.budget(cap=0.5)
    monkeypatch.setenv("COLUMNS", "60")
    text = repr(budget)
    assert text.startswith(
        "Budget: 0.5 CPUs (floor: 1 thread has a CPU part of the time; ceil: 1 thread uses it up)\n"
    )
    assert "*  user" in text and "COREWISE_BUDGET" in text
    html = budget._repr_html_()
    assert "<table>" in html and "<lots>" not in html and "&lt;lots&gt;" in html


def test_affinity_of_another_thread_does_not_count(run: Run) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU")
    code = """
import os, threading, corewise
found = []
def bound():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found.append(corewise.budget().cpus)
before = corewise.budget().cpus
thread = threading.Thread(target=bound); thread.start(); thread.join()
print(found == [before])
"""
    assert run(code) == "True\n"
