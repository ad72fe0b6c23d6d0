"""How the kernel before this one died: of this notebook, and not of its neighbours."""

from __future__ import annotations

import os
import time

from .._death import Death, last_death
from .._show.text import shown

_HOUR = 3600.0
_JUST_NOW = 300.0


def of_the_kernel_before() -> str:
    """A sentence if this notebook died within the hour; else ""."""
    death = _death_within(_HOUR)
    if death is None:
        return ""
    return f"{_ago(time.time() - death.time)} ago {shown(death.headline)}. See %threads why"


def just_died() -> JustDied:
    """For JupyterLab's status item, when this kernel came after one that died."""
    return JustDied(_death_within(_JUST_NOW))


class JustDied:
    """The death as the status item reads it; nothing else shows it."""

    def __init__(self, death: Death | None) -> None:
        self._death = death

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        if self._death is None:
            return {"text/plain": "this notebook did not die"}
        findings = [
            {"what": finding.what, "why": finding.why, "remedy": finding.cure()}
            for finding in self._death.findings
        ]
        report = f"{self._death.pid} {self._death.time}"
        told = {"report": report, "headline": self._death.headline, "findings": findings}
        return {"text/plain": self._death.headline, "application/json": told}


def _death_within(seconds: float) -> Death | None:
    death = last_death()
    if death is None or death.pid == os.getpid() or not death.own:
        return None
    return death if time.time() - death.time < seconds else None


def _ago(seconds: float) -> str:
    minutes = int(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return "a minute" if minutes == 1 else f"{minutes} minutes"
