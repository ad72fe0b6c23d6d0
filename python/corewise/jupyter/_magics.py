"""%threads, %%threads and %govern."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.inputtransformer2 import cell_magic
from IPython.display import display

from .._death import last_death
from .._errors import BadFile, Error
from .._govern import govern_report
from .._info import Info, info
from .._limits import limits
from .._project import NAME, project
from . import _words
from ._dangers import Dangers
from ._frontends import Frontends
from ._overview import Overview
from ._session import Session
from ._status import Status

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ._live import Live


def _cell_lines(lines: list[str]) -> list[str]:
    """A cell that begins with %%threads runs as itself, after a first line that opens its limits:
    so that await, tracebacks and what a cell shows are as without it."""
    if not lines or not lines[0].startswith("%%threads ") or len(lines) < 2:
        return lines
    words = lines[0].removeprefix("%%threads ").strip()
    return [
        f"get_ipython().run_line_magic('threads', {'--cell ' + words!r})\n",
        *cell_magic(lines[1:]),  # type: ignore[no-untyped-call]
    ]


class Magics:
    """The commands of one kernel, and what they set."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.session = Session()
        self._shell: Any = shell
        self._commands: dict[str, Callable[[], None]] = {
            "off": self._off,
            "reset": self._reset,
            "report": self._report,
            "why": self._why,
            "live": self._show_live,
        }
        self._frontends = Frontends()
        self._dangers = Dangers()
        self._live: Live | None = None
        self._status = Status(shell, self.session, self._frontends)

    def register(self) -> None:
        self._shell.register_magic_function(self.threads, "line_cell", "threads")
        self._shell.register_magic_function(self.govern, "line", "govern")
        self._shell.events.register("pre_run_cell", self._before_cell)
        self._shell.events.register("post_execute", self.session.end_cell)
        # Behind what takes away empty lines before the first word.
        self._shell.input_transformers_cleanup.append(_cell_lines)
        for name, complete in (("threads", self._complete), ("govern", lambda *_: ["on", "off"])):
            self._shell.set_hook("complete_command", complete, re_key=rf"%{{1,2}}{name}\b")
        self._status.register()

    def unregister(self) -> None:
        if self._live is not None:
            self._live.stop()
        self._status.unregister()
        self.session.close()
        self._shell.events.unregister("pre_run_cell", self._before_cell)
        self._shell.events.unregister("post_execute", self.session.end_cell)
        self._shell.input_transformers_cleanup.remove(_cell_lines)
        for kind, name in (("line", "threads"), ("cell", "threads"), ("line", "govern")):
            self._shell.magics_manager.magics[kind].pop(name, None)

    def threads(self, line: str, cell: str | None = None) -> None:
        """Thread limits of this notebook, or of a cell.

        %threads                    the pools, the CPUs that are really ours, and what is wrong
        %threads openmp=8 blas=4    limits from now on, for every cell of this kernel, in place of
                                    earlier ones; also tbb, arrow, numba, or a pool by its name
                                    (libgomp=2); a lone number is for all
        %%threads blas=1            the first line of a cell: limits of this cell; where the
                                    notebook's speak of the same pool, the cell's hold
        %threads off                no limits
        %threads reset              the limits of corewise.toml, if there is one, else none
        %threads report             what governing did (see %govern)
        %threads why                what the last process died of that had corewise loaded
        %threads live               what each pool's threads do now, once a second; needs anywidget

        A limit sets the count of a pool; of several that are open, the tightest counts. BLAS is
        limited in the whole process. OpenMP counts belong to a thread: they are set on the one that
        runs cells, again before each cell if needed.
        """
        words = line.partition("#")[0].split()
        with _refusals():
            if words[:1] == ["--cell"]:
                self._begin_cell(words[1:])
            elif cell is not None:
                self._run_cell(words, cell)
            elif not words:
                _show(Overview(self._settings()))
            elif words[0] in self._commands:
                if len(words) > 1:
                    raise UsageError(f"%threads {words[0]} takes nothing more: {words[1]!r}")
                self._commands[words[0]]()
            else:
                self._set(words)

    def govern(self, line: str) -> None:
        """Keeps this kernel, and the processes that it starts, inside one thread budget.

        %govern on [BUDGET]    each OpenMP region and BLAS call gets the threads that are free;
                               BUDGET is the most at a time (default: the CPUs really ours)
        %govern off            as before
        %govern                what it did so far
        """
        words = line.partition("#")[0].split()
        with _refusals():
            if not words:
                self._report()
            elif words == ["off"]:
                ended = self.session.ungovern()
                _say("not governed any more" if ended else "was not governed by %govern")
            elif words[0] == "on" and len(words) < 3:
                budget = _number(words[1]) if len(words) == 2 else None
                self.session.govern(budget)
                _say(f"governed, budget {govern_report()['budget']}{self._shared()}")
            else:
                raise UsageError(f"%govern takes on, on BUDGET or off, not {line.strip()!r}")

    def apply_project(self) -> bool:
        """The limits and the governing of the nearest corewise.toml in place of what holds, and
        says so; whether there is such a file. Raises Error, and then nothing was changed."""
        found = project()
        if found is None:
            return False
        before = self.session.counts
        bent = self.session.bend(found.bend)
        try:
            self.session.set(found.limits)
            if found.govern:
                self.session.govern(found.budget, found.group)
        except Error as error:
            self.session.set(before)
            self.session.bend(bent)
            raise BadFile(f"{found.path}: {error}") from None
        parts = [_words.text(found.limits)] if found.limits else []
        if self.session.governed:
            parts.append(f"governed, budget {govern_report()['budget']}")
        if self.session.bending:
            parts.append(f"bends: {', '.join(self.session.bending)}")
        _say(f"{', '.join(parts) or 'nothing to apply'} ({found.path})")
        return True

    def _off(self) -> None:
        self.session.set({})
        _say("no limits")

    def _reset(self) -> None:
        if not self.apply_project():
            self.session.set({})
            self.session.bend(())
            _say(f"no limits: there is no {NAME} in {_folder()} or above")

    def _report(self) -> None:
        _show(govern_report())

    def _why(self) -> None:
        death = last_death()
        if death is None:
            _say("no process that had corewise loaded died and left a report")
        else:
            _show(death)

    def _show_live(self) -> None:
        try:
            from ._live import Live
        except ImportError as error:
            raise UsageError(
                f"the live view needs anywidget: pip install 'corewise[notebook]' ({error})"
            ) from None
        if self._live is not None:
            self._live.stop()  # one at a time; the earlier one keeps what it showed last
        self._live = Live(self._shell)
        _show(self._live)

    def _set(self, words: list[str]) -> None:
        counts = _words.counts(words)
        before = info()
        held = self.session.set(counts)
        where = f"every cell of this notebook (thread {threading.current_thread().name})"
        _say(f"{_words.text(counts)} for {where}{self._shared()}")
        if held is not None:
            _say_reach(before, held)
        self._warn()

    def _begin_cell(self, words: list[str]) -> None:
        self.session.begin_cell(_cell_counts(words))

    def _run_cell(self, words: list[str], cell: str) -> None:
        """For a cell magic inside another one, and programs that call it."""
        counts = _words.together(self.session.counts, _cell_counts(words))
        with _words.applied(counts):
            self._shell.run_cell(cell).raise_error()

    def _before_cell(self, _: object) -> None:
        self._frontends.ran(self._shell)
        if said := self.session.before_cell():
            _say(said)
        self._warn()

    def _warn(self) -> None:
        for danger in self._dangers.news():
            _say(danger)

    def _settings(self) -> str:
        """What holds, as sentences."""
        counts = _words.text(self.session.counts)
        limited = f"Limits of this notebook: {counts}." if counts else "No limits of this notebook."
        return limited + self._shared()

    def _shared(self) -> str:
        if not self._frontends.several:
            return ""
        return " Another notebook or console uses this kernel too: it holds for all of them."

    def _complete(self, _: object, event: Any) -> list[str]:
        """Words for the tab key."""
        counts = [f"{name}=" for name in _words.names()]
        return counts if event.line.startswith("%%") else [*counts, *self._commands]


