"""Governing: the whole process inside one thread budget, from now on."""

from __future__ import annotations

import os
import threading

from . import _core
from ._errors import BadCount, BadType, BadValue, Error, UnknownName
from ._numbers import real

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, SupportsFloat, TypeVar

    from ._report import Report

    Function = TypeVar("Function", bound=Callable[..., Any])


def _threads(budget: object) -> int:
    """A budget in whole threads: rounded down, but never below 1."""
    if budget is None:
        return 0
    number = real(budget, "budget", "give a number of threads")
    if not 0 < number <= _core.MAX_THREADS:
        raise BadCount(f"budget={budget!r}: give a number above 0, at most {_core.MAX_THREADS}")
    return max(1, int(number))


def _name(group: str | None) -> bytes:
    if group is None:
        return b""
    if not isinstance(group, str):
        raise BadType(f"group={group!r} is a {type(group).__name__}: give a name")
    if not group:  # the core takes it for no group, which shares another ledger
        raise BadValue("group='': give a name, or None to share with all programs of these CPUs")
    try:
        name = os.fsencode(group)
    except UnicodeEncodeError:
        raise UnknownName(f"group={group!r}: a name is text that a file name can hold") from None
    if b"\0" in name:
        raise UnknownName(f"group={group!r}: a name holds no NUL")
    return name


# While this process governs itself, this variable tells the Pythons that it starts
# (corewise_govern.pth). Under `corewise run` they are governed without it.
_INHERIT = "COREWISE_INHERIT"
# Reentrant: a Python signal handler may run between any two of our lines and govern too.
_lock = threading.RLock()
_begun = 0


def _renew() -> None:
    global _lock
    _lock = threading.RLock()


# Another thread may hold it while this one forks.
os.register_at_fork(after_in_child=_renew)


def _begin(threads: int, group: bytes) -> None:
    global _begun
    with _lock:
        try:
            _core.govern(threads, group)
        except (Error, MemoryError):
            raise
        except BaseException:
            # Governing had begun when a signal handler (Ctrl-C) raised: nobody else would undo it.
            _core.ungovern()
            raise
        _begun += 1
        if _begun == 1 and os.environ.get("COREWISE_GOVERN") != "1":
            os.environ[_INHERIT] = f"{threads} {os.fsdecode(group)}"


def _end() -> None:
    global _begun
    with _lock:
        try:
            _core.ungovern()
        finally:
            _begun = max(0, _begun - 1)
            if _begun == 0:
                os.environ.pop(_INHERIT, None)


def inherit() -> None:
    """Governs a Python that a governed one started, with the same budget, or warns why not."""
    threads, _, group = os.environ[_INHERIT].partition(" ")
    try:
        _begin(int(threads), os.fsencode(group))
    except Exception as error:
        import warnings

        warnings.warn(f"corewise: this process is not governed: {error}", RuntimeWarning, 1)


def govern(budget: SupportsFloat | None = None, group: str | None = None) -> None:
    """Keeps this whole process inside a thread budget, until `ungovern()`.

    Each BLAS call gets the threads that are free when it starts, at least one and never more than
    it asks for. So do OpenMP regions of libraries that are proven to give the same results from
    fewer threads, such as scikit-learn's. Every other OpenMP region gets all the threads that it
    asks for and is counted, so that others get less. Your processes that have the same CPUs, quotas
    and `budget`, or the same `group`, share the budget. Children that start meanwhile are governed
    too if they are forked or are Pythons that have corewise, such as the workers of
    multiprocessing, concurrent.futures, joblib and Dask; others only under `corewise run`. Pools
    that cannot be governed like this (BLIS, Arrow, numba, older oneTBB) are limited to the budget.
    `govern_report()` says what is governed, and how.

    budget    threads that may run at a time, at most the CPUs that we may use; fractions are
              rounded down. None: these CPUs

    Calls are counted: the process stays governed until `ungovern()` has been called as often.
    Reaches all threads; safe from any thread. Libraries imported later are governed on arrival.

    Raises BadCount or BadType for an invalid budget; BadValue for an empty group; Error if the
    process is governed with another budget or group; NotAvailable if another copy of corewise
    governs it. Then nothing changes.
    """
    _begin(_threads(budget), _name(group))


def ungovern() -> None:
    """Undoes one `govern()`; the last one puts everything back as it was.

    Does nothing without a `govern()` before it, and never ends what `corewise run` began. Safe from
    any thread, even while regions and calls run.
    """
    _end()


def govern_report() -> Report:
    """What governing did in this process so far, and what it could not do.

    A dictionary with the keys that docs/json.md explains; it prints as sentences. Safe from any
    thread.
    """
    import json

    from ._report import Report

    return Report(json.loads(_core.govern_report()))


class governed:
    """`govern()` for a block, or around each call of a function.

    with governed(budget=2): ...
    @governed()                 for coroutines and generators, while their body runs

    The whole process is governed meanwhile, whichever thread enters the block. Blocks may overlap,
    in any threads, and end in any order. The options and errors are those of `govern`.
    """

    __slots__ = ("_options",)

    def __init__(self, budget: SupportsFloat | None = None, group: str | None = None) -> None:
        self._options = (_threads(budget), _name(group))

    def __enter__(self) -> governed:
        _begin(*self._options)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _end()

    def __call__(self, function: Function) -> Function:
        """Decorates: each call of the function runs governed."""
        from ._decorate import decorate

        return decorate(function, lambda: self)
