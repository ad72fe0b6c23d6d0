"""What `corewise.doctor()` returns: what is wrong, why, and what to do."""

from __future__ import annotations

import json
from typing import NamedTuple

from . import _core
from ._rich import Rich


class Finding(NamedTuple):
    """Something the doctor has to say. Each `id` has a line in docs/doctor.md."""

    id: str  #: stable: "openblas-slots"
    severity: str  #: danger, warning or note
    what: str  #: what is wrong, in a sentence
    why: str  #: how it comes and what it costs
    remedy: str  #: what to do


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
    heads = (finding.severity, finding.what), ("  why", finding.why), ("  do", finding.remedy)
    return "\n".join(head.ljust(indent) + folded(text, width, indent) for head, text in heads)


def _paragraph(finding: Finding) -> str:
    from ._html import words

    what, why, remedy = map(words, finding[2:])
    said = f"<strong>{finding.severity}: {what}</strong><br/>Why: {why}<br/>What to do: {remedy}"
    return f"<p>{said}</p>"


def doctor() -> Findings:
    """What is wrong with the thread pools of this process, most severe first.

    Looks at the pools that are loaded, their counts as the calling thread sees them, the budget,
    the environment, and whether the process was forked while OpenMP was in use. Import your
    libraries before. Takes a millisecond or two. Safe from any thread that does not race with
    changes of `os.environ`.
    """
    told = json.loads(_core.doctor_json())
    return Findings(Finding(**finding) for finding in told["findings"])
