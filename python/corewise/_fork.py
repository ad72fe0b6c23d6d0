"""Imports before a fork. If another thread is importing a module at the fork, the module stays
locked in the child for ever, and the child hangs at its first use."""

from __future__ import annotations

import _thread
import sys

from . import _WHERE
from ._show import VIEWS

# What the first call of some function imports: from corewise (besides the modules of its names) and
# from the standard library. tests/house checks this against the sources.
WITHIN = ("_decorate", "_report", "_show")
STANDARD = ("difflib", "json", "socket", "warnings")
# These need other packages, or much time, so we only wait for an import that has begun.
FOREIGN = ("_joblib", "threadpoolctl")


def import_all() -> None:
    """Imports what a later call may import, and waits for what other threads are importing. Does
    nothing if there is no other Python thread: then nobody can be importing."""
    if not _thread._count():
        return
    own = {*_WHERE.values(), *WITHIN}.difference(FOREIGN)
    own.update(f"_show.{view}" for view in VIEWS.values())
    begun = [name for name in list(sys.modules) if name.startswith("corewise.")]
    for name in [*STANDARD, *(f"corewise.{name}" for name in sorted(own)), *begun]:
        __import__(name)
