"""`%load_ext corewise`: thread limits of a notebook and of a cell, governing, and what is there.

_words reads what stands behind %threads; _session knows what holds for this kernel and applies it;
_magics are the commands; _overview is what `%threads` shows; _status answers JupyterLab's item;
_dangers warns before a cell that may kill the kernel; _live is the live view.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ._magics import Magics

_loaded: Magics | None = None


def load(shell: InteractiveShell) -> None:
    """Registers the magics, and applies the nearest corewise.toml. A file that cannot be used is
    said on standard error; then nothing of it is applied."""
    global _loaded
    if _loaded is not None:
        return
    from .._errors import Error
    from ._magics import Magics

    _loaded = Magics(shell)
    _loaded.register()
    _tell_of_the_one_before()
    try:
        _loaded.apply_project()
    except Error as error:
        what = str(error).removesuffix(".")
        print(f"corewise: error: {what}; nothing of it was applied", file=sys.stderr)


def _tell_of_the_one_before() -> None:
    """One sentence if a process of this folder died within the hour before this kernel began."""
    import os
    import time

    from .._death import last_death

    death = last_death()
    if death is None:
        return
    try:
        if death.folder != os.getcwd():
            return
    except FileNotFoundError:  # the working directory was removed
        return
    age = time.time() - death.time
    if age < 3600 and death.pid != os.getpid():
        what = death.findings[0].what
        print(f"corewise: process {death.pid} died here {_ago(age)} ago: {what}. See %threads why")


def _ago(seconds: float) -> str:
    minutes = int(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return "a minute" if minutes == 1 else f"{minutes} minutes"


def unload(shell: InteractiveShell) -> None:
    """Ends the limits and the governing that the magics began, and takes them away."""
    global _loaded
    if _loaded is not None:
        _loaded.unregister()
        _loaded = None


def loaded() -> Magics | None:
    """The magics of this kernel; None before `%load_ext corewise`."""
    return _loaded
