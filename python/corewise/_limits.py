"""`corewise.limits`: thread limits for a block, a function, or until restored."""

from __future__ import annotations

import os
import warnings

from . import _arrival, _core
from ._errors import BadCount, BadType, Error, LimitWarning, UnknownName, did_you_mean
from ._numbers import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any, Literal, SupportsIndex, TypeVar

    from ._info import Outcome

    Function = TypeVar("Function", bound=Callable[..., Any])
    Key = str | bytes | os.PathLike[str] | _core.Pool
    Limits = (
        SupportsIndex
        | Mapping[Key, SupportsIndex | None]
        | Literal["sequential_blas_under_openmp"]
        | None
    )
    Rule = tuple[int, bytes, int, int]


# What user code asks for, in the order of the keywords of `limits`.
APIS = ("openmp", "blas", "tbb", "arrow", "numba")


def by_api(openmp: int, blas: int) -> dict[str, int]:
    """Counts by API: pools that are neither OpenMP nor BLAS get OpenMP's number."""
    return {**dict.fromkeys(APIS, openmp), "blas": blas}


def _count(value: object, what: str) -> int:
    """A thread count: a whole number of any integer type, but not a bool."""
    threads = whole(value, what, "ask for a whole number of threads")
    if not 1 <= threads <= _core.MAX_THREADS:
        raise BadCount(f"{what}={threads}: ask for a whole number from 1 to {_core.MAX_THREADS}")
    return threads


def _key_rule(key: object, value: object) -> Rule:
    threads = _count(value, f"limits[{key!r}]")
    if isinstance(key, _core.Pool):
        return (_core.MATCH_ID, b"", key.id, threads)
    if isinstance(key, (str, bytes, os.PathLike)):
        name = os.fsencode(key)
        if not name or b"\0" in name:
            raise UnknownName(f"limits[{key!r}]: a name is neither empty nor holds a NUL")
        match = _core.MATCH_PATH if isinstance(key, os.PathLike) else _core.MATCH_NAME
        return (match, name, 0, threads)
    raise BadType(
        f"limits[{key!r}]: ask by API, runtime, prefix, package, library path or corewise.Pool, "
        f"not by {type(key).__name__}"
    )


def _main_rules(limits: object) -> list[Rule]:
    if limits is None:
        return []
    if isinstance(limits, str):
        if limits != "sequential_blas_under_openmp":
            raise UnknownName(
                f"limits({limits!r}): the one name that stands alone is "
                "'sequential_blas_under_openmp'; give APIs their counts, as in limits(blas=4)"
            )
        # OpenBLAS over OpenMP is already sequential inside a region, and it shares its count with
        # the regions, which must stay parallel.
        shared = any(p.runtime == "openblas" and p.layer == "openmp" for p in _core.pools())
        return [] if shared else [(_core.MATCH_API, b"blas", 0, 1)]
    if hasattr(limits, "items"):
        return [_key_rule(key, value) for key, value in limits.items() if value is not None]
    return [(_core.MATCH_ALL, b"", 0, _count(limits, "limits"))]


def _api_rules(counts: Mapping[str, object]) -> list[Rule]:
    return [
        (_core.MATCH_API, api.encode(), 0, _count(threads, api))
        for api, threads in counts.items()
        if threads is not None
    ]


