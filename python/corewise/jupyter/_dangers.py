"""Warns of what would kill the kernel: the page shows nothing that a dead kernel wrote."""

from __future__ import annotations

from .._budget import budget
from .._doctor import doctor
from .._govern import govern_report
from .._info import info
from ._cures import in_notebook

# Governing serves OpenBLAS's callers from other memory, and lets fewer in.
_CURED = "openblas-slots"


class Dangers:
    """The doctor's dangers, each said once; and that OpenBLAS has too few slots, in any case."""

    def __init__(self) -> None:
        self._pools: tuple[tuple[int, int | None], ...] = ()
        self._said: set[str] = set()

    def news(self) -> list[str]:
        """Sentences about dangers that are new. Microseconds while the pools are as before."""
        pools = info()
        counts = tuple((pool.id, pool.threads) for pool in pools)
        if counts == self._pools:
            return []
        self._pools = counts
        found = [each for each in doctor() if each.severity == "danger" or each.id == _CURED]
        if any(finding.id == _CURED for finding in found) and govern_report()["governed"]:
            found = [finding for finding in found if finding.id != _CURED]
        sentences = []
        for finding in in_notebook(found, pools, budget()) if found else ():
            if finding.what not in self._said:
                self._said.add(finding.what)
                cure = finding.cure().replace("`", "")
                sentences.append(f"{finding.severity}: {finding.what}. What to do: {cure}")
        return sentences
