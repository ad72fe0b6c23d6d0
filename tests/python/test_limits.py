"""corewise.limits: forms, errors, undo, decorators, late arrivals."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import corewise
import pytest
from conftest import Array, Run, need_numpy_wheel
from pools import Pools


def in_thread(call: Callable[[], Any]) -> Any:
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(call()))
    thread.start()
    thread.join()
    return result[0]


def test_block_limits_every_pool(pools: Pools) -> None:
    with corewise.limits(3):
        assert pools.now() == (3, 3)
        assert pools.team_size() == 3


@pytest.mark.parametrize(
    ("arguments", "keywords", "expected"),
    [
        ((), {"blas": 2}, (2, 16)),
        ((), {"openmp": 2}, (16, 2)),
        ((), {"openmp": 2, "blas": 3}, (3, 2)),
        ((4,), {"blas": 2}, (2, 4)),
        (({"blas": 4, "openblas": 3, "libopenblas": 2},), {}, (2, 16)),
        (({"blas": 4, "openblas": 3},), {}, (3, 16)),
        (({"libgomp": 5, b"blas": 4},), {}, (4, 5)),
        (({"blas": None},), {"openmp": None}, (16, 16)),
        ((None,), {}, (16, 16)),
        (({},), {"tbb": 1, "arrow": 1, "numba": 1}, (16, 16)),
        (("sequential_blas_under_openmp",), {}, (1, 16)),
    ],
)
def test_forms(pools: Pools, arguments: Any, keywords: Any, expected: tuple[int, int]) -> None:
    with corewise.limits(*arguments, **keywords):
        assert pools.now() == expected
    assert pools.now() == (16, 16)


def test_path_and_pool_are_most_specific(pools: Pools) -> None:
    for key in (pools.blas, pools.blas.path, Path(pools.blas.path)):
        with corewise.limits({key: 5, "libopenblas": 4, "openblas": 3, "blas": 2}):
            assert pools.now() == (5, 16)


def test_whole_numbers_of_any_type(pools: Pools) -> None:
    class Two:
        def __index__(self) -> int:
            return 2

    with corewise.limits(Two()):
        assert pools.now() == (2, 2)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: corewise.limits(0), corewise.BadCount),
        (lambda: corewise.limits(-1), corewise.BadCount),
        (lambda: corewise.limits(blas=32769), corewise.BadCount),
        (lambda: corewise.limits(openmp=10**30), corewise.BadCount),
        (lambda: corewise.limits(True), corewise.BadType),
        (lambda: corewise.limits(blas=1.0), corewise.BadType),
        (lambda: corewise.limits([1]), corewise.BadType),
        (lambda: corewise.limits(Array()), corewise.BadType),
        (lambda: corewise.limits({"blas": "1"}), corewise.BadType),
        (lambda: corewise.limits({3: 1}), corewise.BadType),
        (lambda: corewise.limits("blas"), corewise.UnknownName),
        (lambda: corewise.limits({"blast": 1}), corewise.UnknownName),
        (lambda: corewise.limits(blast=1), corewise.UnknownName),
        (lambda: corewise.limits({"": 1}), corewise.UnknownName),
        (lambda: corewise.limits({"blas\0": 1}), corewise.UnknownName),
        (lambda: corewise.limits({"/no/such/library.so": 1}), corewise.UnknownName),
        (lambda: corewise.limits(blas=65), corewise.AboveCeiling),
    ],
)
def test_refusals_change_nothing(
    pools: Pools, call: Callable[[], object], kind: type[corewise.Error]
) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert len(str(caught.value)) > 20
    assert pools.now() == (16, 16)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("opnmp", "limits(opnmp=...) (did you mean openmp?): the names are openmp"),
        ("qqq", "limits(qqq=...): the names are openmp"),
    ],
)
def test_an_unknown_api(name: str, said: str) -> None:
    with pytest.raises(corewise.UnknownName) as caught:
        corewise.limits(**{name: 1})
    assert str(caught.value).startswith(said)


def test_kinds_of_errors() -> None:
    assert issubclass(corewise.BadCount, (corewise.Error, ValueError))
    assert issubclass(corewise.AboveCeiling, corewise.BadCount)
    assert issubclass(corewise.BadType, corewise.Error)
    assert issubclass(corewise.BadType, TypeError)
    assert issubclass(corewise.UnknownName, corewise.Error)
    assert issubclass(corewise.UnknownName, LookupError)
    assert issubclass(corewise.LimitWarning, UserWarning)


def test_bad_second_rule_leaves_the_first_unset(pools: Pools) -> None:
    with pytest.raises(corewise.AboveCeiling):
        corewise.limits(openmp=2, blas=65)


def test_plain_call_until_restored(pools: Pools) -> None:
    receipt = corewise.limits(blas=2)
    assert pools.now() == (2, 16)
    assert receipt.restore() == 0
    assert receipt.restore() == 0
    assert "restored" in repr(receipt)


def test_overlapping_in_any_order(pools: Pools) -> None:
    wide, narrow, middle = corewise.limits(8), corewise.limits(2), corewise.limits(4)
    assert pools.now() == (2, 2)
    wide.restore()
    assert pools.now() == (2, 2)
    narrow.restore()
    assert pools.now() == (4, 4)
    middle.restore()


def test_restoring_from_another_thread_says_what_waits(pools: Pools) -> None:
    receipt = corewise.limits({pools.blas: 2, pools.openmp: 2})
    assert in_thread(receipt.restore) == 1  # libgomp's count belongs to this thread alone
    assert pools.blas.threads == 16
    corewise.pools()
    assert pools.openmp.threads == 16


def test_dropped_receipt_is_permanent(pools: Pools) -> None:
    corewise.limits(3)
    gc.collect()
    assert pools.now() == (3, 3)
    with corewise.limits(5):
        assert pools.now() == (5, 5)
    assert pools.now() == (3, 3)
    corewise.limits({pools.blas: 16, pools.openmp: 16})


def test_set_behind_our_back_is_undone(pools: Pools) -> None:
    with corewise.limits(blas=2):
        pools.set_blas_behind_our_back(7)


def test_openmp_of_other_threads_is_their_own(pools: Pools) -> None:
    with corewise.limits(2):
        blas, openmp = in_thread(pools.now)
    assert blas == 2
    assert openmp != 2 or openmp == in_thread(pools.now)[1]


def test_one_object_serves_one_block_at_a_time(pools: Pools) -> None:
    limits = corewise.limits(2)
    for _ in range(2):
        with limits:
            assert pools.now() == (2, 2)
            with pytest.raises(corewise.Error, match="another `with`"), limits:
                pass
            assert pools.now() == (2, 2)
        assert pools.now() == (16, 16)


def test_outcomes(pools: Pools) -> None:
    with corewise.limits(blas=2), corewise.limits(blas=4) as outer:
        (outcome,) = (o for o in outer.outcomes if o.pool.path == pools.blas.path)
        assert outcome[1:4] == (2, 4, 2)
        assert outcome.reason == "a tighter limit is open"
        assert "libopenblas" in outer.report()
        assert "not the 4 asked for: a tighter limit is open" in outer.report()
    assert outer.outcomes[0].asked == 4


def test_no_report_where_all_took(pools: Pools) -> None:
    with corewise.limits({pools.blas: 2}) as limits:
        assert limits.report() == ""


def test_warns_of_a_pool_that_keeps_more(run: Run) -> None:
    out = run(
        """
