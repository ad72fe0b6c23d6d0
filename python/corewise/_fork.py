"""Imports before a fork. A module that another thread is importing at a fork stays locked in the
child for ever, where the child waits at its first use of it."""

from __future__ import annotations

import _thread
import sys

from . import _WHERE

# What the first call of some function imports: of corewise (beside the modules of its names), and
# of the standard library. tests/house holds this against the sources.
WITHIN = ("_decorate", "_html", "_pictures", "_report", "_table")
STANDARD = ("html", "json", "shutil", "socket", "textwrap", "time", "warnings")
# They need packages of others, or much time, and so are only waited for where an import has begun.
FOREIGN = ("_joblib", "threadpoolctl")


def import_all() -> None:
    """Imports what some call may import later, and waits for what other threads are importing.
    Where no other thread of Python lives, nobody can be importing, and this does nothing."""
    if not _thread._count():
        return
    own = {*_WHERE.values(), *WITHIN}.difference(FOREIGN)
    begun = [name for name in list(sys.modules) if name.startswith("corewise.")]
    for name in [*STANDARD, *(f"corewise.{name}" for name in sorted(own)), *begun]:
        __import__(name)
