"""corewise.threadpoolctl and threadpoolctl side by side, as a Markdown table.

python bench/python_table.py [--rounds N]

Each measurement is a fresh process that times one operation of one implementation (median of many
calls, after warming up); rounds of both implementations alternate, so that a noisy machine disturbs
both alike, and the medians over the rounds are shown. Imports are whole processes less the time of
an empty one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from statistics import median

THEIRS, OURS = IMPLEMENTATIONS = ("threadpoolctl", "corewise.threadpoolctl")

MODULES = {
    "bare": "",
    "numpy": "import numpy",
    "numpy, scipy, sklearn, mdtraj": "import numpy, scipy.linalg, sklearn.cluster, mdtraj",
}

# Operation: (statement, share of threadpoolctl's time to reach in the largest set)
OPERATIONS = {
    "threadpool_info()": ("tp.threadpool_info()", 50),
    "ThreadpoolController()": ("tp.ThreadpoolController()", None),
    "with threadpool_limits(1)": ("with tp.threadpool_limits(1): pass", 50),
    "with controller.limit(limits=1)": ("with controller.limit(limits=1): pass", 4),
    "call of a function under wrap(1)": ("wrapped()", None),
}
IMPORT_TARGET = 3

PROGRAM = """
import sys, time
from statistics import median
{modules}
import {implementation} as tp
controller = tp.ThreadpoolController()
@tp.threadpool_limits.wrap(limits=1)
def wrapped(): pass
def operation(calls):
    start = time.perf_counter()
    for _ in range(calls):
        {statement}
    return (time.perf_counter() - start) / calls
once = median(operation(1) for _ in range(5))
calls = max(1, int(2e-3 / once))
print(1e6 * median(operation(calls) for _ in range(25)))
"""


def run(program: str) -> str:
    return subprocess.check_output([sys.executable, "-c", program], text=True)


def operation(implementation: str, modules: str, statement: str) -> float:
    """Microseconds a call."""
    return float(
        run(PROGRAM.format(modules=modules, implementation=implementation, statement=statement))
    )


def process(statement: str) -> float:
    """Microseconds from start to end."""
    start = time.perf_counter()
    run(statement)
    return 1e6 * (time.perf_counter() - start)


def row(name: str, modules: str, times: dict[str, list[float]], target: int | None) -> str:
    theirs, ours = (median(times[implementation]) for implementation in IMPLEMENTATIONS)
    verdict = ""
    if target is not None:
        verdict = f"1/{target} {'reached' if ours * target <= theirs else 'not reached'}"
    return f"| {name} | {modules} | {theirs:.1f} | {ours:.2f} | 1/{theirs / ours:.1f} | {verdict} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="processes for each number (5)")
    rounds = parser.parse_args().rounds
    print(f"Python {sys.version.split()[0]}, {len(os.sched_getaffinity(0))} CPUs, ", end="")
    print(f"load {os.getloadavg()[0]:.1f}, medians of {rounds} processes, microseconds\n")
    print("| operation | loaded | threadpoolctl | corewise | ratio | target |")
    print("|---|---|---:|---:|---:|---|")
    for modules, imports in MODULES.items():
        largest = imports == [*MODULES.values()][-1]
        for name, (statement, target) in OPERATIONS.items():
            times: dict[str, list[float]] = {
                implementation: [] for implementation in IMPLEMENTATIONS
            }
            for _ in range(rounds):
                for implementation, measured in times.items():
                    measured.append(operation(implementation, imports, statement))
            print(row(name, modules, times, target if largest else None), flush=True)
    times = {implementation: [] for implementation in IMPLEMENTATIONS}
    for _ in range(4 * rounds):
        empty = process("pass")
        for implementation, measured in times.items():
            measured.append(process(f"import {implementation}") - empty)
    print(row("import", "bare", times, IMPORT_TARGET))


if __name__ == "__main__":
    main()
