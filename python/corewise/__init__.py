"""See, limit and govern every native thread pool of this process: OpenMP, BLAS, TBB, Arrow, numba.

    import corewise
    corewise.info()                          # a table of every pool
    with corewise.limits(openmp=8, blas=4):  # undone at the end of the block
        ...
    corewise.budget()                        # the CPUs that you may use, and what bounds them
    with corewise.plan(processes=4).apply(): # the budget divided, as limits
        ...
    corewise.doctor()                        # what is wrong, why, and what to do
    with corewise.governed(budget=8):        # BLAS calls, and loops that allow it, get free CPUs
        ...
    corewise.last_death()                    # what killed the last process
    corewise.sample()                        # what the threads of each pool do now
    corewise.project()                       # what the nearest corewise.toml says

In a notebook `%load_ext corewise` brings %threads and %govern.

Names are loaded on first use, so importing costs next to nothing. Importing starts a thread that
answers on the control socket (docs/control.md), unless COREWISE_CONTROL=off is set. A process that
dies leaves a report (docs/postmortem.md), unless COREWISE_POSTMORTEM=off is set.
"""

import os as _os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from . import dask as dask
    from . import sklearn as sklearn
    from . import threadpoolctl as threadpoolctl
    from ._budget import Budget as Budget
    from ._budget import budget as budget
    from ._control import control as control
    from ._control import control_path as control_path
    from ._control import control_start as control_start
    from ._control import control_stop as control_stop
    from ._control import sample as sample
    from ._core import Pool as Pool
    from ._death import Death as Death
    from ._death import last_death as last_death
    from ._doctor import Finding as Finding
    from ._doctor import Findings as Findings
    from ._doctor import doctor as doctor
    from ._errors import AboveCeiling as AboveCeiling
    from ._errors import BadCount as BadCount
    from ._errors import BadFile as BadFile
    from ._errors import BadType as BadType
    from ._errors import BadValue as BadValue
    from ._errors import Error as Error
    from ._errors import LibraryLied as LibraryLied
    from ._errors import LimitWarning as LimitWarning
    from ._errors import NotAvailable as NotAvailable
    from ._errors import UnknownName as UnknownName
    from ._govern import govern as govern
    from ._govern import govern_report as govern_report
    from ._govern import governed as governed
    from ._govern import ungovern as ungovern
    from ._info import Info as Info
    from ._info import Outcome as Outcome
    from ._info import PoolInfo as PoolInfo
    from ._info import info as info
    from ._joblib import joblib as joblib
    from ._limits import limits as limits
    from ._plan import Plan as Plan
    from ._plan import plan as plan
    from ._project import Project as Project
    from ._project import project as project
    from ._replace import install_as_threadpoolctl as install_as_threadpoolctl

    __version__: str

_WHERE = {
    **dict.fromkeys(
        (
            "AboveCeiling",
            "BadCount",
            "BadFile",
            "BadType",
            "BadValue",
            "Error",
            "LibraryLied",
            "LimitWarning",
            "NotAvailable",
            "UnknownName",
        ),
        "_errors",
    ),
    **dict.fromkeys(("govern", "govern_report", "governed", "ungovern"), "_govern"),
    **dict.fromkeys(("Info", "Outcome", "PoolInfo", "info"), "_info"),
    **dict.fromkeys(("Budget", "budget"), "_budget"),
    **dict.fromkeys(
        ("control", "control_path", "control_start", "control_stop", "sample"), "_control"
    ),
    **dict.fromkeys(("Death", "last_death"), "_death"),
    **dict.fromkeys(("Finding", "Findings", "doctor"), "_doctor"),
    **dict.fromkeys(("Plan", "plan"), "_plan"),
    **dict.fromkeys(("Project", "project"), "_project"),
    "Pool": "_core",
    "joblib": "_joblib",
    "limits": "_limits",
    "install_as_threadpoolctl": "_replace",
}

_MODULES = ("dask", "sklearn", "threadpoolctl")

__all__ = ["__version__", "pools", *_MODULES, *_WHERE]  # noqa: PLE0604


def pools() -> "list[Pool]":
    """Every native thread pool of this process, in the order they were found.

    Each is a live handle: reading `threads` asks the library, for the calling thread; everything
    else never changes. Finds libraries loaded since the last call. Safe from any thread.
    """
    from . import _core

    return _core.pools()


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Called by `%load_ext corewise`: adds %threads and %govern, and applies corewise.toml."""
    from . import jupyter

    jupyter.load(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """Called by `%unload_ext corewise`: removes %threads and %govern, and undoes what they set."""
    from . import jupyter

    jupyter.unload(shell)


def __getattr__(name: str) -> object:
    if not _begun and (name in _WHERE or name in _MODULES):
        _begin()
    value: object
    if name in _WHERE:
        value = getattr(__import__(f"corewise.{_WHERE[name]}", fromlist=[name]), name)
    elif name in _MODULES:
        value = __import__(f"corewise.{name}", fromlist=[name])
    elif name == "__version__":
        value = __import__("corewise._core", fromlist=["version"]).version()
    else:
        raise AttributeError(f"module 'corewise' has no attribute {name!r}")
    globals()[name] = value
    return value


_begun = False


def _begin() -> None:
    """Starts, once, the parts of corewise that run in the background."""
    global _begun
    _begun = True
    _os.register_at_fork(before=_import_all)
    if _os.environ.get("COREWISE_CONTROL") != "off":
        _serve()
        _os.register_at_fork(after_in_child=_serve)
    if _os.environ.get("COREWISE_POSTMORTEM") != "off":
        _watch()


def _inherit() -> None:
    """Called by corewise_govern.pth in a Python that a governed one started."""
    try:
        from . import _govern
    except ImportError:
        # A subinterpreter: its process is governed already.
        return
    _govern.inherit()


def _import_all() -> None:
    from . import _fork

    _fork.import_all()


def _serve() -> None:
    """Ignores failure: a process without a control socket can do everything else, and
    `control_start()` says why. One without _core, such as a subinterpreter of Python 3.12 and
    later, says so at its first use."""
    try:
        from . import _core

        _core.control_start()
    except Exception:
        return


def _watch() -> None:
    """Ignores failure: a process without a folder for its report works all the same."""
    try:
        from . import _arrival, _core

        _core.watch_death()
    except Exception:
        return
    _arrival.watch()


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})


# With the drop-in standing by in every Python that starts, only the first use begins.
if _os.environ.get("COREWISE_THREADPOOLCTL", "0") in ("", "0"):
    _begin()
