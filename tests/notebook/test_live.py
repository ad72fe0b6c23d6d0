"""The live view's half in the kernel; tests/browser has the other."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
from conftest import Kernel
from corewise.jupyter import _live


class Shell:
    """Registers what it is given, and tells who is registered."""

    def __init__(self) -> None:
        self.events = self
        self.registered: list[str] = []

    def register(self, name: str, _: Any) -> None:
        self.registered.append(name)

    def unregister(self, name: str, _: Any) -> None:
        self.registered.remove(name)


def test_it_samples_while_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    shell = Shell()
    live = _live.Live(shell)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    live.looks += 1
    assert live.period() == 1
    live.hidden = True
    assert live.period() is None
    live.hidden = False
    clock[0] += 31
    assert live.period() is None  # the page was closed
    live.looks += 1
    assert live.period() == 1
    live._begin()
    clock[0] += 599
    assert live.period() == 1  # what the page says cannot arrive
    clock[0] += 2
    assert live.period() == 10
    live._end()
    assert live.period() == 1
    assert shell.registered == ["pre_execute", "post_execute"]
    live.close()
    live.stop()
    assert shell.registered == []


def test_samples_come_while_a_cell_runs(kernel: Kernel) -> None:
    (shown,) = kernel("%threads live").shown
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert "corewise live view" in shown["text/plain"] and "None" not in shown["text/plain"]
    kernel("magics = corewise.jupyter.loaded()")
    seen = kernel(
        "import time\n"
        "live, times, end = magics._live, set(), time.monotonic() + 30\n"
        "while len(times) < 3 and time.monotonic() < end:\n"
        "    times.add(live.now['time']); numpy.ones((300, 300)) @ numpy.ones((300, 300))\n"
        "sorted(times)"
    )
    times = eval(seen.result)
    assert len(times) == 3
    assert all(b - a > 0.9 for a, b in itertools.pairwise(times))
    kernel("%unload_ext corewise")
    assert kernel("'corewise-live' in [t.name for t in threading.enumerate()]").error == ""
    kernel("%load_ext corewise")
