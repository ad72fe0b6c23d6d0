"""Processes that the kernel started and that have its thread pools too: what multiplies threads."""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

from .._control import control
from .._errors import Error
from .._show.text import counted

_MOST = 64  # processes that are asked
_PATIENCE = 0.2  # seconds for each
_CALLED = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS"}


class Workers(NamedTuple):
    """So many processes, each with a pool of so many threads."""

    processes: int
    library: str
    each: int
    api: str

    @property
    def threads(self) -> int:
        return self.processes * self.each

    def product(self, cpus: str) -> str:
        """The cause, as a product."""
        return (
            f"{self.processes} processes \N{MULTIPLICATION SIGN} "
            f"{counted(self.each, f'{self.library} thread')} = {self.threads} threads for {cpus}"
        )

    def cure(self, cpus: int) -> str:
        """What to type: workers that are forked later begin with the kernel's limits."""
        return (
            "`%govern on`, or "
            f"`%threads {self.api}={max(1, cpus // self.processes)}`, before the workers start"
        )


def workers() -> Workers | None:
    """The processes that this one started and that tell what pools they have, if there are two or
    more and the largest pool is the same in all of them; else None."""
    largest = [pool for pid in _children()[:_MOST] if (pool := _largest_pool(pid))]
    alike = {(pool["api"], pool["runtime"], pool["allowed"]) for pool in largest}
    if len(largest) < 2 or len(alike) != 1:
        return None
    ((api, runtime, threads),) = alike
    library = "OpenMP" if api == "openmp" else _CALLED.get(runtime, runtime)
    return Workers(len(largest), library, threads, api)


def _largest_pool(pid: int) -> dict[str, Any] | None:
    try:
        pools = control(pid, {"request": "sample"}, timeout=_PATIENCE)["pools"]
    except (Error, OSError):  # it has no control socket, does not answer, or ended
        return None
    known = [pool for pool in pools if pool["allowed"]]
    return max(known, key=lambda pool: int(pool["allowed"]), default=None)


def _children() -> list[int]:
    """The children of all threads of this process."""
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):
        # The thread may have ended, or the kernel list no children.
        with (
            contextlib.suppress(OSError),
            open(f"/proc/self/task/{task}/children", encoding="ascii") as file,
        ):
            found += map(int, file.read().split())
    return found
