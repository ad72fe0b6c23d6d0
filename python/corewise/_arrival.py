"""Limits for libraries that are imported while a limit is open.

A new extension module may bring a thread pool. The core limits the pool when it next looks, so we
look after each load. Libraries loaded in other ways (ctypes, dlopen in C) are seen at the next
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
    # What importlib.machinery re-exports, without the time to import it.
    ExtensionFileLoader = sys.modules["_frozen_importlib_external"].ExtensionFileLoader

_create = ExtensionFileLoader.create_module


def _create_and_look(self: ExtensionFileLoader, spec: ModuleSpec) -> ModuleType:
    module = _create(self, spec)
    _core.refresh()
    return module


def watch() -> None:
    """From now on, looks for pools after each load of an extension module. Idempotent."""
    ExtensionFileLoader.create_module = _create_and_look  # type: ignore[method-assign]
