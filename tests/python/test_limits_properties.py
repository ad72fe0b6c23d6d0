"""Random scopes of several threads and asyncio tasks: at each step each pool has what the open
ones make of it, and at the end what it had before the first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import corewise
import pytest
from corewise.threadpoolctl import ThreadpoolController, threadpool_limits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pools import Pools

THREADS, TASKS = 3, 3
START = Pools.start


class Actors:
    """Three threads, and three tasks of one loop in a further thread, that do as they are told."""

    def __init__(self) -> None:
        self._threads = [ThreadPoolExecutor(1) for _ in range(THREADS)]
        self._loop = asyncio.new_event_loop()
        self._loop_thread = threading.Thread(target=self._loop.run_forever)
        self._loop_thread.start()
        self._queues: list[asyncio.Queue[Any]] = [asyncio.Queue() for _ in range(TASKS)]
        self._tasks = [asyncio.run_coroutine_threadsafe(self._obey(q), self._loop)
                       for q in self._queues]  # fmt: skip

    @staticmethod
    async def _obey(orders: asyncio.Queue[Any]) -> None:
        while order := await orders.get():
            call, future = order
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

    def do(self, actor: int, call: Callable[[], Any]) -> Any:
        if actor < THREADS:
            return self._threads[actor].submit(call).result(30)
        future: Future[Any] = Future()
        put = self._queues[actor - THREADS].put((call, future))
        asyncio.run_coroutine_threadsafe(put, self._loop)
        return future.result(30)

    @staticmethod
    def thread_of(actor: int) -> int:
        """The thread whose OpenMP count the actor sees: tasks share one."""
        return min(actor, THREADS)

    def end(self) -> None:
        for queue, task in zip(self._queues, self._tasks, strict=True):
            asyncio.run_coroutine_threadsafe(queue.put(None), self._loop)
            task.result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._loop_thread.join()
        for thread in self._threads:
            thread.shutdown()


@pytest.fixture(scope="module")
def actors() -> Iterator[Actors]:
    made = Actors()
    yield made
    made.end()


ACTOR = st.integers(0, THREADS + TASKS - 1)
COUNTS = st.fixed_dictionaries(
    {}, optional={"blas": st.integers(1, 20), "openmp": st.integers(1, 20)}
)
RUNS = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def look(actors: Actors, pools: Pools, actor: int) -> tuple[Any, Any]:
    """What the actor sees, after a corewise call that finishes what was left for its thread."""

    def both() -> tuple[Any, Any]:
        corewise.pools()
        return pools.now()

    return actors.do(actor, both)  # type: ignore[no-any-return]


@RUNS
@given(st.lists(st.tuples(ACTOR, COUNTS, st.integers(0, 99), ACTOR), max_size=20))
def test_limits_compose_and_end_in_any_order(
    actors: Actors, pools: Pools, steps: list[tuple[int, dict[str, int], int, int]]
) -> None:
    before = [look(actors, pools, actor) for actor in range(THREADS + TASKS)]
    opened: list[tuple[int, dict[str, int], corewise.limits]] = []

    def check() -> None:
        blas = min([c["blas"] for _, c, _ in opened if "blas" in c], default=START)
        for actor in range(THREADS + TASKS):
            mine = [
                c["openmp"]
                for who, c, _ in opened
                if "openmp" in c and actors.thread_of(who) == actors.thread_of(actor)
            ]
            expected = (blas, min(mine, default=before[actor][1]))
            assert look(actors, pools, actor) == expected

    try:
        for actor, counts, which, closer in steps:
            if which < 40 and opened:
                _, _, receipt = opened.pop(which % len(opened))
                actors.do(closer, receipt.restore)
            else:
                receipt = actors.do(actor, lambda c=counts: corewise.limits(**c))
                opened.append((actor, counts, receipt))
            check()
    finally:
        while opened:
            actors.do(0, opened.pop()[2].restore)
    check()


@RUNS
@given(st.lists(st.tuples(ACTOR, COUNTS, st.integers(0, 99), st.booleans()), max_size=20))
def test_drop_in_scopes_nest_and_overlap(
    actors: Actors, pools: Pools, steps: list[tuple[int, dict[str, int], int, bool]]
) -> None:
    before = [look(actors, pools, actor) for actor in range(THREADS + TASKS)]
    stacks: list[list[tuple[dict[str, int], Any]]] = [[] for _ in range(THREADS + TASKS)]

    def in_force(api: str, who: list[int], default: Any) -> Any:
        """The tightest of what each owner's innermost scope says."""
        says = [[counts[api] for counts, _ in stacks[a] if api in counts] for a in who]
        return min((inner[-1] for inner in says if inner), default=default)

    def check() -> None:
        everyone = list(range(THREADS + TASKS))
        blas = in_force("blas", everyone, START)
        for actor in everyone:
            same = [a for a in everyone if actors.thread_of(a) == actors.thread_of(actor)]
            expected = (blas, in_force("openmp", same, before[actor][1]))
            assert look(actors, pools, actor) == expected

    def enter(counts: dict[str, int], fresh: bool) -> Any:
        paths = {"blas": pools.blas.path, "openmp": pools.openmp.path}
        limits = {paths[api]: count for api, count in counts.items()}
        maker = threadpool_limits if fresh else ThreadpoolController().limit
        limiter: Any = maker(limits=limits)
        return limiter.__enter__()

    try:
        for actor, counts, which, fresh in steps:
            if which < 40 and stacks[actor]:
                limiter = stacks[actor].pop()[1]
                actors.do(actor, lambda x=limiter: x.__exit__(None, None, None))
            else:
                stacks[actor].append(
                    (counts, actors.do(actor, lambda c=counts, f=fresh: enter(c, f)))
                )
            check()
    finally:
        for actor, stack in enumerate(stacks):
            while stack:
                limiter = stack.pop()[1]
                actors.do(actor, lambda x=limiter: x.__exit__(None, None, None))
    check()
