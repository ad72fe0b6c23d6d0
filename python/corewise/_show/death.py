"""How a process died: the findings first, then the process, then its last words."""

from __future__ import annotations

import time

from .._death import Death
from .._doctor import Findings
from . import findings
from .html import page, paragraph, quoted
from .text import counted, shown


def text(death: Death) -> str:
    said = _last_words(death)
    words = f"\n\nIts last words:\n{said}" if said else ""
    return f"{findings.text(_findings(death))}\n\n{_details(death)}{words}"


def html(death: Death) -> str:
    said = _last_words(death)
    words = paragraph("Its last words:") + quoted(said) if said else ""
    return page(findings.html(_findings(death)), words, paragraph(_details(death)))


def _last_words(death: Death) -> str:
    return "\n".join(shown(line) for line in death.stderr.rstrip().splitlines())


def _findings(death: Death) -> Findings:
    """The first one says what died."""
    first, *others = death.findings
    return Findings([first._replace(what=shown(death.headline)), *others])


def _details(death: Death) -> str:
    when = time.strftime("%d %B %Y, %H:%M:%S", time.localtime(death.time))
    return (
        f"Process {death.pid} ended by {death.signal} on {when}. It had"
        f" {counted(death.threads, 'thread')}: {shown(death.program)}"
    )
