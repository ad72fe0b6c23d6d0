"""`corewise.joblib`: the tasks of joblib keep to a budget, on every backend.

Subclasses replace joblib's backends, under the same names, and do the same until a budget is in
force. Then they wrap each task in the limits of its share, set in the thread and process where the
task runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from functools import update_wrapper
from types import TracebackType
from typing import Any, SupportsFloat, SupportsIndex

from joblib import parallel_config
from joblib.parallel import (
    BACKENDS,
    LokyBackend,
    MultiprocessingBackend,
    ThreadingBackend,
    register_parallel_backend,
)

from ._decorate import Function, decorate
from ._errors import BadCount, Error
from ._limits import by_api
from ._numbers import whole
from ._share import Bounds, Share, at_most, bounds, current, dividing


class _Task:
    """A function with its share; pickled as numbers."""

    def __init__(self, function: Any, openmp: int, blas: int) -> None:
        update_wrapper(self, function)
        self._made_of = (function, openmp, blas)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Task, self._made_of

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function, openmp, blas = self._made_of
        register()
        with at_most(by_api(openmp, blas)), dividing(Bounds(openmp, blas, openmp * blas)):
            return function(*args, **kwargs)


class _Shared:
    """Mixin for a local backend: as many workers as the budget holds, each with its share."""

    _share: Share | None = None

    def effective_n_jobs(self, n_jobs: int) -> int:
        jobs: int = super().effective_n_jobs(n_jobs)  # type: ignore[misc]
        given = current()
        return jobs if given is None else given.divide(jobs).tasks

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        jobs: int = super().configure(n_jobs, parallel, **options)  # type: ignore[misc]
        given = current()
        self._share = None if given is None else given.divide(jobs)
        return jobs

    def submit(self, func: Any, callback: Any = None) -> Any:
        if self._share is not None:
            _, openmp, blas = self._share
            func.items = [(_Task(f, openmp, blas), args, kwargs) for f, args, kwargs in func.items]
        return super().submit(func, callback)  # type: ignore[misc]

    def get_nested_backend(self) -> tuple[Any, int | None]:
        backend, jobs = super().get_nested_backend()  # type: ignore[misc]
        if type(backend) is ThreadingBackend:
            backend = _Threading(nesting_level=backend.nesting_level)
        return backend, jobs


class _Loky(_Shared, LokyBackend):  # type: ignore[misc]
    pass


class _Threading(_Shared, ThreadingBackend):  # type: ignore[misc]
    pass


class _Multiprocessing(_Shared, MultiprocessingBackend):  # type: ignore[misc]
    pass


def _dask(**options: Any) -> Any:
    from ._joblib_dask import SharedDask

    return SharedDask(**options)


_OURS = {
    "loky": (LokyBackend, _Loky),
    "threading": (ThreadingBackend, _Threading),
    "multiprocessing": (MultiprocessingBackend, _Multiprocessing),
}


def register() -> None:
    """Registers our backends under joblib's names, unless somebody else's are there. Idempotent."""
    for name, (theirs, ours) in _OURS.items():
        if BACKENDS.get(name) is theirs:
            register_parallel_backend(name, ours)
    # Compare the module's name: importing the module imports all of Dask.
    if getattr(BACKENDS.get("dask"), "__module__", "joblib._dask") == "joblib._dask":
        register_parallel_backend("dask", _dask)


def _sharing(backend: Any) -> Any:
    """The backend of ours that does the same as one of joblib's that was made earlier."""
    kinds = dict(_OURS.values())
    ours = kinds.get(type(backend))
    if type(backend).__module__ == "joblib._dask":
        from joblib._dask import DaskDistributedBackend

        from ._joblib_dask import SharedDask

        ours = SharedDask if type(backend) is DaskDistributedBackend else None
    if ours is None:
        return backend
    made = copy(backend)
    made.__class__ = ours
    return made


@contextmanager
def sharing(own: Bounds, **config: Any) -> Iterator[Bounds]:
    """In the block, joblib's tasks divide `own`, on the backend that is set or that `config` names.
    Yields what they divide: `own` within the outer bounds."""
    register()
    with dividing(own) as given, parallel_config(**config) as settings:
        settings["backend"] = _sharing(settings["backend"])
        yield given


class joblib:
    """The tasks of joblib's `Parallel` inside one budget, for a block or around a function.

    with corewise.joblib(n_jobs=4): ...                 4 workers share the budget
    with corewise.joblib(n_jobs=-1, backend="threading", blas=1): ...
    @corewise.joblib(budget=8)                          around each call of a function

    On every backend (loky, threading, multiprocessing, dask), even where joblib itself refuses
    `inner_max_num_threads`, a `Parallel` in the block gets no more workers than the budget has
    CPUs. Each task gets its share of the budget, divided as `corewise.plan` does, as the most
    threads of its OpenMP regions, BLAS calls, oneTBB, Arrow and numba. A task that starts tasks of
    its own divides its share. Limits only lower counts, where the task runs and while it runs. With
    Dask each machine has its own budget, divided among the task threads of its workers.

    n_jobs    workers for a `Parallel` that names no number, as joblib counts them (-1: all CPUs)
    backend   backend for a `Parallel` that names none: a name, or a joblib backend
    openmp    the most OpenMP threads of each task
    blas      the most threads of each BLAS call
    budget    threads of all tasks together, and of the calling thread meanwhile; at most the CPUs
              that you may use, which is also what None means

    Applies to what the calling thread starts, like joblib's own settings. Blocks may be nested,
    where the tighter bounds count, and reused.

    Raises BadCount or BadType for an invalid count; for `backend` what joblib raises.
    """

    def __init__(
        self,
        n_jobs: SupportsIndex | None = None,
        *,
        backend: object = None,
        openmp: SupportsIndex | None = None,
        blas: SupportsIndex | None = None,
        budget: SupportsFloat | None = None,
    ) -> None:
        if n_jobs is not None and whole(n_jobs, "n_jobs", "give a whole number") == 0:
            raise BadCount("n_jobs=0: give a number of workers, or -1 for all CPUs")
        self._bounds = bounds(openmp, blas, budget)
        self._config = {
            name: value
            for name, value in (("n_jobs", n_jobs), ("backend", backend))
            if value is not None
        }
        self._open: ExitStack | None = None

    def __enter__(self) -> joblib:
        if self._open is not None:
            raise Error("this corewise.joblib is in use by another `with`: make one for each")
        with ExitStack() as stack:
            given = stack.enter_context(sharing(self._bounds, **self._config))
            stack.enter_context(at_most(given.together()))
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stack, self._open = self._open, None
        if stack is not None:
            stack.close()

    def __call__(self, function: Function) -> Function:
        """Decorates: each call of the function runs in a block of its own."""
        return decorate(function, self._unopened)

    def _unopened(self) -> joblib:
        """The same, for another block, which may begin inside one of this."""
        made = copy(self)
        made._open = None
        return made
