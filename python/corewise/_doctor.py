"""What `corewise.doctor()` returns: what is wrong, why, and what to do."""

from __future__ import annotations

import json
import sys
from typing import NamedTuple

from . import _core
from ._rich import Rich


class Finding(NamedTuple):
    """Something the doctor has to say. Each `id` has a line in docs/doctor.md."""

    id: str  #: stable: "openblas-slots"
    severity: str  #: danger, warning or note
    what: str  #: what is wrong, in a sentence
    why: str  #: how it comes about and what it costs
    remedy: str  #: what to do, for a reader in any place
    #: The remedy as it is typed in one place: `shell`, `notebook`, `python`. For a place that is
    #: missing here, `remedy` applies.
    cures: dict[str, str] = {}  # noqa: RUF012 (as JSON has it; a named tuple's default)
    pools: list[str] = []  #: paths of the pools that it is about  # noqa: RUF012

    def cure(self) -> str:
        """What to do here: in a notebook the magic, else the function."""
        here = _place()
        if here not in self.cures:
            return self.remedy
        later = here == "notebook" and not _has_magics()
        return ("%load_ext corewise, then " if later else "") + self.cures[here]


class Findings(Rich, tuple[Finding, ...]):
    """An immutable sequence of Finding, most severe first, that prints as sentences and in
    notebooks as paragraphs. Empty, and so false, if nothing is wrong."""

    __slots__ = ()

    def to_json(self) -> str:
        """The document that `corewise doctor --json` prints."""
        findings = [finding._asdict() for finding in self]
        return json.dumps({"schema_version": 1, "findings": findings}, separators=(",", ":"))


def _place() -> str:
    """Where the reader types; IPython in a terminal is not a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return "notebook" if shell is not None and hasattr(shell, "kernel") else "python"


def _has_magics() -> bool:
    jupyter = sys.modules.get("corewise.jupyter")
    return jupyter is not None and jupyter.loaded() is not None


def doctor() -> Findings:
    """What is wrong with the thread pools of this process, most severe first.

    Looks at the loaded pools, their counts as the calling thread sees them, the budget, the
    environment, and whether the process was forked while OpenMP was in use. Import your libraries
    first. Takes a millisecond or two. Safe from any thread, unless it races with changes of
    `os.environ`.
    """
    told = json.loads(_core.doctor_json())
    return Findings(Finding(**finding) for finding in told["findings"])
