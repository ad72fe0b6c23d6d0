"""What to do about a finding in a notebook: a magic to type, in place of the doctor's words for
programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._budget import Budget
from .._doctor import Finding, Findings
from .._info import PoolInfo
from .._numbers import count_to_set, most_that_fit


def lower_limits(pools: Iterable[tuple[str, int | None]], cpus: float) -> str:
    """`%threads` with a count for each API that has too many threads, of pools as API and threads;
    "" if none has."""
    apis = dict.fromkeys(api for api, threads in pools if (threads or 0) > most_that_fit(cpus))
    counts = " ".join(f"{api}={count_to_set(cpus)}" for api in apis)
    return f"%threads {counts}" if counts else ""


def in_notebook(found: Iterable[Finding], pools: Sequence[PoolInfo], budget: Budget) -> Findings:
    """The findings, with what to type in this notebook first where that cures them."""
    count = count_to_set(budget.cpus)
    lower = lower_limits(((pool.api, pool.threads) for pool in pools), budget.cpus)
    cures = {
        "openblas-slots": f"%threads openmp={count}",
        "openblas-spinning": "%threads blas=1",
        "above-budget": lower,
        "blas-limited-alone": f"%threads openmp={count}",
        "variable-above-budget": lower,
    }

    def cured(finding: Finding) -> Finding:
        typed = cures.get(finding.id)
        if not typed:
            return finding
        return finding._replace(remedy=f"`%govern on`, or `{typed}`", cures={})

    return Findings(map(cured, found))
