"""Who sends cells to this kernel: one notebook, or several that share it."""

from __future__ import annotations

from typing import Any


class Frontends:
    """Each notebook, and each console, has its own session with the kernel, and gets a new one when
    its page is loaded again. So a second session proves nothing. A session that comes back after
    another one proves that both live."""

    def __init__(self) -> None:
        self._seen: list[str] = []
        self.several = False

    def ran(self, shell: Any) -> None:
        """Called when a cell runs: notes the session that its message names."""
        try:
            session = shell.get_parent()["header"]["session"]
        except (AttributeError, KeyError, LookupError):
            return  # a terminal
        if session in self._seen:
            self.several = self.several or self._seen[-1] != session
            self._seen.remove(session)
        self._seen.append(session)
