"""`%load_ext corewise`: thread limits of a notebook and of a cell, governing, and what is there.

_words reads the words after %threads; _session knows what is in force for this kernel and applies
it; _magics are the commands; _overview is what `%threads` shows, with what to type from _cures and
the processes that multiply threads from _workers; _status answers JupyterLab's item; _dangers warns
before a cell that may kill the kernel; _deaths knows how the kernel before died; _live is the live
view.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ._magics import Magics

_loaded: Magics | None = None


def load(shell: InteractiveShell) -> None:
    """Registers the magics, and applies the nearest corewise.toml. If the file cannot be used, says
    so on standard error and applies nothing of it."""
    global _loaded
    if _loaded is not None:
        return
    from .._errors import Error
    from . import _deaths
    from ._magics import Magics

    _loaded = Magics(shell)
    _loaded.register()
    if told := _deaths.of_the_kernel_before():
        print(f"corewise: {told}")
    try:
        _loaded.apply_project()
    except Error as error:
        what = str(error).removesuffix(".")
        print(f"corewise: error: {what}; nothing of it was applied", file=sys.stderr)


def unload(shell: InteractiveShell) -> None:
    """Ends the limits and the governing that the magics began, and takes them away."""
    global _loaded
    if _loaded is not None:
        _loaded.unregister()
        _loaded = None


def loaded() -> Magics | None:
    """The magics of this kernel; None before `%load_ext corewise`."""
    return _loaded
