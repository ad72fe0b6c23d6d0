"""What is in force for this kernel: the notebook's limits on every thread that runs cells, the
limits of the cell that runs, and governing.

A pool of thread scope (OpenMP) is limited for the calling thread alone. So each thread that runs
cells opens the limits for itself, at its first cell after they changed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from .._errors import Error
from .._govern import govern, ungovern
from .._limits import limits
from . import _words
from ._words import Counts


class Tuning(NamedTuple):
    """How this process, and one that it starts, is governed; without values as usual."""

    bend: tuple[str, ...] = ()  #: libraries that bend
    weight: int | None = None
    share: str | None = None  #: with whom the CPUs are divided


class _Variable:
    """A variable that this session puts into the environment, where nobody else has put it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.value: str | None = None  #: that this session has put there

    def put(self, value: str | None) -> None:
        """In place of the value from before; None: none. Keeps what somebody else has put there."""
        if os.environ.get(self._name) not in (None, self.value):
            self.value = None
            return
        self.value = value
        if value is None:
            os.environ.pop(self._name, None)
        else:
            os.environ[self._name] = value


class Session:
    """Safe from any thread: a status item sets limits from another thread than the one with the
    cells."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counts: Counts = {}
        self._version = 0
        self._open: dict[int, tuple[int, limits]] = {}  # by thread: of which version, what
        self._cells: dict[int, tuple[Counts, limits]] = {}  # by thread: the cell that runs on it
        self._governed: tuple[float | None, str | None] | None = None
        self._tuning = Tuning()
        # Read by the core whenever it governs.
        self._bend = _Variable("COREWISE_BEND")
        self._weight = _Variable("COREWISE_WEIGHT")
        self._share = _Variable("COREWISE_SHARE")

    @property
    def counts(self) -> Counts:
        """The notebook's limits."""
        return dict(self._counts)

    def count_for(self, pool: Mapping[str, Any]) -> int | None:
        """What the limits of the cell that runs, else the notebook's, give to this pool of a
        sample; None: they do not name it."""
        with self._lock:
            counts = next((counts for counts, _ in self._cells.values()), self._counts)
        wanted = [_words.count_for(counts, pool)]
        if pool["layer"] == "openmp":  # it shares the count of OpenMP
            wanted.append(counts.get("openmp"))
        if not any(wanted):
            return None
        return int(min(filter(None, [*wanted, pool["ceiling"]])))

    def allowed(self, pool: Mapping[str, Any]) -> int | None:
        """The count of a pool of a sample on the thread that runs cells. For a pool of thread
        scope, another thread that takes the sample reads a count of its own."""
        wanted = self.count_for(pool) if pool["scope"] == "thread" else None
        seen: int | None = pool["allowed"]
        return seen if wanted is None else min(wanted, int(pool["limit"] or wanted))

    def set(self, counts: Counts) -> limits | None:
        """Makes these the notebook's limits, in place of earlier ones; empty: none.

        Takes effect at once in pools of process scope and on this thread, on other threads when
        they run their next cell. A failure changes nothing."""
        me = threading.get_ident()
        with self._lock:
            fresh = _words.applied(counts) if counts else None
            before, self._open = self._open, {}
            self._counts = dict(counts)
            self._version += 1
            if fresh is not None:
                self._open[me] = (self._version, fresh)
            for _, old in before.values():
                old.restore()
        return fresh

    def before_cell(self) -> str:
        """Applies the notebook's limits on this thread if they are not in force here. Says so; ""
        if there was nothing to do."""
        me = threading.get_ident()
        with self._lock:
            version, held = self._open.get(me, (0, None))
            if not self._counts:
                return ""
            raised = _raised(held) if held is not None else ""
            if version == self._version and not raised:
                return ""
            where = threading.current_thread().name
            try:
                fresh = _words.applied(self._counts)
            except Error as error:  # a library loaded since then can do less
                self._open[me] = (self._version, held or limits())
                return f"{_words.text(self._counts)} not applied again on {where}: {error}"
            self._open[me] = (self._version, fresh)
            if held is not None:
                held.restore()
        why = f": {raised} since" if raised else ""
        return f"{_words.text(self._counts)} applied again on {where}{why}"

    def begin_cell(self, counts: Counts) -> limits:
        """Limits for the cell that runs on this thread, until `end_cell`. They stand in place of
        the notebook's where both speak of a pool. A failure changes nothing."""
        me = threading.get_ident()
        with self._lock:
            both = _words.together(self._counts, counts)
            fresh = _words.applied(both)
            _, held = self._open.pop(me, (0, None))
            _, outer = self._cells.pop(me, ({}, None))
            self._cells[me] = both, fresh
            for old in (held, outer):
                if old is not None:
                    old.restore()
        return fresh

    def end_cell(self) -> None:
        """Ends the limits of the cell on this thread; the notebook's hold again."""
        me = threading.get_ident()
        with self._lock:
            _, ended = self._cells.pop(me, ({}, None))
            if ended is None:
                return
            try:
                if self._counts and me not in self._open:
                    self._open[me] = (self._version, _words.applied(self._counts))
            except Error:
                pass  # said before the next cell
            finally:
                ended.restore()

    @property
    def bending(self) -> tuple[str, ...]:
        """The libraries that this session's tuning lets bend."""
        return self._tuning.bend if self._bend.value else ()

    def tune(self, tuning: Tuning) -> Tuning:
        """Governs like this from now on, in place of what this session tuned before. Keeps what
        somebody else put into the environment. Returns the earlier tuning."""
        with self._lock:
            before, self._tuning = self._tuning, tuning
            self._bend.put(":".join(tuning.bend) or None)
            self._weight.put(None if tuning.weight is None else str(tuning.weight))
            self._share.put(tuning.share)
            return before

    def govern(self, budget: float | None = None, group: str | None = None) -> None:
        """Governs, in place of what this session governed before. A failure changes nothing."""
        with self._lock:
            before = self._governed
            if before is not None:
                ungovern()
            try:
                govern(budget, group)
            except Exception:
                if before is not None:
                    govern(*before)
                raise
            self._governed = (budget, group)

    def ungovern(self) -> bool:
        """Ends what `govern` began; returns whether there was something to end."""
        with self._lock:
            if self._governed is None:
                return False
            self._governed = None
            ungovern()
            return True

    def close(self) -> None:
        """Ends all of it."""
        self.end_cell()
        self.set({})
        self.ungovern()
        self.tune(Tuning())


def _raised(held: limits) -> str:
    """Which pools have more threads than the limits gave them: somebody set them since."""
    return ", ".join(
        f"{o.pool.prefix} had {o.pool.threads}"
        for o in held.outcomes
        if o.effective and o.pool.threads and o.pool.threads > max(o.asked, o.effective)
    )
