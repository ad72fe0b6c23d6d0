"""What corewise.dask.Plugin does on a worker that has corewise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import Any

from . import _share
from ._govern import govern, govern_report, ungovern
from ._limits import by_api, fitting

_NUMBERS: dict[str, Callable[[dict[str, Any]], float]] = {
    "budget": lambda report: report["budget"],
    "regions": lambda report: report["regions"] + report["calls"],
    "wanted": lambda report: report["granted"] + report["withheld"],
    "granted": lambda report: report["granted"],
    "not_needed_s": lambda report: report["not_needed_s"],
}


def _metrics() -> dict[str, Callable[[object], object]]:
    """Metrics by name. Dask calls each with the worker, at each heartbeat."""

    def of(number: Callable[[dict[str, Any]], float]) -> Callable[[object], object]:
        return lambda _: number(govern_report())

    return {
        "corewise": lambda _: "governed" if govern_report()["governed"] else "no: ungoverned",
        **{f"corewise_{name}": of(number) for name, number in _NUMBERS.items()},
    }


def begin(
    worker: Any, openmp: int | None, blas: int | None, budget: int | None
) -> Callable[[], None]:
    """Governs the worker and limits its tasks. Returns a function that undoes both. A failure
    leaves nothing behind."""
    with ExitStack() as undo:
        govern(budget)
        undo.callback(ungovern)
        whole = govern_report()["budget"]
        bounds = by_api(openmp or whole, blas or whole)
        executor = worker.executors["default"]
        submit = executor.submit

        def limited(function: Any, /, *args: Any, **kwargs: Any) -> Any:
            # The machine may have more CPUs than a library was built for.
            with fitting(None, bounds):
                return function(*args, **kwargs)

        def submit_limited(function: Any, /, *args: Any, **kwargs: Any) -> Any:
            return submit(limited, function, *args, **kwargs)

        metrics = _metrics()
        undo.callback(_forget, worker, metrics)
        worker.metrics.update(metrics)
        undo.callback(setattr, _share, "of_process", _share.of_process)
        _share.of_process = _share.Bounds(openmp, blas, max(1, whole // worker.state.nthreads))
        undo.callback(setattr, executor, "submit", submit)
        executor.submit = submit_limited
        with suppress(ImportError):
            from ._joblib import register

            register()
        return undo.pop_all().close


def _forget(worker: Any, metrics: Iterable[str]) -> None:
    for name in metrics:
        worker.metrics.pop(name, None)
