"""How a process died: the findings first, then the process, then its last words."""

from __future__ import annotations

import time

from .._death import Death
from .._doctor import Findings
from . import findings
from .html import page, paragraph
from .text import counted, shown


def text(death: Death) -> str:
    said = "\n".join(shown(line) for line in death.stderr.rstrip().splitlines())
    words = f"\n\nIts last words:\n{said}" if said else ""
    return f"{findings.text(_findings(death))}\n\n{_details(death)}{words}"


def html(death: Death) -> str:
    words = paragraph(f"Its last words: {death.stderr}") if death.stderr else ""
    return page(findings.html(_findings(death)), words, paragraph(_details(death)))


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
