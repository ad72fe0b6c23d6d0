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
    why: str  #: how it comes and what it costs
    remedy: str  #: what to do, for a reader in any place
    #: The remedy as it is typed in one place: `shell`, `notebook`, `python`. A place that is not
    #: there has `remedy`.
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
    notebooks as paragraphs. Empty, and so false, where nothing is wrong."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self:
            return "nothing wrong with the thread pools of this process"
        return "\n\n".join(_sentences(finding) for finding in self)

    def _repr_html_(self) -> str:
        from . import _html

        if not self:
            return _html.page(_html.paragraph(repr(self)))
        return _html.page(*map(_paragraph, self))

    def to_json(self) -> str:
        """The document that `corewise doctor --json` prints."""
        findings = [finding._asdict() for finding in self]
        return json.dumps({"schema_version": 1, "findings": findings}, separators=(",", ":"))


def _sentences(finding: Finding) -> str:
    import shutil

    from ._table import folded

    indent = 9
    width = shutil.get_terminal_size((80, 24)).columns - indent
    heads = (finding.severity, finding.what), ("  why", finding.why), ("  do", finding.cure())
    return "\n".join(head.ljust(indent) + folded(text, width, indent) for head, text in heads)


def _paragraph(finding: Finding) -> str:
    from ._html import words

    what, why, cure = map(words, (finding.what, finding.why, finding.cure()))
    said = f"<strong>{finding.severity}: {what}</strong><br/>Why: {why}<br/>What to do: {cure}"
    return f"<p>{said}</p>"


def _place() -> str:
    """Where the reader types; IPython in a terminal is no notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return "notebook" if shell is not None and hasattr(shell, "kernel") else "python"


def _has_magics() -> bool:
    jupyter = sys.modules.get("corewise.jupyter")
    return jupyter is not None and jupyter.loaded() is not None


def doctor() -> Findings:
    """What is wrong with the thread pools of this process, most severe first.

    Looks at the pools that are loaded, their counts as the calling thread sees them, the budget,
    the environment, and whether the process was forked while OpenMP was in use. Import your
    libraries before. Takes a millisecond or two. Safe from any thread that does not race with
    changes of `os.environ`.
    """
    told = json.loads(_core.doctor_json())
    return Findings(Finding(**finding) for finding in told["findings"])
