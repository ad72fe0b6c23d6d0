"""`%threads live`: what the threads of each pool do now, once a second, as an anywidget.

A thread of our own takes `corewise.sample()` and sends the numbers, so that they arrive even while
a cell runs. What the page sends back waits for the end of that cell. So the page cannot steer: it
only says from time to time that somebody looks at it.

A saved notebook has no widget any more. So when no cell has run for a while, a still picture takes
the widget's place in the output, until a cell runs again.
"""

from __future__ import annotations

import threading
import time
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.display import DisplayHandle, display

from .._control import sample
from .._numbers import most_that_fit
from .._rich import Rich
from .._show import html
from .._show.pictures import KINDS, kind_of, minute, minute_words, swatch
from .._show.pools import pool_names
from .._show.text import counted
from ._cures import lower_limits
from ._session import Session

_MINUTE = 60.0
_IDLE = 10.0  # seconds without a cell, after which the picture stands still
_SOON = 1.0  # seconds of a cell, after which it moves again
_PERIOD = 1.0  # seconds
_SLOW_PERIOD = 10.0  # while a cell runs, and no page has been heard from for long
_LONG = 600.0
_PATIENCE = 30.0  # seconds without a word, between cells, after which nobody looks


class Live(anywidget.AnyWidget):
    """Samples while somebody looks: not in a hidden page, and not long after a page was closed."""

    _esm = Path(__file__).with_name("live.js")
    now = traitlets.Dict().tag(sync=True)  # the latest sample, shortened
    looks = traitlets.Int(0).tag(sync=True)  # counted up by a page that is visible
    hidden = traitlets.Bool(False).tag(sync=True)

    def __init__(self, shell: Any, session: Session) -> None:
        super().__init__(now=_short(sample(), session))
        self._session = session
        self._history = [self.now]
        self._handle: DisplayHandle | None = None  # of the output that it is shown in
        self._still = False
        self._heard = self._changed = time.monotonic()
        self._busy = False
        self._ended = threading.Event()
        self._shell = shell
        self.observe(self._hear, ["looks", "hidden"])
        shell.events.register("pre_execute", self._begin)
        shell.events.register("post_execute", self._end)
        threading.Thread(target=self._run, name="corewise-live", daemon=True).start()

    def show(self) -> None:
        """Shows itself in the output of the cell that runs."""
        self._handle = display(self, display_id=True)  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        """Ends the sampling; what was shown last stays, as a picture."""
        if not self._ended.is_set():
            self._ended.set()
            self._be_still(True)
            self._shell.events.unregister("pre_execute", self._begin)
            self._shell.events.unregister("post_execute", self._end)

    def close(self) -> None:
        self.stop()
        super().close()

    def __repr__(self) -> str:
        return repr(Still([self.now]))

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
        self._changed = time.monotonic()

    def _end(self) -> None:
        # What the page said meanwhile arrives from here on.
        self._busy = False
        self._heard = self._changed = time.monotonic()

    def _be_still(self, still: bool) -> None:
        if self._handle is not None and still != self._still:
            self._still = still
            self._handle.update(Still(self._history) if still else self)  # type: ignore[no-untyped-call]

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(_PERIOD):
            period = self.period()
            if period is not None and time.monotonic() >= due:
                now = _short(sample(), self._session)
                recent = [old for old in self._history if now["time"] - old["time"] < _MINUTE]
                self._history = [*recent, now]
                self.now = now
                due = time.monotonic() + period - _PERIOD / 2
            unchanged = time.monotonic() - self._changed
            if unchanged > (_SOON if self._busy else _IDLE) and not self._ended.is_set():
                self._be_still(not self._busy)


class Still(Rich):
    """What the view showed last, for a page without a kernel."""

    def __init__(self, history: list[dict[str, Any]]) -> None:
        self._history = history

    def __repr__(self) -> str:
        pools = ", ".join(
            f"{p['name']} {p['running']}/{'-' if p['allowed'] is None else p['allowed']}"
            for p in self._history[-1]["pools"]
        )
        return f"<corewise live view: threads running/allowed: {pools or 'no pools'}>"

    def _repr_html_(self) -> str:
        now = self._history[-1]
        drawn = [(s["time"], _by_kind(s["pools"]), s["budget"]) for s in self._history]
        keys = ("allowed", "running", "waiting", "spinning")
        rows = [
            [
                html.Markup(swatch(pool["kind"]) + escape(pool["name"])),
                *("-" if pool[key] is None else str(pool[key]) for key in keys),
            ]
            for pool in now["pools"]
        ]
        heads = ["Threads", "Allowed", "Running", "Idle", "Spinning"]
        return html.page(
            html.verdict(now["verdict"]),
            minute(drawn),
            html.paragraph(minute_words(drawn)),
            *([html.paragraph(f"What to do: {now['cure']}.")] if now["cure"] else []),
            html.table("The last sample", heads, rows, right=(1, 2, 3, 4)),
        )


def _by_kind(pools: list[dict[str, Any]]) -> dict[str, int]:
    """How many threads of each kind run."""
    counts = dict.fromkeys(KINDS, 0)
    for pool in pools:
        counts[pool["kind"]] += pool["running"]
    return counts


def _verdict(running: int, cpus: float | None, ledger: Any, pools: list[dict[str, Any]]) -> str:
    """What a sample comes to, in a sentence."""
    run = f"{counted(running, 'thread')} {'runs' if running == 1 else 'run'}"
    if cpus is None:
        return f"{run}."
    if ledger:
        granted = f"{ledger['granted']} of {cpus} {'is' if ledger['granted'] == 1 else 'are'}"
        return f"Governed: {run}, and {granted} granted."
    if running == 0:
        return f"Nothing runs now. You have {counted(cpus, 'CPU')}."
    if running <= most_that_fit(cpus):
        return f"{run}, and you have {counted(cpus, 'CPU')}."
    most = max(pools, key=lambda pool: int(pool["running"]))
    name = most["name"].rpartition(": ")[2]
    return (
        f"Too many threads: {running} run, {most['running']} of them {name}, "
        f"and you have {counted(cpus, 'CPU')}."
    )


def _short(full: dict[str, Any], session: Session) -> dict[str, Any]:
    """What the page draws, of a sample."""
    ledger, budget = full["ledger"], full["budget"]
    names = pool_names([(pool["runtime"], pool["path"]) for pool in full["pools"]])
    rows = [
        {
            "name": f"{pool['api']}: {name}",
            "kind": kind_of(pool["api"]),
            "allowed": session.allowed(pool),
            **{key: pool[key] for key in ("running", "waiting", "spinning")},
        }
        for name, pool in zip(names, full["pools"], strict=True)
    ]
    for key, name in (("program", "program"), ("unknown", "unknown")):
        if full[key]["total"]:
            rows.append(
                {
                    "name": name,
                    "kind": key,
                    "allowed": None,
                    "running": full[key]["running"],
                    "waiting": full[key]["waiting"],
                    "spinning": None,
                }
            )
    running = full["threads"]["running"]
    cpus = ledger["budget"] if ledger else budget["cpus"] if budget else None
    pools = [(pool["api"], session.allowed(pool)) for pool in full["pools"]]
    lower = lower_limits(pools, cpus or 0)
    over = cpus is not None and not ledger and running > most_that_fit(cpus)
    return {
        "time": full["time_s"],
        "running": running,
        "budget": cpus,
        "verdict": _verdict(running, cpus, ledger, rows),
        "cure": f"`%govern on`{f', or `{lower}`' if lower else ''}" if over else "",
        "pools": rows,
    }
