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


@dataclass(frozen=True)
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
    _document: str = field(repr=False, compare=False)

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
        """Applies the plan to the pools of this process, at once: a `corewise.limits`, to be used
        with `with`, as a decorator, or until its `restore()`.

        Libraries loaded later are limited too, by their API. Pools that cannot be set are named by
        its `report()`, with a LimitWarning where they may use more.
        """
        return _limits.limits(
            {limit.path: limit.threads for limit in self.limits},
            openmp=self.openmp,
            blas=self.blas,
            tbb=self.openmp,
            arrow=self.openmp,
            numba=self.openmp,
        )

    def to_json(self) -> str:
        """The document that `corewise plan --json` prints."""
        return self._document

    def __repr__(self) -> str:
        from ._table import text_table

        parts = [_headline(self), text_table(_LEVEL_HEADS, _level_rows(self), right=(1,))]
        if self.limits:
            parts.append(text_table(_LIMIT_HEADS, _limit_rows(self), right=(1,)))
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        from . import _html
        from ._pictures import plan_boxes, plan_words

        parts = [
            plan_boxes(self),
            _html.paragraph(plan_words(self) + "."),
            _html.table(_headline(self), _LEVEL_HEADS, _level_rows(self), right=(1,)),
        ]
        if self.limits:
            caption = "Limits of the pools"
            parts.append(_html.table(caption, _LIMIT_HEADS, _limit_rows(self), right=(1,)))
        return _html.page(*parts)


_LEVEL_HEADS = ("Level", "Count", "Why")
_LIMIT_HEADS = ("API", "Limit", "Why", "Pool")


def _headline(plan: Plan) -> str:
    product = f"{plan.processes} x {plan.openmp} x {plan.blas} = {plan.threads}"
    left = f", {plan.unused} left over" if plan.unused else ""
    return f"Plan for {plan.cpus:.4g} CPUs: {product} threads{left}"


def _level_rows(plan: Plan) -> list[list[str]]:
    return [[level.level, str(level.count), level.reason] for level in plan.levels]


def _limit_rows(plan: Plan) -> list[list[str]]:
    return [[limit.api, str(limit.threads), limit.reason, limit.pool] for limit in plan.limits]


def plan(
    processes: SupportsIndex | None = None,
    openmp: SupportsIndex | None = None,
    blas: SupportsIndex | None = None,
) -> Plan:
    """Divides the budget over processes x OpenMP x BLAS, for the pools that are loaded.

    `processes` is how many the program starts (None: taken as one); `openmp`, for each process, and
    `blas`, for each call, are the most threads you want. All are whole numbers from 1 to 32768, and
    upper bounds: the plan may give less, and says why. Nothing is set until `apply()`. With no pool
    loaded, a program with both OpenMP and BLAS is assumed. Safe from any thread that does not race
    with changes of `os.environ`.

    Raises BadCount (a ValueError) for a number out of range, BadType for what is none.
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
