"""A real kernel, as notebooks have it: what its cells say, show and complete."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

_NOT_FOR_CHILDREN = ("OMP_", "OPENBLAS_", "COREWISE")
# Deaths of other programs on this machine are none of a test's.
ENVIRONMENT = {"XDG_STATE_HOME": mkdtemp()} | {
    k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_CHILDREN)
}


@dataclass
class Cell:
    """What one cell brought."""

    text: str = ""  # both streams, as they came
    result: str = ""  # of the last expression, as text
    shown: list[dict[str, str]] = field(default_factory=list)  # by MIME type
    error: str = ""  # kind: sentence


class Kernel:
    """A notebook on a kernel; `other()` is a second notebook on the same one."""

    def __init__(self, client: BlockingKernelClient, manager: KernelManager) -> None:
        self.client = client
        self.manager = manager

    def other(self) -> Kernel:
        client = self.manager.client()
        client.session = client.session.clone()
        client.session.session = "another-notebook"
        client.start_channels()
        client.wait_for_ready(timeout=60)
        return Kernel(client, self.manager)

    def __call__(self, code: str, *, subshell: str | None = None) -> Cell:
        return self.outcome(self.send(code, subshell=subshell))

    def send(self, code: str, *, subshell: str | None = None) -> str:
        """Runs a cell without waiting for it: `outcome` waits."""
        message = self.client.session.msg(
            "execute_request",
            {"code": code, "silent": False, "store_history": True, "user_expressions": {},
             "allow_stdin": False, "stop_on_error": False},
        )  # fmt: skip
        if subshell:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def outcome(self, request: str) -> Cell:
        cell = Cell()
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != request:
                continue
            content: Any = message["content"]
            match message["msg_type"]:
                case "stream":
                    cell.text += content["text"]
                case "execute_result":
                    cell.result = content["data"]["text/plain"]
                    cell.shown.append(content["data"])
                case "display_data":
                    cell.shown.append(content["data"])
                case "error":
                    cell.error = f"{content['ename']}: {content['evalue']}"
                case "status" if content["execution_state"] == "idle":
                    return cell

    def ask(self, kind: str, **content: Any) -> dict[str, Any]:
        """A request on the control channel, answered also while a cell runs."""
        message = self.client.session.msg(kind, content)
        self.client.control_channel.send(message)
        while True:
            reply = self.client.get_control_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return dict(reply["content"])

    def complete(self, code: str) -> list[str]:
        reply = self.client.complete(code, reply=True, timeout=60)
        return list(reply["content"]["matches"])

    def drain(self) -> None:
        while True:
            try:
                self.client.get_iopub_msg(timeout=0)
            except queue.Empty:
                return


@contextmanager
def started(folder: Path, notebook: str = "") -> Iterator[Kernel]:
    """A kernel of its own; of that notebook in the folder, as Jupyter's server tells kernels."""
    manager = KernelManager(kernel_name="python3")
    own = {"JPY_SESSION_NAME": str(folder / notebook)} if notebook else {}
    manager.start_kernel(cwd=str(folder), env=ENVIRONMENT | own)
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield Kernel(client, manager)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with started(tmp_path_factory.mktemp("notebook")) as kernel:
        loaded = kernel(
            "import numpy, scipy.linalg, sklearn.cluster, corewise, ctypes, threading, os\n"
            "def now(): return [[p.api, p.threads] for p in corewise.pools()]\n"
            "def openmp(): return next(p for p in corewise.pools() if p.api == 'openmp')\n"
        )
        assert loaded.error == ""
        yield kernel


@pytest.fixture
def kernel(running: Kernel, tmp_path: Path) -> Iterator[Kernel]:
    """With the extension, in a folder of its own; every pool at 2 threads before and after."""
    assert running(f"import os; os.chdir({str(tmp_path)!r})").error == ""
    assert running("%load_ext corewise").text == ""
    yield running
    assert running("%unload_ext corewise").error == ""
    assert running("now()").result == "[['blas', 2], ['blas', 2], ['openmp', 2]]"
