"""What `corewise.last_death()` returns: how the last process died, and what to do."""

from __future__ import annotations

import json

from . import _core
from ._doctor import Finding, Findings
from ._rich import Rich

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Death(Rich):
    """How a process that had loaded corewise died. Immutable; prints as sentences."""

    __slots__ = ("_document", "_told", "findings")

    findings: Findings  #: what happened, why, and what to do

    def __init__(self, document: str, told: dict[str, Any]) -> None:
        self._document = document
        self._told: dict[str, Any] = told["death"]
        self.findings = Findings(Finding(**finding) for finding in told["findings"])

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self._told["pid"])

    @property
    def program(self) -> str:
        """Its command line."""
        return str(self._told["program"])

    @property
    def notebook(self) -> str | None:
        """The path of the notebook whose kernel died, or that had started the process; None if
        there was none, or it is not known. Jupyter's server tells kernels their notebook."""
        path: str | None = self._told["notebook"]
        return path

    @property
    def own(self) -> bool:
        """Whether it was of the notebook that asks, or asked outside of notebooks, of its working
        directory."""
        return bool(self._told["own"])

    @property
    def headline(self) -> str:
        """Who died of what, in a sentence: "fit.ipynb died: 1,015 threads called OpenBLAS, ..."."""
        return str(self._told["headline"])

    @property
    def folder(self) -> str:
        """Its working directory."""
        return str(self._told["folder"])

    @property
    def time(self) -> int:
        """When it died, in seconds since 1970."""
        return int(self._told["time"])

    @property
    def signal(self) -> str:
        """The name of the signal: "SIGSEGV"."""
        return str(self._told["signal"])

    @property
    def threads(self) -> int:
        """How many threads it had."""
        return int(self._told["threads"])

    @property
    def governed(self) -> bool:
        """Whether it was kept inside a budget."""
        return bool(self._told["governed"])

    @property
    def stderr(self) -> str:
        """The end of its standard error, if that went to a file; else empty."""
        return str(self._told["stderr"])

    @property
    def pools(self) -> list[dict[str, Any]]:
        """Its thread pools; the keys are in docs/postmortem.md."""
        return [dict(pool) for pool in self._told["pools"]]

    def to_json(self) -> str:
        """The document that `corewise doctor --last --json` prints."""
        return self._document


def last_death() -> Death | None:
    """How a process of this user died of SIGSEGV, SIGABRT or the like after it had imported
    corewise, or under `corewise run`; None if none died so. Safe from any thread.

    In a notebook's kernel this is the last death of the same notebook, elsewhere the last in the
    working directory. If there is none, or a later process died more than an hour after it, this is
    the last death of all.
    """
    document = _core.last_death_json()
    told = json.loads(document)
    return None if told["death"] is None else Death(document, told)
