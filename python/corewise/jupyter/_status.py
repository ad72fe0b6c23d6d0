"""What JupyterLab's status item (python/labextension) asks the kernel, and is told.

It comes as a comm_info_request for the target "corewise" on the control channel, which ipykernel
answers on a thread of its own, also while a cell runs. `limits` in it are words as behind
%threads, to be set; "" ends them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._budget import budget
from .._errors import Error
from .._govern import govern_report
from .._info import info
from . import _words
from ._frontends import Frontends
from ._session import Session

_REQUEST = "comm_info_request"


class Status:
    """Answers for one kernel. Other programs than ipykernel have nobody who asks."""

    def __init__(self, shell: Any, session: Session, frontends: Frontends) -> None:
        self._kernel: Any = getattr(shell, "kernel", None)
        self._handlers: dict[str, Callable[..., Any]] = getattr(
            self._kernel, "control_handlers", {}
        )
        self._others: Callable[..., Any] | None = self._handlers.get(_REQUEST)
        self._session = session
        self._frontends = frontends

    def register(self) -> None:
        if self._others is not None:
            self._handlers[_REQUEST] = self._answer

    def unregister(self) -> None:
        if self._others is not None:
            self._handlers[_REQUEST] = self._others

    def _answer(self, stream: Any, ident: Any, parent: Any) -> Any:
        content = parent["content"]
        if content.get("target_name") != "corewise":
            assert self._others is not None
            return self._others(stream, ident, parent)
        try:
            told = self.state() | self._set(content.get("limits"))
        except Exception as error:  # said there, since here nobody sees it
            told = {"error": str(error)}
        reply = {"status": "ok", "comms": {}, "corewise": told}
        return self._kernel.session.send(stream, "comm_info_reply", reply, parent, ident)

    def _set(self, words: object) -> dict[str, Any]:
        if words is None:
            return {}
        try:
            counts = _words.counts(str(words).split())
            self._session.set(counts)
        except Error as error:
            return {"error": f"nothing was changed: {error}"}
        said = f"{_words.text(counts)} from now on" if counts else "no limits from now on"
        if any(pool.scope == "thread" for pool in info()):
            said += "; OpenMP, whose counts belong to threads, from the next cell"
        return self.state() | {"said": said}

    def state(self) -> dict[str, Any]:
        """What holds now. OpenMP counts are those of the thread that runs cells, as limited."""
        report = govern_report()
        counts = self._session.counts
        return {
            "limits": {k: v for k, v in counts.items() if k != _words.ALL},
            "governed": report["governed"],
            "budget": report["budget"] if report["governed"] else round(budget().cpus, 2),
            "granted": None,
            "shared": self._frontends.several,
            "pools": [
                {
                    "api": pool.api,
                    "name": pool.prefix,
                    "path": pool.path.encode("utf-8", "replace").decode(),
                    "threads": counts.get(pool.api, counts.get(_words.ALL, pool.threads))
                    if pool.scope == "thread"
                    else pool.threads,
                    "scope": pool.scope,
                }
                for pool in info()
            ],
        }
