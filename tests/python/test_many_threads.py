"""Many Python threads at once."""

from __future__ import annotations

import ctypes
import sys
import sysconfig
import threading
from collections.abc import Callable

import corewise
import corewise.threadpoolctl as dropin
import pytest

THREADS = 8


def in_threads(work: Callable[[int], None], count: int = THREADS) -> None:
    """Runs it in so many threads that begin together; raises an error that one of them raised."""
    raised: list[BaseException] = []
    begin = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            begin.wait()
            work(number)
        except BaseException as why:
            raised.append(why)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


@pytest.fixture
def gomp() -> ctypes.CDLL:
    library = ctypes.CDLL("libgomp.so.1")
    library.omp_get_max_threads()
    corewise.info()
    return library


def test_each_thread_has_its_own_limits(gomp: ctypes.CDLL) -> None:
    before = gomp.omp_get_max_threads()

    def work(number: int) -> None:
        own = gomp.omp_get_max_threads()
        for _ in range(50):
            with corewise.limits(openmp=number + 2):
                assert gomp.omp_get_max_threads() == number + 2
                with dropin.threadpool_limits(1, user_api="openmp"):
                    assert gomp.omp_get_max_threads() == 1
                assert gomp.omp_get_max_threads() == number + 2
            assert gomp.omp_get_max_threads() == own

    in_threads(work)
    assert gomp.omp_get_max_threads() == before


def test_one_limit_may_be_closed_by_all() -> None:
    for _ in range(50):
        shared = corewise.limits(1)
        in_threads(lambda _, shared=shared: shared.restore())
        assert "restored" in repr(shared)


def test_a_limiter_is_restored_elsewhere(gomp: ctypes.CDLL) -> None:
    for _ in range(50):
        limiters = [dropin.threadpool_limits(2, user_api="openmp") for _ in range(THREADS)]
        in_threads(lambda number, all_=limiters: all_[number].restore_original_limits())
        in_threads(lambda number, all_=limiters: all_[0].restore_original_limits())


def test_tables_are_read_while_limits_change(gomp: ctypes.CDLL) -> None:
    def work(number: int) -> None:
        for _ in range(50):
            if number % 2:
                with corewise.limits(2):
                    pass
            else:
                assert {each["filepath"] for each in dropin.threadpool_info()}
                assert len(corewise.info()) > 0

    in_threads(work)


def test_limiters_of_one_with_are_dropped_by_all(gomp: ctypes.CDLL) -> None:
    before = gomp.omp_get_max_threads()
    handed: list[object] = [None] * THREADS
    step = threading.Barrier(THREADS, timeout=60)

    def work(number: int) -> None:
        own = gomp.omp_get_max_threads()
        for _ in range(20):
            with dropin.threadpool_limits(number + 2, user_api="openmp"):
                handed[number] = [dropin.threadpool_limits(1, user_api="openmp") for _ in range(3)]
                assert gomp.omp_get_max_threads() == 1
                # A thread's next call, here the end of the `with`, undoes what another thread
                # ended: so all must have dropped by then.
                step.wait()
                handed[(number + 1) % THREADS] = None
                dropin.threadpool_info()
                step.wait()
            assert gomp.omp_get_max_threads() == own

    in_threads(work)
    assert gomp.omp_get_max_threads() == before


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a free-threaded Python"
)
def test_the_gil_stays_off() -> None:
    assert not sys._is_gil_enabled()  # type: ignore[attr-defined]