class limits:
    """Limits native thread pools, at once, until restored.

    limits(4)                            every pool to at most 4 threads
    limits(openmp=8, blas=4)             by API
    limits({"numpy": 2, "blas": 1})      by library path, `corewise.Pool`, package that brought it,
                                         prefix (libgomp), runtime or API; for each pool the most
                                         specific key counts
    limits("sequential_blas_under_openmp")  BLAS to 1, for calls made inside OpenMP regions

    A keyword counts for its API unless the first argument has something more specific. None leaves
    the count alone. Counts are whole numbers of threads from 1 to 32768.

    Use it in three ways:

    with limits(blas=1): ...             restored at the end of the block
    @limits(blas=1)                      around each call of a function of any kind; for coroutines
                                         and generators, while their body runs, not while they wait
    receipt = limits(blas=1)             until receipt.restore(); a receipt that is dropped
                                         unrestored makes its limits permanent

    Limits may overlap, in any threads and tasks, and end in any order: for each pool the tightest
    one is in force, and after the last one the pool has the count from before the first. Pools of
    thread scope (OpenMP) are limited for the calling thread, others for the process. Libraries
    imported while a limit is open are limited on arrival.

    Raises BadCount, AboveCeiling, BadType or UnknownName, and then changes nothing. Issues
    LimitWarning if a pool may use more threads than it was asked to; `report()` says why.
    """

    __slots__ = ("_clamped", "_entered", "_receipt", "_rules")

    def __init__(
        self,
        limits: Limits = None,
        /,
        *,
        openmp: SupportsIndex | None = None,
        blas: SupportsIndex | None = None,
        tbb: SupportsIndex | None = None,
        arrow: SupportsIndex | None = None,
        numba: SupportsIndex | None = None,
        **unknown: SupportsIndex | None,
    ) -> None:
        for name in unknown:
            raise UnknownName(
                f"limits({name}=...){did_you_mean(name, APIS)}: the names are {', '.join(APIS)}; to"
                " limit one runtime"
                " or library, pass a mapping, as in limits({'libgomp': 2})"
            )
        counts = dict(zip(APIS, (openmp, blas, tbb, arrow, numba), strict=True))
        self._rules = _main_rules(limits) + _api_rules(counts)
        self._clamped = False
        self._entered = False
        self._receipt = self._open()

    def _open(self) -> _core.Receipt:
        _arrival.watch()
        receipt = _core.Receipt(self._rules, self._clamped)
        try:
            if receipt.missed:
                warnings.warn(_report(receipt), LimitWarning, stacklevel=3)
        except BaseException:
            # Where warnings are errors, nobody else would undo what is in force already.
            receipt.close()
            raise
        return receipt

    def __enter__(self) -> limits:
        if self._entered:
            raise Error("these limits are in use by another `with`: make new ones for each")
        if not self._receipt.is_open:
            self._receipt = self._open()
        self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entered = False
        self.restore()

    def __call__(self, function: Function) -> Function:
        """Decorates: ends what was applied so far, and limits each call of the function."""
        from ._decorate import decorate

        self.restore()
        rules, clamped = self._rules, self._clamped
        return decorate(function, lambda: _opened(rules, clamped))

    def restore(self) -> int:
        """Ends the limits. Idempotent, and allowed from any thread.

        Returns how many pools are still pending: those of thread scope, if this is not the thread
        that opened the limits. They are restored at that thread's next corewise call.
        """
        return self._receipt.close()

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What each pool made of the limits, at opening or on its arrival."""
        return _outcomes(self._receipt)

    def report(self) -> str:
        """One line for each pool whose count is not the one asked for, and why; "" if none."""
        return _report(self._receipt)

    def __repr__(self) -> str:
        from ._show.text import counted

        state = "in force" if self._receipt.is_open else "restored"
        return f"<corewise.limits {state}, {counted(len(self.outcomes), 'pool')}>"


def _opened(rules: list[Rule], clamped: bool) -> limits:
    made = limits.__new__(limits)
    made._rules = rules
    made._clamped = clamped
    made._entered = False
    made._receipt = made._open()
    return made


def fitting(by_key: Limits, counts: Mapping[str, int]) -> limits:
    """Limits, and counts by API, for pools that the user did not choose: a pool that was built for
    fewer threads gets as many as it can have, where `limits` refuses the count."""
    return _opened(_main_rules(by_key) + _api_rules(counts), clamped=True)


def _outcomes(receipt: _core.Receipt) -> tuple[Outcome, ...]:
    from ._info import Outcome, info

    told = receipt.outcomes()
    pools = info()  # afterwards: a pool that another thread has just loaded is in both
    return tuple(
        Outcome(pools[pool], before, asked, effective, reason)
        for pool, before, asked, effective, reason in told
    )


def _report(receipt: _core.Receipt) -> str:
    from ._show.text import counted

    return "\n".join(
        f"{o.pool.prefix} ({o.pool.path}) has "
        f"{counted(o.effective, 'thread') if o.effective else 'an unknown number of threads'}, "
        f"not the {o.asked} asked for: {o.reason}"
        for o in _outcomes(receipt)
        if o.effective != o.asked
    )
