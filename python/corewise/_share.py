"""What one of several tasks may use: upper bounds that travel with work as plain numbers.

Bounds are stored and pickled; limits are made of them where the work runs, at each call. Work that
starts work of its own divides what it was given, not the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, SupportsFloat, SupportsIndex

from . import _core
from ._govern import _threads
from ._limits import _count, fitting
from ._plan import plan


def _least(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else min(one, other)


class Share(NamedTuple):
    """The most threads of one task, and how many such tasks the budget holds at once."""

    tasks: int
    openmp: int
    blas: int


class Bounds(NamedTuple):
    """Upper bounds, in threads; None: no bound of its own. `budget` is for all tasks together."""

    openmp: int | None = None
    blas: int | None = None
    budget: int | None = None

    def within(self, outer: Bounds) -> Bounds:
        """Both together: the tighter of each bound."""
        return Bounds(*(_least(own, given) for own, given in zip(self, outer, strict=True)))

    def together(self) -> dict[str, int | None]:
        """The bounds by API for work that has the whole budget."""
        return {"openmp": _least(self.openmp, self.budget), "blas": _least(self.blas, self.budget)}

    def divide(self, tasks: int) -> Share:
        """The plan for so many tasks at a time, within the budget. Rules: docs/plan.md."""
        planned = plan(min(tasks, _core.MAX_THREADS), self.openmp, self.blas)
        whole = planned.floor if self.budget is None else min(planned.floor, self.budget)
        tasks = min(tasks, whole)
        room = whole // tasks
        if self.openmp is None and self.blas is not None:
            blas = min(planned.blas, room)
            return Share(tasks, min(planned.openmp, room // blas), blas)
        openmp = min(planned.openmp, room)
        return Share(tasks, openmp, min(planned.blas, room // openmp))


def bounds(
    openmp: SupportsIndex | None, blas: SupportsIndex | None, budget: SupportsFloat | None
) -> Bounds:
    """Checks what a user gave, with the errors of `limits` and `govern`."""
    return Bounds(
        None if openmp is None else _count(openmp, "openmp"),
        None if blas is None else _count(blas, "blas"),
        None if budget is None else _threads(budget),
    )


# What the running work may divide among work that it starts, and the same for work in this process
# that was given nothing. None: nothing was given.
_current: ContextVar[Bounds | None] = ContextVar("corewise_share", default=None)
of_process: Bounds | None = None


def current() -> Bounds | None:
    return _current.get() or of_process


@contextmanager
def dividing(given: Bounds) -> Iterator[Bounds]:
    """Work started in the block divides `given`, within the outer bounds."""
    outer = current()
    both = given if outer is None else given.within(outer)
    token = _current.set(both)
    try:
        yield both
    finally:
        _current.reset(token)


@contextmanager
def at_most(most: Mapping[str, int | None]) -> Iterator[None]:
    """Limits by API that only lower: a pool with fewer threads keeps them."""
    asked = {api: threads for api, threads in most.items() if threads is not None}
    if not asked:
        yield
        return
    pools: dict[Any, int] = {
        pool: min(asked[pool.api], pool.threads or _core.MAX_THREADS)
        for pool in _core.pools()
        if pool.api in asked
    }
    with fitting(pools, asked):
        yield
