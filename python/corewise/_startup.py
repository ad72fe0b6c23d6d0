"""COREWISE_THREADPOOLCTL=1: `import threadpoolctl` gives corewise.threadpoolctl, from the start.

Loaded by corewise_threadpoolctl.pth before any program; does nothing but intercept that one import.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
else:
    ModuleSpec = sys.modules["_frozen_importlib"].ModuleSpec


class _StandIn:
    """Finder and loader of the one name."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != "threadpoolctl":
            return None
        return ModuleSpec(name, _StandIn, origin="corewise.threadpoolctl")  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        return None

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        import corewise.threadpoolctl

        # The import system returns what is here after the module has run.
        sys.modules["threadpoolctl"] = corewise.threadpoolctl

    @staticmethod
    def get_code(name: str) -> CodeType:
        """For `python -m threadpoolctl`."""
        return compile("from corewise.threadpoolctl import _main; _main()", name, "exec")


sys.meta_path.insert(0, _StandIn)
