"""Limits for libraries that are imported while a limit is open.

A new extension module may bring a thread pool along. The core limits it at its next look, so a
look follows each load. Libraries loaded otherwise (ctypes, a dlopen in C) are seen at the next
corewise call of any kind.
"""

from __future__ import annotations

import sys

from . import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ExtensionFileLoader, ModuleSpec
    from types import ModuleType
else:
    # What importlib.machinery re-exports, without the time to import that.
    ExtensionFileLoader = sys.modules["_frozen_importlib_external"].ExtensionFileLoader

_create = ExtensionFileLoader.create_module


def _create_and_look(self: ExtensionFileLoader, spec: ModuleSpec) -> ModuleType:
    module = _create(self, spec)
    _core.refresh()
    return module


def watch() -> None:
    """Looks after every extension module that is loaded from now on. Idempotent."""
    ExtensionFileLoader.create_module = _create_and_look  # type: ignore[method-assign]
