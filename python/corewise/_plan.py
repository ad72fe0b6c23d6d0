"""What `corewise.plan()` returns: the budget divided over processes, OpenMP and BLAS."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import NamedTuple, SupportsIndex

from . import _core, _limits
from ._rich import Rich


@dataclass(frozen=True)
class Level:
    """One factor of the plan: processes, openmp (threads of each) or blas (threads of a call)."""

    level: str
    count: int
    reason: str


class PlannedLimit(NamedTuple):
    """What one pool gets. `path` is the library file, `pool` its name."""

    pool: str
    path: str
    api: str
    threads: int
    reason: str


@dataclass(frozen=True, repr=False)
class Plan(Rich):
    """The budget divided: `processes` x `openmp` x `blas` = `threads`, never above the budget.

    `cpus` is the budget and `floor` its whole CPUs, of which `unused` are left over. `levels` say
    why, `limits` what each loaded pool gets, and `environment` what to set for programs that start
    later, as in `subprocess.run(..., env={**os.environ, **plan.environment})`.
    """

    cpus: float
    floor: int
    threads: int
    unused: int
    levels: tuple[Level, ...]
    environment: dict[str, str]
    limits: tuple[PlannedLimit, ...]
    _document: str = field(compare=False)

    @property
    def processes(self) -> int:
        """Processes that the budget holds at once, at most as many as were asked for."""
        return self.levels[0].count

    @property
    def openmp(self) -> int:
        """OpenMP threads of each process."""
        return self.levels[1].count

    @property
    def blas(self) -> int:
        """Threads of each BLAS call."""
        return self.levels[2].count

    def apply(self) -> _limits.limits:
        """Applies the plan to the pools of this process, at once. Returns a `corewise.limits`, to
        be used with `with`, as a decorator, or until its `restore()`.

        Libraries loaded later are limited too, by their API. `report()` of the limits names pools
        that cannot be set, with a LimitWarning if they may use more.
        """
        # A library that was loaded since may have been built for fewer threads.
        return _limits.fitting(
            {limit.path: limit.threads for limit in self.limits},
            _limits.by_api(self.openmp, self.blas),
        )

    def to_json(self) -> str:
        """The document that `corewise plan --json` prints."""
        return self._document


def plan(
    processes: SupportsIndex | None = None,
    openmp: SupportsIndex | None = None,
    blas: SupportsIndex | None = None,
) -> Plan:
    """Divides the budget over processes x OpenMP x BLAS, for the pools that are loaded.

    `processes` is how many the program starts (None means one); `openmp`, for each process, and
    `blas`, for each call, are the most threads you want. All are whole numbers from 1 to 32768, and
    upper bounds: the plan may give less, and says why. Nothing is set until `apply()`. If no pool
    is loaded, the plan assumes a program with both OpenMP and BLAS. Safe from any thread, unless it
    races with changes of `os.environ`.

    Raises BadCount (a ValueError) for a number out of range, BadType for a value that is not a
    whole number.
    """
    asked = {"processes": processes, "openmp": openmp, "blas": blas}
    document = _core.plan_json(
        **{
            name: 0 if count is None else _limits._count(count, name)
            for name, count in asked.items()
        }
    )
    told = json.loads(document)
    return Plan(
        cpus=float(told["cpus"]),
        floor=told["floor"],
        threads=told["threads"],
        unused=told["unused"],
        levels=tuple(Level(**level) for level in told["levels"]),
        environment=told["environment"],
        limits=tuple(PlannedLimit(**limit) for limit in told["limits"]),
        _document=document,
    )
