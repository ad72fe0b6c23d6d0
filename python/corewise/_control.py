"""The control socket of this process, and those of others: sampling and limiting while they run."""

from __future__ import annotations

import os

from . import _core
from ._errors import BY_STATUS, BadValue, Error
from ._numbers import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, SupportsIndex


def _pid(pid: object) -> int:
    number = whole(pid, "pid", "give the number of a process")
    if not 0 < number < 2**31:
        raise ProcessLookupError(f"there is no process {number}")
    return number


def sample(pid: SupportsIndex | None = None, *, each: bool = False) -> dict[str, Any]:
    """What the threads of a process do now, by the pool that they belong to.

    pid     another process of yours that has a control socket; None: this one
    each    with a list of all threads

    The keys are in docs/control.md. Costs some microseconds for each thread: call it once a second
    or so. Safe from any thread. Counts of thread scope are those of the calling thread; for another
    process, those that new threads begin with. Raises the errors of `control`.
    """
    if pid is not None and _pid(pid) != os.getpid():
        return control(pid, {"request": "sample", "each": bool(each)})
    import json

    document: dict[str, Any] = json.loads(_core.sample_json(bool(each)))
    return document


def control(
    pid: SupportsIndex, request: dict[str, Any], *, timeout: float | None = 10
) -> dict[str, Any]:
    """Asks a process over its control socket, which answers even during a long native call.

    pid        a process of yours, this one too, that imported corewise or runs under `corewise run`
    request    as in docs/control.md: {"request": "limit", "limits": {"blas": 2}}
    timeout    seconds to wait for the answer; None: as long as it takes

    Safe from any thread. Raises ProcessLookupError if there is no such process, PermissionError if
    it is somebody else's, BadType for a pid that is not a number, NotAvailable if it has no control
    socket, TimeoutError, and the error that the process answers: BadValue, BadCount or UnknownName
    for a bad request, which changes nothing.
    """
    import json
    import socket

    number = _pid(pid)
    if timeout is not None and not timeout > 0:
        raise BadValue(f"timeout={timeout!r}: give a number of seconds above 0")
    line = json.dumps(request).encode() + b"\n"
    with socket.socket(fileno=_core.control_connect(number)) as peer:
        peer.settimeout(timeout)
        peer.sendall(line)
        text = bytearray()
        while not text.endswith(b"\n"):
            piece = peer.recv(65536)
            if not piece:
                raise Error(f"process {number} went away before it answered")
            text += piece
    answer: dict[str, Any] = json.loads(text)
    if "error" in answer:
        error = answer["error"]
        raise BY_STATUS.get(error["status"], Error)(error["message"])
    return answer


def control_start() -> None:
    """Starts the control socket of this process; does nothing if it already runs.

    Importing corewise already does this, also in forked children, unless COREWISE_CONTROL=off is
    set. Raises NotAvailable or PermissionError if the socket cannot be opened.
    """
    _core.control_start()


def control_stop() -> None:
    """Ends the control socket of this process. What was requested over it stays in force."""
    _core.control_stop()


def control_path() -> str | None:
    """The path of this process's control socket; None while there is none."""
    return _core.control_path() or None
