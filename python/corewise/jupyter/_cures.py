"""What to do about a finding in a notebook: a magic to type, in place of the doctor's words for
programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._budget import Budget
from .._doctor import Finding, Findings
from .._info import PoolInfo


def limits_to(pools: Iterable[tuple[str, int | None]], most: int, count: int) -> str:
    """`%threads` with that count for each API that has more threads than `most`, of pools as API
    and threads; "" if none has."""
    apis = dict.fromkeys(api for api, threads in pools if (threads or 0) > most)
    return f"%threads {' '.join(f'{api}={count}' for api in apis)}" if apis else ""


def in_notebook(found: Iterable[Finding], pools: Sequence[PoolInfo], budget: Budget) -> Findings:
    """The findings, with what to type in this notebook first where that cures them. Counts are
    those that the doctor advises: of 1.5 CPUs, 2 threads can use all, but wait for one another."""
    cpus = budget.floor
    lower = limits_to(((pool.api, pool.threads) for pool in pools), budget.ceil, cpus)
    cures = {
        "openblas-slots": f"%threads openmp={cpus}",
        "openblas-spinning": "%threads blas=1",
        "above-budget": lower,
        "blas-limited-alone": f"%threads openmp={cpus}",
        "variable-above-budget": lower,
    }

    def cured(finding: Finding) -> Finding:
        typed = cures.get(finding.id)
        if not typed:
            return finding
        return finding._replace(remedy=f"`%govern on`, or `{typed}`", cures={})

    return Findings(map(cured, found))
