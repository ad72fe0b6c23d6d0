"""A budget on every Dask worker: needs dask.distributed here, and corewise on the workers.

import corewise.dask
client.register_plugin(corewise.dask.Plugin(blas=1))
"""

from __future__ import annotations

import logging
import pickle
import sys
from collections.abc import Callable
from typing import Any, SupportsFloat, SupportsIndex

import cloudpickle
from distributed import WorkerPlugin

__all__ = ["Plugin"]

# The plugin travels as code, not as a name, so that a worker without corewise can read it and say
# what it lacks. So what runs there imports what it needs inside its functions.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Plugin(WorkerPlugin):
    """Governs each worker, and gives each task its counts in the thread that runs it.

    client.register_plugin(corewise.dask.Plugin())            each machine's budget is shared by all
                                                              tasks of its workers, as they need it
    client.register_plugin(corewise.dask.Plugin(openmp=2, blas=1))

    The workers of one machine, and all other governed processes of the user there, share one
    ledger: a BLAS call gets what is free when it starts (docs/govern.md). Each task begins with
    counts of the whole budget, or those given here, instead of the 1 that Dask's nanny sets for
    every library. Workers that start or restart later are set up as they start; removing the plugin
    undoes it. loky inside a task divides that task's share.

    openmp    the most threads of an OpenMP region of a task
    blas      the most threads of a BLAS call; one count for all tasks of a worker
    budget    threads that may run at a time on a machine; None: the CPUs that the
              worker may use

    Each worker publishes numbers in its metrics, and so on the dashboard's page of workers:
    `corewise_budget`, `corewise_regions`, `corewise_wanted`, `corewise_granted` (threads, of all
    regions and calls so far) and `corewise_not_needed_s`. `corewise` says whether the worker is
    governed.

    Raises BadCount or BadType for an invalid count. Registering raises RuntimeError, which names
    the worker, if a worker has no corewise or cannot be governed. The other workers are set up;
    tasks of that one run without limits, and the first of them warns the client.
    """

    name = "corewise"

    def __init__(
        self,
        *,
        openmp: SupportsIndex | None = None,
        blas: SupportsIndex | None = None,
        budget: SupportsFloat | None = None,
    ) -> None:
        from corewise._share import bounds

        self._asked = tuple(bounds(openmp, blas, budget))
        self._undo: list[Callable[[], object]] = []

    def setup(self, worker: Any) -> None:
        """Called by Dask on each worker."""
        try:
            from corewise import _dask_worker
        except ImportError:
            self._refuse(worker, "has no corewise", "install corewise where it runs")
        try:
            self._undo.append(_dask_worker.begin(worker, *self._asked))
        except Exception as error:
            self._refuse(worker, f"is not governed: {str(error).rstrip('.')}", "see docs/govern.md")

    def teardown(self, worker: Any) -> None:
        """Called by Dask when the worker closes or the plugin is removed."""
        while self._undo:
            self._undo.pop()()

    def _refuse(self, worker: Any, why: str, remedy: str) -> None:
        said = f"Dask worker {worker.address} {why}: its tasks run without limits; {remedy}"
        logging.getLogger("distributed.worker").error(said)
        worker.metrics["corewise"] = lambda _: f"no: {why}"
        executor = worker.executors["default"]
        submit = executor.submit

        def say_once(*task: Any, **options: Any) -> Any:
            executor.submit = submit
            # As distributed.warn does, but only the task itself can call that.
            parts = {"message": said, "category": UserWarning}
            worker.log_event("warn", {name: pickle.dumps(part) for name, part in parts.items()})
            return submit(*task, **options)

        executor.submit = say_once
        raise RuntimeError(said)
