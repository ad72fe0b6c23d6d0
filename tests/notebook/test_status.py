"""What JupyterLab's status item asks, asked by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Kernel
from corewise.jupyter import _status


def asked(kernel: Kernel, **content: Any) -> dict[str, Any]:
    reply = kernel.ask("comm_info_request", target_name="corewise", **content)
    assert reply["status"] == "ok" and reply["comms"] == {}
    told: dict[str, Any] = reply["corewise"]
    return told


def test_it_tells_pools_budget_and_grants(kernel: Kernel) -> None:
    told = asked(kernel)
    assert [(p["api"], p["threads"], p["limit"]) for p in told["pools"]] == [
        ("blas", 2, None), ("blas", 2, None), ("openmp", 2, None),
    ]  # fmt: skip
    assert told["budget"] == 2 and told["granted"] is None and not told["governed"]
    kernel("%govern on 1")
    told = asked(kernel)
    assert told["governed"] and told["budget"] == 1 and told["granted"] == 0
    kernel("%govern off\n%threads openmp=7")
    assert asked(kernel)["pools"][2]["threads"] == 7


def test_part_of_a_cpu_is_told_as_the_live_view_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "governed": False, "ledger": None, "budget": {"cpus": 1.5, "threads": 1},
        "threads": {"running": 1}, "pools": [],
    }  # fmt: skip
    monkeypatch.setattr(_status, "sample", lambda: told)
    frontends = SimpleNamespace(several=False)
    status = _status.Status(object(), None, frontends)  # type: ignore[arg-type]
    assert status.state()["budget"] == 1.5


def test_limits_reach_the_thread_that_runs_a_cell(kernel: Kernel) -> None:
    busy = kernel.send(
        "import time\n"
        "end = time.monotonic() + 60\n"
        "def allowed(): return [p['allowed'] for p in corewise.sample()['pools']]\n"
        "while allowed() != [1, 1, 1] and time.monotonic() < end: time.sleep(.01)\n"
        "allowed()"
    )
    said = asked(kernel, limits="openmp=1 numpy=1 scipy=1")["said"]
    assert "libgomp (scikit_learn): at most 1, every thread" in said
    assert kernel.outcome(busy).result == "[1, 1, 1]"
    asked(kernel, limits="")
    assert kernel("allowed()").result == "[2, 2, 2]"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("blas=0", "expected a whole number"),
        ("blas=99999", "from 1 to 32768"),
        ("lots", "write openmp=8"),
        ("opnmp=1", "did you mean openmp?"),
    ],
)
def test_a_bad_wish_changes_nothing(kernel: Kernel, words: str, why: str) -> None:
    told = asked(kernel, limits=words)
    assert told["error"].startswith("nothing was changed: ") and why in told["error"]
    assert [p["limit"] for p in asked(kernel)["pools"]] == [None, None, None]


def test_without_the_control_socket_it_says_so(kernel: Kernel) -> None:
    kernel("corewise.control_stop()")
    told = asked(kernel, limits="blas=1")
    assert told["error"].startswith("nothing was changed: ") and "control socket" in told["error"]
    assert asked(kernel)["budget"] == 2
    kernel("corewise.control_start()")


def test_others_are_answered_as_ever(kernel: Kernel) -> None:
    assert "corewise" not in kernel.ask("comm_info_request", target_name="jupyter.widget")
    assert "corewise" not in kernel.ask("comm_info_request")


def test_without_the_extension_there_is_no_answer(running: Kernel) -> None:
    assert "corewise" not in running.ask("comm_info_request", target_name="corewise")
