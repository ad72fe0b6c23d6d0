"""What `corewise.budget()` returns: the CPUs that we may use, and what bounds them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import NamedTuple, SupportsFloat

from . import _core
from ._numbers import real
from ._rich import Rich


class Constraint(NamedTuple):
    """One bound of the budget, and where it was read (docs/budget.md)."""

    #: machine, affinity, cpuset, quota, slurm, mpi, lsf, pbs, sge, condor, kubernetes, user...
    source: str
    where: str  #: the file or variable; "argument"
    cpus: float  #: the most CPUs that it allows
    binding: bool  #: without it the budget might be larger
    detail: str  #: what was read there; "" if that adds nothing


class Topology(NamedTuple):
    """The allowed CPUs by kind. 0: the machine does not tell."""

    cpus: int  #: allowed CPUs
    cores: int  #: physical cores with at least one allowed CPU
    threads_per_core: int  #: the most allowed CPUs that share a core
    packages: int  #: sockets
    numa_nodes: int  #: nodes of memory that have an allowed CPU
    performance_cpus: int  #: the faster ones; 0 when all CPUs are of one kind
    efficiency_cpus: int  #: the slower ones; 0 when all CPUs are of one kind


@dataclass(frozen=True, repr=False)
class Budget(Rich):
    """How many CPUs this process may use, at one moment.

    `cpus` may be a fraction under a quota. `floor`, at least 1, is how many threads never wait for
    one another; `ceil` is how many can use all of it. `allowed` lists CPUs as the kernel does
    (0-3,8). `findings` are sentences about what was left out because corewise could not understand
    it.
    """

    cpus: float
    floor: int
    ceil: int
    allowed: str
    topology: Topology
    constraints: tuple[Constraint, ...]
    findings: tuple[str, ...]
    _document: str = field(compare=False)

    def to_json(self) -> str:
        """The document that `corewise budget --json` prints."""
        return self._document


def _cpus(cap: SupportsFloat | None) -> float | None:
    return None if cap is None else real(cap, "cap", "give a number of CPUs")


def budget(cap: SupportsFloat | None = None) -> Budget:
    """The CPUs that this process may use now, with the provenance of every constraint.

    The least of the CPUs of the machine, of the main thread's affinity and cpuset, of the quota of
    every ancestor cgroup, of what a scheduler granted, and of `cap`, your own upper bound: above 0,
    at most the machine, fractions allowed. Reads the machine anew at each call, in less than a
    millisecond, so a changed quota or affinity shows. Safe from any thread, unless it races with
    changes of `os.environ`.

    Raises BadValue (a ValueError) for an invalid cap, BadType for one that is not a number.
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
