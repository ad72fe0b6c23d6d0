"""joblib's Dask backend, where each task gets its share of the machine that it lands on."""

from __future__ import annotations

from collections import Counter
from functools import wraps
from typing import Any

from joblib._dask import DaskDistributedBackend

from ._errors import Error
from ._share import Bounds, current


def _tasks_beside(client: Any) -> int:
    """The most tasks that the workers of one machine run at a time."""
    hosts: Counter[str] = Counter()
    told = client.scheduler_info(n_workers=-1)
    if "workers" not in told:
        raise Error("the Dask client of this block is closed: make a new one, then the block")
    for worker in told["workers"].values():
        hosts[worker["host"]] += worker["nthreads"]
    return max(hosts.values(), default=1)


def _task(function: Any, given: Bounds, beside: int) -> Any:
    """Wraps the function in its limits. A closure travels as code, so a worker without corewise can
    read it, and runs the function as it is."""
    openmp, blas, budget = given

    @wraps(function)
    def task(*args: Any, **kwargs: Any) -> Any:
        try:
            from corewise._limits import by_api
            from corewise._share import Bounds, at_most, dividing
        except ImportError:
            from distributed import get_worker
            from distributed.worker import warn

            worker: Any = get_worker()
            if not getattr(worker, "_corewise_missing", False):
                worker._corewise_missing = True
                warn(
                    f"Dask worker {worker.address} has no corewise: its tasks run without limits. "
                    "Install corewise where the worker runs."
                )
            return function(*args, **kwargs)
        _, openmp_share, blas_share = Bounds(openmp, blas, budget).divide(beside)
        whole = Bounds(openmp_share, blas_share, openmp_share * blas_share)
        with at_most(by_api(openmp_share, blas_share)), dividing(whole):
            return function(*args, **kwargs)

    return task


class SharedDask(DaskDistributedBackend):  # type: ignore[misc]
    """Does the same until a budget is in force. The cluster decides how many tasks run at once."""

    _given: Bounds | None = None
    _beside = 1

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        self._given = current()
        if self._given is not None:
            self._beside = _tasks_beside(self.client)
        jobs: int = super().configure(n_jobs, parallel, **options)
        return jobs

    def submit(self, func: Any, callback: Any = None) -> Any:
        if self._given is not None:
            # Wrap each function once: joblib names the batch by it.
            limited = {id(f): _task(f, self._given, self._beside) for f, _, _ in func.items}
            func.items = [(limited[id(f)], args, kwargs) for f, args, kwargs in func.items]
        return super().submit(func, callback)
