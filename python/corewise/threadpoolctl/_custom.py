"""Limits of custom controllers, which the core knows nothing of.

They compose like those of the core: for each library the tightest open limit is in force, of one
owner (a thread, or its running asyncio task) the latest, and after the last one the library has
what it had before the first. There is no lock, so a fork cannot leave one locked: each change is
one list operation, and the thread that set last checks again whether its count is still right.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from contextlib import suppress

from ._controllers import LibController

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Owner = tuple[int, int]


class _Open:
    __slots__ = ("owner", "threads")

    def __init__(self, owner: Owner, threads: int) -> None:
        self.owner = owner
        self.threads = threads


_open: dict[str, list[_Open]] = {}
_before: dict[str, Any] = {}


def _owner() -> Owner:
    asyncio: Any = sys.modules.get("asyncio")
    task = None
    if asyncio is not None and asyncio._get_running_loop() is not None:
        task = asyncio.current_task()
    return get_ident(), 0 if task is None else id(task)


def _in_force(path: str) -> Any:
    latest = {one.owner: one.threads for one in tuple(_open[path])}
    return min(latest.values()) if latest else _before[path]


def _settle(library: LibController) -> None:
    threads = _in_force(library.filepath)
    while True:
        library.set_num_threads(threads)
        now = _in_force(library.filepath)
        if now == threads:
            return
        threads = now


class CustomLimit:
    """Open limits of custom controllers; `original` holds each one's count before, by path."""

    def __init__(self, wanted: list[tuple[LibController, int]]) -> None:
        owner = _owner()
        self.original = {library.filepath: library.num_threads for library, _ in wanted}
        self._opened: list[tuple[LibController, _Open]] = []
        try:
            for library, threads in wanted:
                self._limit(library, _Open(owner, threads))
        except BaseException:
            # The setter of the library that failed may fail again: what it said first counts.
            with suppress(Exception):
                self.restore()
            raise

    def _limit(self, library: LibController, one: _Open) -> None:
        stack = _open.setdefault(library.filepath, [])
        if not stack:
            _before[library.filepath] = self.original[library.filepath]
        stack.append(one)
        self._opened.append((library, one))
        _settle(library)

    def restore(self) -> None:
        """Ends them, the others too if a setter raises; idempotent."""
        if not self._opened:
            return
        library, one = self._opened.pop()
        _open[library.filepath].remove(one)
        try:
            _settle(library)
        finally:
            self.restore()
