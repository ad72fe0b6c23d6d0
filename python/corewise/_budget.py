"""What `corewise.budget()` returns: the CPUs that are really ours, and who says so."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import NamedTuple, SupportsFloat

from . import _core
from ._errors import BadType, BadValue
from ._rich import Rich


class Constraint(NamedTuple):
    """Something that bounds the budget, and where that was read (docs/budget.md)."""

    #: machine, affinity, cpuset, quota, slurm, mpi, lsf, pbs, sge, kubernetes, loky, user...
    source: str
    where: str  #: the file or variable; "argument"
    cpus: float  #: the most CPUs that it allows
    binding: bool  #: without it the budget might be larger
    detail: str  #: what was read there; "" where that says no more


class Topology(NamedTuple):
    """The allowed CPUs by kind. 0: the machine does not tell."""

    cpus: int  #: allowed CPUs
    cores: int  #: physical cores with at least one allowed CPU
    threads_per_core: int  #: the most allowed CPUs that share a core
    packages: int  #: sockets
    numa_nodes: int  #: nodes of memory that have an allowed CPU
    performance_cpus: int  #: the faster ones; 0 when all CPUs are of one kind
    efficiency_cpus: int  #: the slower ones; 0 when all CPUs are of one kind


@dataclass(frozen=True)
class Budget(Rich):
    """How many CPUs this process may really use, at one moment.

    `cpus` is a fraction where a quota is. `floor`, at least 1, is how many threads never wait for
    one another; `ceil` how many can use all of it. `allowed` lists CPUs as the kernel does (0-3,8).
    `findings` are sentences about what was left out because it could not be understood.
    """

    cpus: float
    floor: int
    ceil: int
    allowed: str
    topology: Topology
    constraints: tuple[Constraint, ...]
    findings: tuple[str, ...]
    _document: str = field(repr=False, compare=False)

    def to_json(self) -> str:
        """The document that `corewise budget --json` prints."""
        return self._document

    def __repr__(self) -> str:
        from ._table import text_table

        rows = [["*" if c.binding else "", *_cells(c)] for c in self.constraints]
        table = text_table(["", "Source", "CPUs", "Where"], rows, right=(2,))
        return "\n".join([_headline(self), table, *self.findings])

    def _repr_html_(self) -> str:
        from . import _html
        from ._pictures import budget_cells, budget_words

        rows = [[*_cells(c), "yes" if c.binding else ""] for c in self.constraints]
        heads = ["Source", "CPUs", "Where", "Binding"]
        return _html.page(
            budget_cells(self),
            _html.paragraph(budget_words(self) + "."),
            _html.table(_headline(self), heads, rows, right=(1,)),
            *map(_html.paragraph, self.findings),
        )


def _headline(budget: Budget) -> str:
    unit = "CPU" if budget.cpus == 1 else "CPUs"
    return f"Budget: {budget.cpus:.4g} {unit} (floor {budget.floor}, ceil {budget.ceil})"


def _cells(constraint: Constraint) -> list[str]:
    detail = f": {constraint.detail}" if constraint.detail else ""
    return [constraint.source, f"{constraint.cpus:.4g}", constraint.where + detail]


def _cpus(cap: SupportsFloat | None) -> float | None:
    if cap is None:
        return None
    if isinstance(cap, bool) or not (hasattr(cap, "__float__") or hasattr(cap, "__index__")):
        raise BadType(f"cap={cap!r} is a {type(cap).__name__}: give a number of CPUs")
    try:
        return float(cap)
    except OverflowError:
        raise BadValue(f"cap={cap!r} is above any machine: give a number of CPUs") from None


def budget(cap: SupportsFloat | None = None) -> Budget:
    """The CPUs that this process may really use now, with the provenance of every constraint.

    The least of the CPUs of the machine, of the main thread's affinity and cpuset, of the quota of
    every ancestor cgroup, of what a scheduler granted, and of `cap`, your own upper bound: above 0,
    at most the machine, fractions allowed. The machine is read anew at each call, in less than a
    millisecond, so that a changed quota or affinity shows. Safe from any thread that does not race
    with changes of `os.environ`.

    Raises BadValue (a ValueError) for a cap that makes no sense, BadType for one that is no number.
    """
    document = _core.budget_json(_cpus(cap))
    told = json.loads(document)
    return Budget(
        cpus=float(told["cpus"]),
        floor=told["floor"],
        ceil=told["ceil"],
        allowed=told["allowed"],
        topology=Topology(**told["topology"]),
        constraints=tuple(
            Constraint(**{**constraint, "cpus": float(constraint["cpus"])})
            for constraint in told["constraints"]
        ),
        findings=tuple(told["findings"]),
        _document=document,
    )
