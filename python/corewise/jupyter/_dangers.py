"""What would kill the kernel, said before: a page shows nothing of what a dead one wrote."""

from __future__ import annotations

from .._doctor import doctor
from .._govern import govern_report
from .._info import info

# Governing serves OpenBLAS's callers from other memory, and lets fewer in.
_CURED = "openblas-slots"


class Dangers:
    """The doctor's dangers, each said once."""

    def __init__(self) -> None:
        self._pools: tuple[tuple[int, int | None], ...] = ()
        self._said: set[str] = set()

    def news(self) -> list[str]:
        """Sentences about dangers that are new. Microseconds while the pools are as before."""
        pools = tuple((pool.id, pool.threads) for pool in info())
        if pools == self._pools:
            return []
        self._pools = pools
        found = [finding for finding in doctor() if finding.severity == "danger"]
        if any(finding.id == _CURED for finding in found) and govern_report()["governed"]:
            found = [finding for finding in found if finding.id != _CURED]
        sentences = []
        for finding in found:
            if finding.what not in self._said:
                self._said.add(finding.what)
                cure = "; or %govern on" if finding.id == _CURED else ""
                sentences.append(f"danger: {finding.what}. What to do: {finding.remedy}{cure}")
        return sentences
