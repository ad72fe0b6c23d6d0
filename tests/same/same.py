"""What a Python program of this suite is: a function that computes with `threads` threads and
returns numbers.

    python tests/same/same.py FILE.FUNCTION

runs the function of that name in programs/FILE.py, twice in one process, because a later region may
get another team, and prints a line of JSON each time. It runs in every environment of the suite, so
it needs only the standard library; the functions import what they use.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Work = Callable[[int], Any]


@dataclass(frozen=True)
class Entry:
    """A program, and how its numbers compare."""

    name: str
    target: str
    environment: str
    rounding: float
    because: str


ENTRIES: list[Entry] = []


def program(*environments: str, rounding: float = 0.0, because: str = "") -> Callable[[Work], Work]:
    """Registers a function under each of the virtual environments (`.venv-NAME`; "" is `.venv`).

    Its numbers must be equal to the bit. A program that may differ by `rounding` (relative) says
    why: it varies ungoverned, its teams bend, or it calls BLAS.
    """
    assert (rounding > 0) == bool(because)

    def enter(work: Work) -> Work:
        for environment in environments:
            old = "-old" if environment.endswith("old") else ""
            target = f"{Path(work.__code__.co_filename).stem}.{work.__name__}"
            name = work.__name__.replace("_", "-") + old
            ENTRIES.append(Entry(name, target, environment, rounding, because))
        return work

    return enter


def numbers(array: Any) -> dict[str, Any]:
    """An array in a few numbers: two that compare to rounding, and its bytes, which do not."""
    import numpy as np

    array = np.ascontiguousarray(array)
    values = (np.abs(array) if np.iscomplexobj(array) else array).astype(float).ravel()
    ramp = np.linspace(1, 2, values.size)
    bits = hashlib.sha1(array.tobytes()).hexdigest()[:12]
    return {"sum": float(values.sum()), "ramp": float(np.sum(values * ramp)), "bits": bits}


def middle() -> None:
    """Between the two runs: the harness takes the budget, or gives it back, while we wait."""
    if folder := os.environ.get("SAME_MIDDLE"):
        Path(folder, "reached").touch()
        while not Path(folder, "go").exists():
            time.sleep(0.005)


def beside_corewise(when: str) -> None:
    """If the harness asks for it: the program imports corewise now, and looks at its pools."""
    if os.environ.get("SAME_IMPORT") == when:
        import corewise

        corewise.info()


def main(target: str) -> None:
    file, function = target.split(".")
    beside_corewise("before")
    work = getattr(importlib.import_module(f"programs.{file}"), function)
    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    print(json.dumps(work(threads)), flush=True)
    beside_corewise("after")
    middle()
    print(json.dumps(work(threads)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