import ctypes, warnings, corewise
ctypes.CDLL(f"{NATIVE}/libopenblas_stubborn.so")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    corewise.limits(blas=2)
(warning,) = caught
print(warning.category is corewise.LimitWarning, warning.filename == "<string>")
print(str(warning.message))
"""
    )
    first, message = out.splitlines()
    assert first == "True True"
    assert "has 8 threads, not the 2 asked for" in message


@pytest.mark.parametrize(
    "opened",
    [
        "corewise.limits(blas=2)",
        "again.__enter__()",
        "decorated()",
        "corewise.plan(blas=1).apply()",
    ],
)
def test_where_warnings_are_errors_nothing_stays_limited(run: Run, opened: str) -> None:
    out = run(
        f"""
import ctypes, warnings, corewise
for name in ("stub/libopenblas_stub.so", "libopenblas_stubborn.so"):
    ctypes.CDLL(f"{{NATIVE}}/{{name}}")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    again = corewise.limits(blas=2)
    again.restore()
    decorated = corewise.limits(blas=2)(list)
warnings.simplefilter("error")
try: {opened}
except corewise.LimitWarning: print([pool.threads for pool in corewise.pools()])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    with again: print([pool.threads for pool in corewise.pools()])
"""
    )
    assert out == "[8, 8]\n[2, 8]\n"


def test_one_thread_is_one_thread(pools: Pools) -> None:
    with corewise.limits({pools.blas: 1}), corewise.limits({pools.blas: 4}) as outer:
        assert "has 1 thread, not the 4 asked for" in outer.report()


def test_library_loaded_inside_is_limited(run: Run) -> None:
    need_numpy_wheel()
    code = """
