"""The live view's half in the kernel; tests/browser has the other."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Kernel
from corewise.jupyter import _live, _session


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
    live = _live.Live(shell, _session.Session())
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


def test_it_tells_the_counts_of_the_thread_that_runs_cells(kernel: Kernel) -> None:
    kernel("%threads openmp=7\n%threads live\nimport time\nlive = corewise.jupyter.loaded()._live")
    seen = kernel(
        "end, first = time.monotonic() + 30, live.now['time']\n"
        "while live.now['time'] == first and time.monotonic() < end: time.sleep(.1)\n"
        "[(p['name'], p['allowed']) for p in live.now['pools'] if 'openmp' in p['name']]"
    )
    assert seen.result == "[('openmp: libgomp (scikit_learn)', 7)]"


def test_a_sample_says_what_is_wrong_and_what_to_type() -> None:
    class Own:
        @staticmethod
        def allowed(pool: dict[str, Any]) -> int:
            return int(pool["threads"])

    blas = {
        "api": "blas",
        "runtime": "openblas",
        "path": "/x/site-packages/numpy.libs/libopenblas.so",
    }
    full: dict[str, Any] = {
        "time_s": 1.0, "ledger": None, "budget": {"cpus": 2.0, "threads": 2},
        "threads": {"running": 8},
        "pools": [blas | {"threads": 8, "running": 7, "waiting": 0, "spinning": None}],
        "program": {"total": 2, "running": 1, "waiting": 1}, "unknown": {"total": 0},
    }  # fmt: skip
    now = _live._short(full, Own())  # type: ignore[arg-type]
    assert now["verdict"] == (
        "Too many threads: 8 run, 7 of them openblas (numpy), and you have 2 CPUs."
    )
    assert now["cure"] == "`%govern on`, or `%threads blas=2`"
    assert [pool["kind"] for pool in now["pools"]] == ["blas", "program"]
    html = _live.Still([now])._repr_html_()
    assert ".." not in html
    assert html.count('class="blas"') == 2 and html.count('class="over"') == 1
    assert "What to do: <code>%govern on</code>" in html
    calm = _live._short(full | {"threads": {"running": 1}}, Own())  # type: ignore[arg-type]
    assert (calm["verdict"], calm["cure"]) == ("1 thread runs, and you have 2 CPUs.", "")
    idle = _live._short(full | {"threads": {"running": 0}}, Own())  # type: ignore[arg-type]
    assert idle["verdict"] == "Nothing runs now. You have 2 CPUs."
    governed = _live._short(full | {"ledger": {"budget": 2, "granted": 2}}, Own())  # type: ignore[arg-type]
    assert governed["verdict"] == "Governed: 8 threads run, and 2 of 2 are granted."
    assert governed["cure"] == ""
    one = _live._short(full | {"ledger": {"budget": 2, "granted": 1}}, Own())  # type: ignore[arg-type]
    assert one["verdict"] == "Governed: 8 threads run, and 1 of 2 is granted."


@pytest.mark.parametrize(
    "running, verdict, cure",
    [
        (2, "2 threads run, and you have 1.5 CPUs.", ""),
        (3, "Too many threads: 3 run, 3 of them", "`%govern on`, or `%threads blas=1`"),
    ],
)
def test_part_of_a_cpu_counts_as_in_percent_threads(running: int, verdict: str, cure: str) -> None:
    class Own:
        @staticmethod
        def allowed(_: dict[str, Any]) -> int:
            return 8

    pool = {"api": "blas", "runtime": "openblas", "path": "/x/libopenblas.so", "threads": 8}
    full: dict[str, Any] = {
        "time_s": 1.0, "ledger": None, "budget": {"cpus": 1.5, "threads": 1},
        "threads": {"running": running},
        "pools": [pool | {"running": running, "waiting": 0, "spinning": None}],
        "program": {"total": 0}, "unknown": {"total": 0},
    }  # fmt: skip
    now = _live._short(full, Own())  # type: ignore[arg-type]
    assert now["verdict"].startswith(verdict) and now["cure"] == cure
    still = _live.Still([now])._repr_html_()
    assert ('class="over"' in still) == bool(cure) and "on 1.5 CPUs" in still


def updates(kernel: Kernel) -> Iterator[dict[str, Any]]:
    """What takes the place of outputs, as it comes."""
    while True:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "update_display_data":
            yield message["content"]


def test_it_stands_still_while_no_cell_runs(kernel: Kernel) -> None:
    kernel("import time, corewise.jupyter._live as live_view\nlive_view._IDLE = 1")
    kernel("%threads live")
    came = updates(kernel)
    still = next(came)
    assert "application/vnd.jupyter.widget-view+json" not in still["data"]
    assert 'role="img"' in still["data"]["text/html"]
    assert "openblas (numpy)" in still["data"]["text/html"]
    kernel.send("time.sleep(5)")
    moving = next(came)
    assert moving["transient"] == still["transient"]
    assert "application/vnd.jupyter.widget-view+json" in moving["data"]
    assert "text/html" in next(came)["data"]
    kernel.send("time.sleep(3)")
    next(came)
    kernel.send("%unload_ext corewise")  # and at its end
    assert "text/html" in next(came)["data"]
    kernel.drain()
    kernel("live_view._IDLE = 10\n%load_ext corewise")


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
