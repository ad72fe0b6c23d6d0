"""corewise.plan."""

from __future__ import annotations

import json
import os
from typing import Any

import corewise
import pytest
from conftest import Run
from pools import Pools


def test_it_is_what_the_document_says(pools: Pools) -> None:
    plan = corewise.plan()
    told = json.loads(plan.to_json())
    assert plan.processes * plan.openmp * plan.blas == plan.threads == told["threads"]
    assert plan.threads + plan.unused == plan.floor == corewise.budget().floor
    assert [level.level for level in plan.levels] == ["processes", "openmp", "blas"]
    assert all(level.reason for level in plan.levels)
    assert plan.environment == told["environment"]
    assert plan.environment["OMP_NUM_THREADS"] == str(plan.openmp)
    assert plan.environment["OPENBLAS_NUM_THREADS"] == str(plan.blas)
    assert {pools.blas.path, pools.openmp.path} <= {limit.path for limit in plan.limits}


def test_wishes_are_upper_bounds() -> None:
    floor = corewise.budget().floor
    plan = corewise.plan(processes=32768)
    assert plan.processes == floor
    assert "wanted" in plan.levels[0].reason
    assert corewise.plan(openmp=1).openmp == 1
    assert corewise.plan(1, 1, 1).threads == 1


@pytest.mark.parametrize("name", ["processes", "openmp", "blas"])
@pytest.mark.parametrize(
    ("count", "error"),
    [(0, "BadCount"), (-1, "BadCount"), (32769, "BadCount"), (10**30, "BadCount"),
     (1.5, "BadType"), ("2", "BadType"), (True, "BadType")],
)  # fmt: skip
def test_what_is_no_count(name: str, count: Any, error: str) -> None:
    with pytest.raises(getattr(corewise, error), match=name):
        corewise.plan(**{name: count})


def test_apply_limits_each_pool_and_undoes_it(pools: Pools) -> None:
    plan = corewise.plan(openmp=1, blas=1)
    with plan.apply() as limits:
        assert pools.now() == (1, 1)
        assert limits.report() == ""
    assert pools.now() == (16, 16)

    @plan.apply()
    def inside() -> tuple[int | None, int | None]:
        return pools.now()

    assert pools.now() == (16, 16)
    assert inside() == (1, 1)


def test_apply_reaches_libraries_loaded_later(run: Run) -> None:
    code = """
import ctypes, corewise
with corewise.plan(blas=1).apply():
    blas = ctypes.CDLL(f"{NATIVE}/stub/libopenblas_stub.so")
    print([pool.threads for pool in corewise.pools() if pool.api == "blas"])
"""
    assert run(code) == "[1]\n"


def test_apply_gives_a_library_that_was_built_for_less_what_it_can_have(run: Run) -> None:
    """A plan of a large machine, of before the library was loaded."""
    code = """
import ctypes, dataclasses, corewise
plan = corewise.plan()
levels = tuple(dataclasses.replace(level, count=96) for level in plan.levels)
plan = dataclasses.replace(plan, levels=levels, limits=())
ctypes.CDLL(f"{NATIVE}/stub/libopenblas_stub.so")
def count(): return [pool.threads for pool in corewise.pools() if pool.api == "blas"]
with plan.apply() as limits: print(count())
with limits: print(count())
print(plan.apply()(count)(), count())
"""
    assert run(code) == "[64]\n[64]\n[64] [8]\n"


def test_the_environment_is_what_a_child_obeys(run: Run) -> None:
    code = """
import ctypes, os, subprocess, sys, corewise
env = {**os.environ, **corewise.plan(openmp=1).environment}
code = f"import ctypes; print(ctypes.CDLL('{NATIVE}/libregions.so').team_size())"
print(subprocess.check_output([sys.executable, "-c", code], env=env, text=True).strip())
"""
    env = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    assert run(code, env=env) == "1\n"


def test_screens(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    plan = corewise.plan(processes=1, openmp=1)
    text = repr(plan)
    assert text.startswith("Plan for ") and "libopenblas_stub.so" in text
    assert max(map(len, text.splitlines())) <= 70
    html = plan._repr_html_()
    assert html.count("<table>") == 2 and "Limits of the pools" in html