def _cell_counts(words: list[str]) -> _words.Counts:
    if not words:
        raise UsageError("%%threads wants the limits of the cell, as in %%threads blas=1")
    return _words.counts(words)


def _show(what: object) -> None:
    display(what)  # type: ignore[no-untyped-call]


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "the working directory, which was removed,"


def _number(word: str) -> float:
    try:
        number = float(word)
        return int(number) if number.is_integer() else number
    except ValueError:
        raise UsageError(f"%govern on {word}: expected a number of threads") from None


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What is wrong with what was typed is said in one line, not with our stack."""
    try:
        yield
    except Error as error:
        raise UsageError(str(error)) from None


def _say(text: str) -> None:
    """In the output of the cell."""
    print(f"corewise: {text}")


def _say_reach(before: Info, held: limits) -> None:
    """What each pool that the limits reach had, and what it has, read back."""
    if not held.outcomes:
        print("corewise: no pool of that kind is loaded yet; it is limited when it arrives")
    for pool, _, asked, _, reason in held.outcomes:
        was = before[pool.id].threads if pool.id < len(before) else None
        why = f" ({reason})" if pool.threads != asked and reason else ""
        change = f"{was or '?'} -> {pool.threads or '?'}"
        print(f"  {pool.api} {pool.prefix}: {change}, {pool.scope} scope{why}")
