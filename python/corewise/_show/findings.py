"""Findings: what is wrong, why, and what to do here."""

from __future__ import annotations

import shutil

from .._doctor import Finding, Findings
from .html import page, paragraph, words
from .text import folded

_NOTHING = "nothing wrong with the thread pools of this process"


def text(findings: Findings) -> str:
    """Each as three sentences under one another."""
    return "\n\n".join(map(_sentences, findings)) or _NOTHING


def html(findings: Findings) -> str:
    """Each as a paragraph."""
    return page(*map(_paragraph, findings)) if findings else page(paragraph(_NOTHING))


def _sentences(finding: Finding) -> str:
    indent = 9
    width = shutil.get_terminal_size((80, 24)).columns - indent
    heads = (finding.severity, finding.what), ("  why", finding.why), ("  do", finding.cure())
    return "\n".join(head.ljust(indent) + folded(text, width, indent) for head, text in heads)


def _paragraph(finding: Finding) -> str:
    what, why, cure = map(words, (finding.what, finding.why, finding.cure()))
    said = f"<strong>{finding.severity}: {what}</strong><br/>Why: {why}<br/>What to do: {cure}"
    return f"<p>{said}</p>"
