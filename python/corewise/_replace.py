"""`corewise.install_as_threadpoolctl`: the drop-in in place of the real thing."""

from __future__ import annotations

import sys


def install_as_threadpoolctl() -> list[str]:
    """Makes corewise.threadpoolctl answer to the name threadpoolctl, in this process.

    Modules that have already imported names from the real threadpoolctl get ours instead.
    Controllers that they keep are made anew, and custom controllers that were registered there are
    registered here. Returns what was replaced, as "module.name"; empty if nothing had been
    imported. Idempotent. Does not take over limits that the real threadpoolctl has open: call this
    outside of them. Safe from any thread, but not while other threads import.
    """
    from . import threadpoolctl as ours
    from .threadpoolctl._controllers import _ALL_CONTROLLERS

    real = sys.modules.get("threadpoolctl")
    sys.modules["threadpoolctl"] = ours
    if real is None or real is ours:
        return []
    for kind in real._ALL_CONTROLLERS:
        if kind.__module__ != real.__name__ and kind not in _ALL_CONTROLLERS:
            ours.register(kind)
    theirs = {
        id(value): getattr(ours, name)
        for name, value in vars(real).items()
        if hasattr(ours, name) and getattr(value, "__module__", None) == real.__name__
    }
    theirs[id(real)] = ours
    replaced = []
    for module_name, module in tuple(sys.modules.items()):
        if module is real or module is ours:
            continue
        for name, value in tuple(getattr(module, "__dict__", {}).items()):
            if id(value) in theirs:
                setattr(module, name, theirs[id(value)])
            elif type(value) is real.ThreadpoolController:
                # scikit-learn keeps a controller.
                setattr(module, name, ours.ThreadpoolController())
            else:
                continue
            replaced.append(f"{module_name}.{name}")
    return sorted(replaced)
