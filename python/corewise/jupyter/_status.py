"""What JupyterLab's status item (python/labextension) asks the kernel, and is told.

The question is a comm_info_request for the target "corewise" on the control channel, which
ipykernel answers on a thread of its own, even while a cell runs. `limits` in it are words as after
%threads, to be set; "" ends them. Such limits are caps from outside of the notebook, like those of
`corewise limit --pid`: they hold besides the notebook's own, and the tightest counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .._control import control, sample
from .._errors import Error
from .._limits import APIS
from .._show.pools import pool_names
from . import _words
from ._frontends import Frontends
from ._session import Session

_REQUEST = "comm_info_request"


class Status:
    """Answers for one kernel. In programs other than ipykernel nobody asks."""

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
            said = self._set(content.get("limits"))
            told = self.state() | ({"said": said} if said else {})
        except Error as error:
            told = {"error": f"nothing was changed: {error}"}
        except Exception as error:  # said there, since here nobody sees it
            told = {"error": str(error)}
        reply = {"status": "ok", "comms": {}, "corewise": told}
        return self._kernel.session.send(stream, "comm_info_reply", reply, parent, ident)

    def _set(self, words: object) -> str:
        """Over the control socket: limits from there reach every thread, during a cell too."""
        if words is None:
            return ""
        counts = _words.counts(_words.split(str(words)))
        if not counts:
            control(os.getpid(), {"request": "restore"})
            return "ended the limits that were set here or by `corewise limit`"
        apis = {name: threads for name, threads in counts.items() if name in APIS}
        pools = {name: threads for name, threads in counts.items() if name not in APIS}
        request = {"request": "limit", "limits": apis, "pools": pools}
        outcomes = control(os.getpid(), request)["outcomes"]
        names = pool_names([(o["runtime"], o["path"]) for o in outcomes])
        said: list[str] = []
        reaches: set[str] = set()
        for name, o in zip(names, outcomes, strict=True):
            reach = o["reach"] + (f" ({o['reason']})" if o["reason"] else "")
            most = f"at most {o['at_most']}" if o["at_most"] else "?"
            change = f"{o['after']} (was {o['before'] or '?'})" if o["after"] else most
            whom = "the same" if reach in reaches else reach
            said.append(f"{name}: {change}, {whom}")
            reaches.add(reach)
        return "\n".join(said)

    def state(self) -> dict[str, Any]:
        """What is in force now. OpenMP counts are those of the thread that runs cells, as
        limited."""
        now = sample()
        ledger, own = now["ledger"], now["budget"]
        names = pool_names([(pool["runtime"], pool["path"]) for pool in now["pools"]])
        pools = [
            {
                "api": pool["api"],
                "name": name,
                "threads": self._session.allowed(pool),
                "limit": pool["limit"],
            }
            for name, pool in zip(names, now["pools"], strict=True)
        ]
        return {
            "governed": now["governed"],
            "budget": ledger["budget"] if ledger else own["cpus"] if own else None,
            "granted": ledger["granted"] if ledger else None,
            "running": now["threads"]["running"],
            "shared": self._frontends.several,
            "pools": pools,
        }
