"""What `%threads` shows: a verdict, one picture, what to do; and folded below it the pools, what is
wrong, and the CPUs that are ours."""

from __future__ import annotations

from .._budget import Budget, budget
from .._doctor import Finding, Findings, doctor
from .._info import Info, info
from .._numbers import count_to_set, most_that_fit
from .._rich import Rich
from .._show import html
from .._show import pools as pool_table
from .._show.pictures import pools_bar, pools_key, pools_line
from .._show.text import counted
from ._cures import in_notebook, lower_limits
from ._workers import workers


class Overview(Rich):
    """Shows the moment at which it was made. `settings`: sentences about what this notebook limits;
    `governed`: the budget that it is governed with, None if it is not."""

    def __init__(self, settings: str, governed: float | None) -> None:
        self._settings = settings
        self._governed = governed
        self._pools: Info = info()
        self._budget: Budget = budget()
        self._cpus = most_that_fit(self._budget.cpus)
        self._findings: Findings = in_notebook(doctor(), self._pools, self._budget)
        self._workers = workers()
        names = pool_table.pool_names([(pool.runtime, pool.path) for pool in self._pools])
        self._rows = [
            (pool.api, name, pool.threads)
            for pool, name in zip(self._pools, names, strict=True)
            if pool.threads
        ]

    def verdict(self) -> str:  # noqa: PLR0911 (a sentence each)
        """A sentence that sums up everything."""
        cpus = counted(self._budget.cpus, "CPU")
        worst = self._worst()
        if worst is not None and worst.severity == "danger":
            return f"Danger: {worst.what}."
        if self._governed is not None:
            budget = counted(self._governed, "thread")
            return (
                f"Governed: corewise shares a budget of {budget}, on {cpus}. "
                "OpenMP teams that it must not cut may be larger."
            )
        if self._workers is not None and self._workers.threads > self._cpus:
            return f"Too many threads: {self._workers.product(cpus)}."
        above = [
            f"{name} may use {threads}" for _, name, threads in self._rows if threads > self._cpus
        ]
        if above:
            return f"Too many threads: {_joined(above)}, and you have {cpus}."
        if not self._rows:
            return (
                f"No thread pool is loaded yet. You have {cpus}. Import NumPy, SciPy or "
                "scikit-learn, then type %threads again."
            )
        if worst is not None and worst.severity == "warning":
            return f"Each pool alone fits your {cpus}, but {worst.what}."
        total = sum(threads for _, _, threads in self._rows)
        if total > self._cpus:
            return f"Each pool alone fits your {cpus}; together they may run {total} threads."
        return f"All fits: all pools together may run no more threads than your {cpus}."

    def cure(self) -> str:
        """What to type; "" where there is nothing to do."""
        worst = self._worst()
        if self._workers is not None and self._workers.threads > self._cpus:
            count = count_to_set(self._budget.cpus)
            return "" if self._governed is not None else self._workers.cure(count)
        if worst is not None and worst.severity == "danger":
            return worst.cure()
        if self._governed is not None:
            return ""
        pools = ((api, threads) for api, _, threads in self._rows)
        if lower := lower_limits(pools, self._budget.cpus):
            return f"`%govern on`, or `{lower}`"
        return worst.cure() if worst is not None and worst.severity == "warning" else ""

    def _worst(self) -> Finding | None:
        return self._findings[0] if self._findings else None

    def __repr__(self) -> str:
        cure = self.cure().replace("`", "")
        lines = [
            self.verdict(),
            *([pools_line(self._rows, self._cpus, self._governed)] if self._rows else []),
            *([f"What to do: {cure}."] if cure else []),
            self._settings,
        ]
        parts = [self._pools, self._findings, self._budget]
        return "\n\n".join(["\n".join(lines), *map(repr, parts)])

    def _repr_html_(self) -> str:
        top = [html.verdict(self.verdict())]
        if self._rows:
            drawn = (self._rows, self._cpus, self._governed)
            top += [pools_bar(*drawn), pools_key(*drawn)]
        if cure := self.cure():
            top.append(html.paragraph(f"What to do: {cure}."))
        top.append(html.paragraph(self._settings))
        count = len(self._pools)
        cpus = counted(self._budget.cpus, "CPU")
        come = "comes" if self._budget.cpus == 1 else "come"
        # A governed pool may be larger than the CPUs: what runs at a time is not.
        beside = self._cpus if self._governed is None else 0
        tables = [
            (counted(count, "thread pool"), pool_table.html(self._pools, beside)),
            (_tally(self._findings), self._findings._repr_html_()),
            (f"Where the {cpus} {come} from", self._budget._repr_html_()),
        ]
        return html.page(*top, *(html.folded(*each) for each in tables))


def _joined(parts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def _tally(findings: Findings) -> str:
    """ "1 danger, 2 warnings" """
    kinds = [finding.severity for finding in findings]
    counts = [(kind, kinds.count(kind)) for kind in dict.fromkeys(kinds)]
    said = ", ".join(counted(count, kind) for kind, count in counts)
    return f"What is wrong: {said}" if said else "Nothing is wrong"
