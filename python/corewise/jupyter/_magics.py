"""%threads, %%threads and %govern."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.inputtransformer2 import cell_magic
from IPython.display import display

from .._budget import budget
from .._control import sample
from .._death import last_death
from .._errors import BadFile, BadValue, Error, closest
from .._govern import govern_report
from .._info import Info, info
from .._limits import limits
from .._project import NAME, Project, project
from .._show.pools import pool_names
from .._show.text import counted
from . import _words
from ._dangers import Dangers
from ._frontends import Frontends
from ._overview import Overview
from ._session import Session, Tuning
from ._status import Status

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ._live import Live


# Marks the limits of a cell, in the line that %%threads is rewritten to.
_CELL = "--cell "
_HELP = ("help", "h")


def _cell_lines(lines: list[str]) -> list[str]:
    """Rewrites a cell that begins with %%threads: the cell runs as itself, after a first line that
    opens its limits. So await, tracebacks and what the cell shows are as without limits."""
    if not lines or not lines[0].startswith("%%threads ") or len(lines) < 2:
        return lines
    words = lines[0].removeprefix("%%threads ").strip()
    return [
        f"get_ipython().run_line_magic('threads', {_CELL + words!r})\n",
        *cell_magic(lines[1:]),  # type: ignore[no-untyped-call]
    ]


class Magics:
    """The commands of one kernel, and what they set."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.session = Session()
        self._file_governs = False  # it began the governing that the session does now
        self._shell: Any = shell
        self._commands: dict[str, Callable[[], None]] = {
            "help": lambda: _print_help(self.threads),
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
        # After the transform that removes empty lines before the first word.
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

        %threads                    show the pools, your CPUs, and what is wrong
        %threads openmp=8 blas=4    limit these pools in every cell from now on; also tbb, arrow,
                                    numba, a pool by its name (libgomp=2), or the pools that a
                                    package brought (numpy=2)
        %threads blas=2             change the limit of these pools; other pools keep theirs
        %threads 4                  limit every pool to 4 threads
        %threads off blas           end the limits of these pools
        %threads off                end all limits of this notebook
        %%threads blas=1            first line of a cell: a limit for this cell only; it overrides
                                    the notebook's limit of the same pool
        %threads reset              apply corewise.toml; without one, end all limits, and what an
                                    earlier one had set
        %threads report             show what governing did (see %govern)
        %threads why                say why this notebook's kernel died
        %threads live               show once a second what the threads do; needs anywidget
        %threads help               show this text

        `openmp=8, blas=4` and `--openmp 8 --blas 4` are read as well. A limit by name (numpy=2)
        holds over one for its kind (blas=4). A later limit for the kind replaces it. Of these and
        the limits of corewise.limits or from outside, the lowest wins. A BLAS limit applies to the
        whole process. OpenMP counts belong to a thread: corewise sets them on the thread that runs
        cells, before each cell if needed.
        """
        with _refusals():
            if line.startswith(_CELL):
                self._begin_cell(_words.split(line.removeprefix(_CELL)))
                return
            words = _words.split(line)
            if cell is not None:
                self._run_cell(words, cell)
            elif not words:
                report = govern_report()
                _show(Overview(self._settings(), report["budget"] if report["governed"] else None))
            elif words[0] == "off":
                self._off(words[1:])
            elif words[0] in self._commands or words[0] in _HELP:
                if len(words) > 1:
                    raise UsageError(f"write %threads {words[0]} without {words[1]!r}")
                self._commands["help" if words[0] in _HELP else words[0]]()
            else:
                self._set(words)

    def govern(self, line: str) -> None:
        """Keeps this kernel, and the processes that it starts, inside one thread budget.

        %govern on             give each BLAS call, and each OpenMP loop that is proven to allow
                               it, the CPUs that are free; other loops keep all their threads
        %govern on budget=8    the same with at most 8 threads at a time; `on 8` and `on --budget 8`
                               are read as well
        %govern off            stop governing
        %govern                show what it did so far
        """
        words = _words.split(line)
        with _refusals():
            if not words:
                self._report()
            elif words == ["off"]:
                self._file_governs = False
                ended = self.session.ungovern()
                _say("not governed any more" if ended else "%govern was not on; nothing changed")
            elif words[0] in _HELP and len(words) == 1:
                _print_help(self.govern)
            elif words[0] == "on" and len(words) < 3:
                budget = _number(words[1].removeprefix("budget=")) if len(words) == 2 else None
                self.session.govern(budget)
                self._file_governs = False
                _say(f"governed, budget {govern_report()['budget']}{self._shared()}")
            else:
                raise UsageError(
                    f"%govern does not know {line.strip()!r}: write %govern on, "
                    "%govern on budget=8 or %govern off"
                )

    def apply_project(self) -> bool:
        """Applies the limits and the governing of the nearest corewise.toml in place of the present
        ones, and says so. Returns whether there is such a file. Raises Error, and then changes
        nothing."""
        found = project()
        if found is None:
            return False
        before = self.session.counts
        tuned = self.session.tune(Tuning(found.bend, found.weight, found.share))
        remark = ""
        try:
            self.session.set(found.limits)
            if found.govern:
                cpus, remark = _budget_here(found)
                self.session.govern(cpus, found.group)
            elif found.govern is False or self._file_governs:
                self.session.ungovern()
        except Error as error:
            self.session.set(before)
            self.session.tune(tuned)
            raise BadFile(f"{found.path}: {error}") from None
        self._file_governs = bool(found.govern)
        if remark:
            _say(remark)
        parts = [_words.text(found.limits)] if found.limits else []
        report = govern_report()
        if found.govern:
            parts.append(f"governed, budget {report['budget']}")
        elif found.govern is False and not report["governed"]:
            parts.append("not governed")
        if self.session.bending:
            parts.append(f"bends: {', '.join(self.session.bending)}")
        _say(f"{', '.join(parts) or 'nothing to apply'} ({found.path})")
        return True

    def _off(self, names: list[str]) -> None:
        self._apply(_words.without(self.session.counts, names) if names else {})

    def _reset(self) -> None:
        if not self.apply_project():
            self.session.set({})
            self.session.tune(Tuning())
            if self._file_governs:
                self._file_governs = False
                self.session.ungovern()
            _say(f"no limits: there is no {NAME} in {_folder()} or above")

    def _report(self) -> None:
        _show(govern_report())

    def _why(self) -> None:
        death = last_death()
        if death is None:
            _say(
                "no process left a report of its death: a kernel does only after %load_ext "
                'corewise. If it wrote "OpenBLAS warning: precompiled NUM_THREADS exceeded", or '
                '"double free or corruption", %govern on is the cure, before the first fit'
            )
            return
        if not death.own:
            _say("this notebook left no report of a death; this is the last one of all")
        _show(death)

    def _show_live(self) -> None:
        try:
            from ._live import Live
        except ImportError as error:
            raise UsageError(
                f"the live view needs anywidget: pip install anywidget ({error})"
            ) from None
        if self._live is not None:
            self._live.stop()  # one at a time; the earlier one keeps what it showed last
        self._live = Live(self._shell, self.session)
        self._live.show()

    def _set(self, words: list[str]) -> None:
        if words == ["on"]:
            raise UsageError("%threads does not know 'on': did you mean %govern on?")
        known = ["off", *self._commands]
        meant = closest(words[0], known) if len(words) == 1 else None
        if meant and words[0] not in _words.names():
            raise UsageError(f"%threads does not know {words[0]!r}: did you mean %threads {meant}?")
        before = self.session.counts
        counts = _words.together(before, _words.counts(words))
        ended = _words.text(_words.ended(before, counts))
        self._apply(counts, f"; {ended} ended" if ended else "")
        self._warn()

    def _apply(self, counts: _words.Counts, remark: str = "") -> None:
        """Makes these the notebook's limits, and lists what is limited now."""
        before = info()
        held = self.session.set(counts)
        if held is None:
            _say("this notebook limits nothing now" + self._shared())
        else:
            _say(f"{_words.text(counts)} for every cell of this notebook{remark}{self._shared()}")
            _say_reach(before, held)
        for other in _limits_of_others(self.session):
            _say(other)

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
        """What is in force, as sentences."""
        counts = self.session.counts
        limited = (
            f"Limits of this notebook: {_words.text(counts)}."
            if counts
            else "This notebook limits nothing."
        )
        others = "".join(f" {other}." for other in _limits_of_others(self.session))
        return limited + others + self._shared()

    def _shared(self) -> str:
        if not self._frontends.several:
            return ""
        return " Another notebook or console uses this kernel too, with the same limits."

    def _complete(self, _: object, event: Any) -> list[str]:
        """Words for the tab key."""
        if event.line.split()[1:2] == ["off"]:
            return list(self.session.counts)
        counts = [f"{name}=" for name in _words.names()]
        return counts if event.line.startswith("%%") else [*counts, "off", *self._commands]


def _budget_here(found: Project) -> tuple[float | None, str]:
    """The file's budget, and no remark. A shared file reaches smaller machines too: there the
    machine's own, lower budget holds, and a remark says so, as that of `corewise run`."""
    if found.budget is not None:
        try:
            budget(found.budget)
        except BadValue:
            above = f"{found.path}: budget {found.budget:g} is above this machine"
            return None, f"{above}: it gets {counted(budget().cpus, 'CPU')}"
    return found.budget, ""


def _cell_counts(words: list[str]) -> _words.Counts:
    if not words:
        raise UsageError("%%threads needs the limits of the cell: write %%threads blas=1")
    return _words.counts(words)


def _show(what: object) -> None:
    display(what)  # type: ignore[no-untyped-call]


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "the working directory, which was removed,"


def _number(word: str) -> float:
    name, _, value = word.partition("=")
    lines = {"weight": f"weight = {value or 40}", "group": f'group = "{value or "mine"}"'}
    if name in lines:
        raise UsageError(
            f"a {name} belongs to all notebooks of a folder: write"
            f" {lines[name]} below [govern] in corewise.toml"
        )
    try:
        number = float(word)
        return int(number) if number.is_integer() else number
    except ValueError:
        raise UsageError(f"%govern on {word}: {word!r} is not a number of threads") from None


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Reports what is wrong with the typed words in one line, without our stack."""
    try:
        yield
    except Error as error:
        raise UsageError(str(error)) from None


def _say(text: str) -> None:
    """Prints in the output of the cell."""
    print(f"corewise: {text}")


def _print_help(magic: Callable[..., None]) -> None:
    print(inspect.getdoc(magic))


# How far a count reaches.
_REACH = {"thread": "on the thread that runs cells", "process": "in the whole process"}


def _say_reach(before: Info, held: limits) -> None:
    """Says what each pool that the limits reach has now, read back, and what it had before."""
    if not held.outcomes:
        print("  no such pool is loaded yet; the limit applies when one is loaded")
    names = pool_names([(o.pool.runtime, o.pool.path) for o in held.outcomes])
    for name, (pool, _, asked, _, reason) in zip(names, held.outcomes, strict=True):
        was = before[pool.id].threads if pool.id < len(before) else None
        changed = "" if was == pool.threads else f" (was {was or '?'})"
        why = f", not {asked}: {reason}" if pool.threads != asked and reason else ""
        reach = f", {_REACH[pool.scope]}" if pool.scope in _REACH else ""
        print(f"  {pool.api}: {name} {_threads(pool.threads)}{changed}{reach}{why}")


def _threads(count: int | None) -> str:
    return counted(count, "thread") if count else "? threads"


def _limits_of_others(session: Session) -> list[str]:
    """Sentences about pools that are limited to fewer threads than the session limits them to: by
    corewise.limits in the notebook's code, and from outside."""
    pools = sample()["pools"]
    names = pool_names([(pool["runtime"], pool["path"]) for pool in pools])
    told: list[str] = []
    for key, who in (
        ("limited", "corewise.limits"),
        ("limit", "The status bar or `corewise limit`"),
    ):
        found = []
        for name, pool in zip(names, pools, strict=True):
            own = session.count_for(pool)
            if pool[key] and (own is None or pool[key] < own):
                found.append(f"{name} to {_threads(pool[key])}")
        if found:
            told.append(f"{who} limits {', '.join(found)}")
    return told
