"""corewise.joblib on every backend, and pools of processes under govern()."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import corewise
import joblib
import numpy
import pytest
from corewise import _share
from governed import governed
from hypothesis import given
from hypothesis import strategies as st
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from probe import counts, counts_and_pid

BACKENDS = ("loky", "threading", "multiprocessing")


def seen(tasks: int = 4, function: Any = counts, **options: Any) -> list[Any]:
    return list(Parallel(**options)(delayed(function)(i) for i in range(tasks)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("of_16_cpus")
def test_each_task_gets_its_share(backend: str, wide: tuple[int, int]) -> None:
    with corewise.joblib(n_jobs=2, backend=backend):
        assert set(seen()) == {(8, 1)}
    assert {openmp for openmp, _ in seen(n_jobs=2, backend=backend)} == {wide[0]}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("of_16_cpus", "wide")
def test_a_backend_that_parallel_names_itself(backend: str) -> None:
    with corewise.joblib(openmp=3, blas=2):
        assert set(seen(n_jobs=2, backend=backend)) == {(3, 2)}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("of_16_cpus", "wide")
def test_a_backend_that_was_set_before(backend: str) -> None:
    with joblib.parallel_config(backend=backend, n_jobs=2) as before:
        theirs = before["backend"]
        with corewise.joblib(openmp=3, blas=2):
            assert set(seen()) == {(3, 2)}
        assert before["backend"] is theirs and type(theirs).__module__.startswith("joblib.")
        assert {openmp for openmp, _ in seen()} == {16}


@pytest.mark.parametrize("hint", [{"prefer": "threads"}, {"require": "sharedmem"}])
@pytest.mark.usefixtures("of_16_cpus", "wide")
def test_hints_are_followed(hint: dict[str, str]) -> None:
    with corewise.joblib():
        results = seen(function=counts_and_pid, n_jobs=4, **hint)
    assert set(results) == {((4, 1), os.getpid())}


@pytest.mark.usefixtures("of_16_cpus", "wide")
def test_no_more_workers_than_the_budget_holds() -> None:
    with corewise.joblib(budget=4):
        assert joblib.effective_n_jobs(-1) == joblib.effective_n_jobs(40) == 4
        with corewise.joblib(budget=2):
            assert joblib.effective_n_jobs(-1) == 2
            assert set(seen(n_jobs=8, backend="threading")) == {(1, 1)}
    assert joblib.effective_n_jobs(40) == 40


def test_more_workers_than_can_be_counted_are_as_many_as_the_budget_holds() -> None:
    with corewise.joblib(n_jobs=10**6, backend="threading", budget=1):
        assert len(Parallel()(delayed(counts)() for _ in range(2))) == 2


@pytest.mark.usefixtures("of_16_cpus")
def test_one_worker_has_the_whole_budget(wide: tuple[int, int]) -> None:
    with corewise.joblib(n_jobs=1, budget=5):
        assert set(seen()) == {(5, 5)} and counts() == (5, 5)
    with corewise.joblib(n_jobs=1):
        assert set(seen()) == {wide}


def nested(_: int) -> list[tuple[int, int]]:
    return seen(n_jobs=2)


@pytest.mark.usefixtures("of_16_cpus", "wide")
def test_tasks_divide_their_share() -> None:
    with corewise.joblib(n_jobs=2, backend="threading"):
        assert seen(2, nested) == [[(4, 1)] * 4] * 2


@pytest.mark.usefixtures("wide")
def test_nested_tasks_in_processes() -> None:
    with corewise.joblib(n_jobs=2, backend="loky"):
        assert seen(2, nested) == [[(1, 1)] * 4] * 2


@pytest.mark.usefixtures("of_16_cpus", "wide")
def test_as_decorator_of_functions_and_coroutines() -> None:
    shared = corewise.joblib(n_jobs=4, backend="threading")

    @shared
    def plain(depth: int) -> set[Any]:
        return plain(depth - 1) if depth else set(seen())

    @shared
    async def later() -> set[Any]:
        await asyncio.sleep(0)
        return set(seen())

    assert plain(2) == asyncio.run(later()) == {(4, 1)}


@pytest.mark.usefixtures("of_16_cpus", "wide")
def test_a_decorated_function_runs_inside_a_block_of_the_same() -> None:
    shared = corewise.joblib(n_jobs=4, backend="threading")

    @shared
    def decorated() -> set[Any]:
        return set(seen())

    with shared:
        assert decorated() == {(4, 1)} == set(seen())
    assert decorated() == {(4, 1)}


def test_a_block_whose_end_failed_can_be_used_again(
    wide: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Any) -> None:
        close(self)
        raise KeyboardInterrupt

    shared = corewise.joblib(budget=1)
    close = ExitStack.close
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        shared.__enter__()
        patch.setattr(ExitStack, "close", interrupted)
        shared.__exit__(None, None, None)
    with shared:
        assert counts() == (1, 1)
    assert counts() == wide


def fails(_: int) -> None:
    raise KeyError("as asked")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("wide", "of_16_cpus")
def test_errors_pass_and_limits_end(backend: str) -> None:
    with corewise.joblib(n_jobs=2, backend=backend):
        with pytest.raises(KeyError):
            seen(function=fails)
        assert set(seen(2)) == {(8, 1)}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"n_jobs": 0}, corewise.BadCount),
        ({"n_jobs": 1.5}, corewise.BadType),
        ({"n_jobs": True}, corewise.BadType),
        ({"n_jobs": numpy.ones(2, int)}, corewise.BadType),
        ({"openmp": 0}, corewise.BadCount),
        ({"blas": "2"}, corewise.BadType),
        ({"budget": 0}, corewise.BadCount),
        ({"budget": "all"}, corewise.BadType),
    ],
)
def test_bad_counts(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        corewise.joblib(**options)


def test_a_backend_that_is_none_changes_nothing(wide: tuple[int, int]) -> None:
    shared = corewise.joblib(backend="lokki", budget=1)
    with pytest.raises(ValueError, match="lokki"):
        shared.__enter__()
    assert counts() == wide and _share.current() is None
    with corewise.joblib(budget=1) as shared, pytest.raises(corewise.Error, match="in use"):
        shared.__enter__()


def fake_plan(floor: int) -> Any:
    """The plan for a machine with so many CPUs, where both levels are present."""

    class Plan:
        def __init__(self, processes: int, openmp: int | None, blas: int | None) -> None:
            self.floor = floor
            room = floor // min(processes, floor)
            if openmp is None and blas is not None:
                self.blas = min(blas, room)
                self.openmp = room // self.blas
            else:
                self.openmp = min(openmp or room, room)
                self.blas = min(blas or 1, room // self.openmp)

    return Plan


upper = st.none() | st.integers(1, 64)


@given(st.integers(1, 256), st.integers(1, 300), upper, upper, upper)
def test_a_division_fits(
    floor: int, tasks: int, openmp: int | None, blas: int | None, budget: int | None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_share, "plan", fake_plan(floor))
        share = _share.Bounds(openmp, blas, budget).divide(tasks)
    assert min(share) >= 1 and share.tasks <= tasks
    assert share.tasks * share.openmp * share.blas <= min(floor, budget or floor)
    assert share.openmp <= (openmp or floor) and share.blas <= (blas or floor)


@pytest.fixture
def group() -> Iterator[str]:
    """Governs this process for a test, and leaves no ledger or governed worker behind."""
    name = f"estimators-{uuid.uuid4()}"
    with corewise.governed(2, group=name):
        path = governed()[2]
        yield name
        get_reusable_executor(reuse=True).shutdown(wait=True)
    os.unlink(path)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes_need_nothing_but_govern(group: str, method: str) -> None:
    context = multiprocessing.get_context(method)
    ours = governed()
    assert ours[:2] == (True, 2)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        assert list(executor.map(governed, range(2))) == [ours] * 2
    with context.Pool(1) as pool:
        assert pool.map(governed, range(2)) == [ours] * 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_joblib_needs_nothing_but_govern(group: str, backend: str) -> None:
    get_reusable_executor(reuse=True).shutdown(
        wait=True
    )  # workers that are there already know of nothing
    assert seen(2, governed, n_jobs=2, backend=backend) == [governed()] * 2


def test_after_ungovern_children_are_free() -> None:
    with concurrent.futures.ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn")
    ) as executor:
        assert executor.submit(governed).result()[0] is False
    assert "COREWISE_INHERIT" not in os.environ