import corewise
count = lambda: [p.threads for p in corewise.pools() if p.api == "blas"]
with corewise.limits(blas=1) as limits:
    print(count())
    import numpy._core._multiarray_umath as extension
    import ctypes
    # Asked of the library itself, since any corewise call would look again.
    path = next(line.split()[-1] for line in open("/proc/self/maps") if "openblas" in line)
    print(ctypes.CDLL(path).scipy_openblas_get_num_threads64_())
    print(limits.outcomes[0].effective)
print(count() != [1])
"""
    assert run(code, env={"OPENBLAS_NUM_THREADS": "2"}) == "[]\n1\n1\nTrue\n"


def test_decorating_leaves_nothing_applied(pools: Pools) -> None:
    @corewise.limits(2)
    def work(x: int, *, y: int = 0) -> Any:
        """Documented."""
        return pools.now(), x + y

    assert pools.now() == (16, 16)
    assert work(1, y=2) == ((2, 2), 3)
    assert pools.now() == (16, 16)
    assert work.__name__ == "work"
    assert work.__doc__ == "Documented."
    assert in_thread(lambda: work(1)) == ((2, 2), 1)


def test_decorated_recursion_and_errors(pools: Pools) -> None:
    @corewise.limits(2)
    def down(depth: int) -> None:
        assert pools.now() == (2, 2)
        if depth == 0:
            raise KeyError("bottom")
        down(depth - 1)

    with pytest.raises(KeyError, match="bottom"):
        down(3)


def test_decorated_generator_limits_its_body_only(pools: Pools) -> None:
    @corewise.limits(2)
    def generate() -> Iterator[Any]:
        try:
            got = yield pools.now()
            try:
                yield got, pools.now()
            except ValueError as error:
                yield str(error), pools.now()
        finally:
            closed.append(pools.now())

    closed: list[Any] = []
    generator: Any = generate()
    assert next(generator) == (2, 2)
    assert pools.now() == (16, 16)
    assert generator.send("hello") == ("hello", (2, 2))
    assert generator.throw(ValueError("thrown")) == ("thrown", (2, 2))
    assert pools.now() == (16, 16)
    generator.close()
    assert closed == [(2, 2)]


def test_decorated_generator_returns() -> None:
    @corewise.limits()
    def generate() -> Any:
        yield 1
        return 2

    def outer() -> Any:
        yield (yield from generate())

    assert list(outer()) == [1, 2]


def test_decorated_coroutine_does_not_limit_other_tasks(pools: Pools) -> None:
    @corewise.limits(2)
    async def work() -> Any:
        first = pools.now()
        await asyncio.sleep(0)
        return first, pools.now()

    async def other() -> Any:
        seen = []
        for _ in range(3):
            seen.append(pools.now())
            await asyncio.sleep(0)
        return seen

    async def main() -> Any:
        return await asyncio.gather(work(), other())

    limited, free = asyncio.run(main())
    assert limited == ((2, 2), (2, 2))
    assert free == [(16, 16)] * 3


def test_decorated_coroutine_can_be_cancelled(pools: Pools) -> None:
    seen = []

    @corewise.limits(2)
    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(pools.now())

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == [(2, 2)]


def test_decorated_async_generator(pools: Pools) -> None:
    closed = []

    @corewise.limits(2)
    async def generate() -> AsyncIterator[Any]:
        try:
            yield pools.now()
            await asyncio.sleep(0)
            yield pools.now()
        finally:
            closed.append(pools.now())

    async def main() -> None:
        seen = []
        async for item in generate():
            seen.append(item)
            assert pools.now() == (16, 16)
        assert seen == [(2, 2), (2, 2)]
        stopped: Any = generate()
        await anext(stopped)
        await stopped.aclose()

    asyncio.run(main())
    assert closed == [(2, 2), (2, 2)]


def test_limits_of_one_task_hold_while_it_waits(pools: Pools) -> None:
    async def task(limit: int, seconds: float) -> None:
        with corewise.limits(limit):
            await asyncio.sleep(seconds)

    async def main() -> None:
        await asyncio.gather(task(2, 0.02), task(3, 0.01), task(4, 0.03))

    asyncio.run(main())


def test_many_threads_with_limits_of_their_own(pools: Pools) -> None:
    failures = []

    def work(limit: int) -> None:
        for _ in range(200):
            with corewise.limits(limit):
                blas, openmp = pools.now()
                if not (blas is not None and blas <= limit and openmp == limit):
                    failures.append((limit, blas, openmp))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3, 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
