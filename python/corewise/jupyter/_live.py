"""`%threads live`: what the threads of each pool do now, once a second, as an anywidget.

The numbers are `corewise.sample()`'s, taken and sent by a thread of its own, so that they come also
while a cell runs. What the page sends back waits for the end of that cell; so the page cannot
steer, and only says from time to time that it is looked at.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from .._control import sample
from .._table import short_name

_PERIOD = 1.0  # seconds
_SLOW_PERIOD = 10.0  # while a cell runs, and nobody was heard of for long
_LONG = 600.0
_PATIENCE = 30.0  # seconds without a word, between cells, after which nobody looks


class Live(anywidget.AnyWidget):
    """Samples while somebody looks: not in a hidden page, and not long after a page was closed."""

    _esm = Path(__file__).with_name("live.js")
    now = traitlets.Dict().tag(sync=True)  # the latest sample, shortened
    looks = traitlets.Int(0).tag(sync=True)  # counted up by a page that is visible
    hidden = traitlets.Bool(False).tag(sync=True)

    def __init__(self, shell: Any) -> None:
        super().__init__(now=_short(sample()))
        self._heard = time.monotonic()
        self._busy = False
        self._ended = threading.Event()
        self._shell = shell
        self.observe(self._hear, ["looks", "hidden"])
        shell.events.register("pre_execute", self._begin)
        shell.events.register("post_execute", self._end)
        threading.Thread(target=self._run, name="corewise-live", daemon=True).start()

    def stop(self) -> None:
        """Ends the sampling; what was shown last stays."""
        if not self._ended.is_set():
            self._ended.set()
            self._shell.events.unregister("pre_execute", self._begin)
            self._shell.events.unregister("post_execute", self._end)

    def close(self) -> None:
        self.stop()
        super().close()

    def __repr__(self) -> str:
        pools = ", ".join(
            f"{p['name']} {p['running']}/{'-' if p['allowed'] is None else p['allowed']}"
            for p in self.now["pools"]
        )
        return f"<corewise live view: threads running/allowed: {pools or 'no pools'}>"

    def period(self) -> float | None:
        """Seconds until the next sample is due; None: nobody looks."""
        silent = time.monotonic() - self._heard
        if self._busy:
            return _SLOW_PERIOD if silent > _LONG else _PERIOD
        return None if self.hidden or silent > _PATIENCE else _PERIOD

    def _hear(self, _: object) -> None:
        self._heard = time.monotonic()

    def _begin(self) -> None:
        self._busy = True

    def _end(self) -> None:
        # What the page said meanwhile is heard from here on.
        self._busy = False
        self._heard = time.monotonic()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(_PERIOD):
            period = self.period()
            if period is not None and time.monotonic() >= due:
                self.now = _short(sample())
                due = time.monotonic() + period - _PERIOD / 2


def _short(full: dict[str, Any]) -> dict[str, Any]:
    """What the page draws, of a sample."""
    ledger, budget = full["ledger"], full["budget"]
    rows = [
        {
            "name": f"{pool['api']}: {short_name(pool['path'])}",
            "allowed": pool["allowed"],
            **{key: pool[key] for key in ("running", "waiting", "spinning")},
        }
        for pool in full["pools"]
    ]
    for key, name in (("program", "the program's own"), ("unknown", "of unknown origin")):
        if full[key]["total"]:
            rows.append(
                {
                    "name": name,
                    "allowed": None,
                    "running": full[key]["running"],
                    "waiting": full[key]["waiting"],
                    "spinning": None,
                }
            )
    return {
        "time": full["time_s"],
        "running": full["threads"]["running"],
        "budget": ledger["budget"] if ledger else budget["threads"] if budget else None,
        "granted": ledger["granted"] if ledger else None,
        "pools": rows,
    }
