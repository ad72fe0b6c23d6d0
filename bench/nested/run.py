"""The nested-parallelism table: every workload in every column, each cell in a fresh process.

    python bench/nested/run.py [--quick] [--only GLOB] [--columns default,governed] [-n 5]
        [--beside 1] [--timeout 30] [--python PATH]
        [--governed "corewise run --"] [--before "OTHER/corewise run --"] [--call corewise:govern]

Repetitions are interleaved (every column once, then every column again), so that a noisy neighbour
hits all columns alike; a cell is the median. A cell that does not end in time is shown as "> N s"
and not tried again. "best" is the best of all columns except the governed one; every cell shows its
ratio to it. Prints Markdown, writes everything measured to bench/results/nested.json.
"""

import argparse
import contextlib
import fnmatch
import json
import math
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean, median
from typing import NamedTuple

from workloads import WORKLOADS, Workload

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results"
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
)
# What a developer's shell may set and users' machines do not.
STRIPPED = (*THREAD_VARIABLES, "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_THREAD_TIMEOUT")
GOVERNED = "governed"
BEFORE = "before"  # governed by another corewise


class Column(NamedTuple):
    name: str
    says: str
    env: Mapping[str, str]
    prefix: Sequence[str] = ()


class Run(NamedTuple):
    wall: float
    cpu: float
    checksum: float


TUNED = (
    Column("default", "default", {}),
    Column("omp1", "`OMP_NUM_THREADS=1`", {"OMP_NUM_THREADS": "1"}),
    Column("all1", "all limited to 1", dict.fromkeys(THREAD_VARIABLES, "1")),
    Column("limits1", "`threadpool_limits(1)`", {"BENCH_LIMIT_ONE": "1"}),
    Column("timeout16", "`OPENBLAS_THREAD_TIMEOUT=16`", {"OPENBLAS_THREAD_TIMEOUT": "16"}),
    Column("passive", "`OMP_WAIT_POLICY=passive`", {"OMP_WAIT_POLICY": "passive"}),
    Column(
        "both",
        "both last",
        {"OPENBLAS_THREAD_TIMEOUT": "16", "OMP_WAIT_POLICY": "passive"},
    ),
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few workloads, once: under 3 minutes")
    parser.add_argument("--only", action="append", help="workloads by name or glob; repeatable")
    parser.add_argument("--columns", help="comma-separated names of columns")
    parser.add_argument("--sweep", help="columns from VARIABLE=VALUE,VALUE,... in place of these")
    parser.add_argument("-n", "--repetitions", type=int)
    parser.add_argument("--timeout", type=float, help="seconds a cell may take")
    parser.add_argument("--beside", type=int, default=0, help="busy processes of others meanwhile")
    parser.add_argument("--governed", help="command prefix of the governed column")
    parser.add_argument("--before", help="another corewise's prefix, for a column of its own")
    parser.add_argument("--call", help="module:function that the governed column calls instead")
    parser.add_argument("--env", action="append", default=[], help="NAME=VALUE for governed cells")
    parser.add_argument("--python", default=sys.executable, help="interpreter that runs the cells")
    parser.add_argument("--json", type=Path, default=RESULTS / "nested.json")
    return parser.parse_args()


def governed_column(options: argparse.Namespace) -> Column | None:
    env = dict(pair.split("=", 1) for pair in options.env)
    if options.call:
        return Column(GOVERNED, f"`{options.call}`", env | {"BENCH_CALL": options.call})
    if options.governed or env:
        prefix = shlex.split(options.governed or "")
        says = options.governed or "governed"
        return Column(GOVERNED, f"`{says}`", env, prefix)
    beside = Path(options.python).with_name("corewise")
    found = str(beside) if beside.exists() else shutil.which("corewise")
    if found is None:
        return None
    return Column(GOVERNED, "`corewise run`", env, (found, "run", "--"))


def run_cell(workload: Workload, column: Column, python: str, timeout: float) -> Run | str:
    """Runs one fresh process. A Run, or why there is none."""
    env = {name: value for name, value in os.environ.items() if name not in STRIPPED}
    env |= column.env
    command = [*column.prefix, python, str(HERE / "workloads.py"), workload.name]
    # A session of its own: killing a run that does not end kills its workers too.
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"> {timeout:.0f} s"
    if process.returncode != 0:
        print(err.decode(errors="replace")[-2000:], file=sys.stderr)
        return f"failed ({process.returncode})"
    return Run(**json.loads(out))


class Cell:
    """All runs of one workload in one column."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.failure = ""

    def add(self, result: Run | str) -> None:
        if isinstance(result, str):
            self.failure = result
        else:
            self.runs.append(result)

    @property
    def wall(self) -> float:
        return math.inf if self.failure else median(run.wall for run in self.runs)

    @property
    def cpu(self) -> float:
        return math.inf if self.failure else median(run.cpu for run in self.runs)

    def text(self, best: float) -> str:
        if self.failure:
            return self.failure
        return f"{self.wall / best:.2f} ({self.wall:.3f} s)"


Table = dict[str, dict[str, Cell]]


def measure(
    chosen: Sequence[Workload], columns: Sequence[Column], options: argparse.Namespace
) -> Table:
    table: Table = {w.name: {c.name: Cell() for c in columns} for w in chosen}
    for workload in chosen:
        started = time.monotonic()
        for _ in range(options.repetitions):
            for column in columns:
                cell = table[workload.name][column.name]
                if not cell.failure:
                    cell.add(run_cell(workload, column, options.python, options.timeout))
        print(f"{workload.name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return table


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keeps so many useless processes running, which no column can govern."""
    command = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def best_tuned(cells: Mapping[str, Cell]) -> float:
    return min(cell.wall for name, cell in cells.items() if name not in (GOVERNED, BEFORE))


def to_best_of_other_runs(cells: Mapping[str, Cell], name: str) -> float:
    """A column's time as a ratio to the tuned column that is best in the other repetitions.

    The least of seven medians is smaller than any of the seven would be again: noise chose it. So
    this compares each repetition with the column that the other repetitions choose (leave one out).
    """
    tuned = [cell for key, cell in cells.items() if key not in (GOVERNED, BEFORE)]
    tuned = [cell for cell in tuned if not cell.failure and len(cell.runs) > 1]
    if not tuned or cells[name].failure:
        return math.inf
    ratios = []
    for i, ours in enumerate(cells[name].runs):
        best = min(tuned, key=lambda c: median(r.wall for j, r in enumerate(c.runs) if j != i))
        ratios.append(ours.wall / best.runs[i].wall)
    return median(ratios)


def checksums_differ(cells: Mapping[str, Cell]) -> bool:
    sums = [run.checksum for cell in cells.values() for run in cell.runs]
    return any(not math.isclose(one, sums[0], rel_tol=1e-6) for one in sums)


def print_tables(
    chosen: Sequence[Workload], columns: Sequence[Column], table: Table, what: str
) -> None:
    print(f"\n| Workload | {' | '.join(column.says for column in columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for workload in chosen:
        cells = table[workload.name]
        if what == "wall":
            row = [cells[column.name].text(best_tuned(cells)) for column in columns]
        else:
            row = [cells[c.name].failure or f"{cells[c.name].cpu:.2f} s" for c in columns]
        print(f"| {workload.name}: {workload.says} | {' | '.join(row)} |")


def columns_of(table: Table) -> set[str]:
    return {name for cells in table.values() for name in cells}


def verdict(chosen: Sequence[Workload], table: Table) -> None:
    """Compares the governed column with the aims of the project; names the losers."""
    late, slower, busier = [], [], []
    for workload in chosen:
        cells = table[workload.name]
        ours = cells[GOVERNED]
        if (ratio := ours.wall / best_tuned(cells)) > 1.05:
            late.append(f"{workload.name} {ratio:.2f}")
        allowed = 1.03 if workload.nests else 1.01
        if "default" in cells and (ratio := ours.wall / cells["default"].wall) > allowed:
            slower.append(f"{workload.name} {ratio:.2f}")
        if "all1" in cells and (ratio := ours.cpu / cells["all1"].cpu) > 1.10:
            busier.append(f"{workload.name} {ratio:.2f}")
    print()
    for name in sorted(columns_of(table)):
        both = [(cells[name].wall, best_tuned(cells)) for cells in table.values()]
        ratios = [ours / best for ours, best in both if max(ours, best) < math.inf]
        mean = f"{geometric_mean(ratios):.3f}" if ratios else "unknown"
        fair = [to_best_of_other_runs(cells, name) for cells in table.values()]
        fair = [ratio for ratio in fair if ratio < math.inf]
        line = f"- {name}: {mean} of the best tuned column, in {len(ratios)} rows that ended"
        if fair:
            line += f"; {geometric_mean(fair):.3f} of the one that the other repetitions choose"
        print(line)
    for says, losers in (
        ("more than 5 % behind the best tuned column", late),
        ("slower than default (3 %; 1 % where nothing nests)", slower),
        ("more than 10 % above the serial run's CPU time", busier),
    ):
        listed = ", ".join(losers) or "none"
        print(f"- {says}: {len(losers)} of {len(chosen)}: {listed}")


def machine(python: str) -> str:
    query = (
        "import sys, importlib.metadata as m; print('Python', sys.version.split()[0], *("
        "f'{n} {m.version(n)}' for n in ('numpy', 'scipy', 'scikit-learn', 'joblib')), sep=', ')"
    )
    versions = subprocess.run([python, "-c", query], capture_output=True, text=True).stdout.strip()
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    cpus = len(os.sched_getaffinity(0))
    return f"{model}, {cpus} CPUs, Linux {platform.release()}; {versions}"


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def main() -> int:
    options = arguments()
    options.repetitions = options.repetitions or (1 if options.quick else 5)
    options.timeout = options.timeout or (6.0 if options.quick else 30.0)
    globs = options.only or ["*"]
    chosen = [
        workload
        for workload in WORKLOADS
        if any(fnmatch.fnmatch(workload.name, glob) for glob in globs)
        and (workload.quick or options.only or not options.quick)
    ]
    governed = governed_column(options)
    columns = [*TUNED, governed] if governed else list(TUNED)
    if options.before:
        columns.append(Column(BEFORE, "governed before", {}, shlex.split(options.before)))
    if options.sweep:
        variable, values = options.sweep.split("=", 1)
        columns = [
            TUNED[0],
            *(Column(v, f"`{variable}={v}`", {variable: v}) for v in values.split(",")),
        ]
    if options.columns:
        names = options.columns.split(",")
        columns = [column for column in columns if column.name in names]
    if not chosen or not columns:
        print("run.py: no such workload or column", file=sys.stderr)
        return 2

    before, started = load(), time.monotonic()
    with busy(options.beside):
        table = measure(chosen, columns, options)
    about = machine(options.python)
    taken = time.monotonic() - started
    print(f"{about}. Median of {options.repetitions}, load {before} before, {load()} after.")
    if options.beside:
        print(f"Beside {options.beside} busy processes of others.")
    print(
        "Each cell: wall time as a ratio to the best column that is not governed (and its median)."
    )
    if governed is None:
        print("No governed column: no `corewise` beside this Python; see --governed and --call.")
    print_tables(chosen, columns, table, "wall")
    print("\nCPU time, children included:")
    print_tables(chosen, columns, table, "cpu")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "machine": about,
        "load": [before, load()],
        "seconds": taken,
        "cells": {
            name: {
                column: cell.failure or [run._asdict() for run in cell.runs]
                for column, cell in cells.items()
            }
            for name, cells in table.items()
        },
    }
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    if any(column.name == GOVERNED for column in columns) and len(columns) > 1:
        verdict(chosen, table)
    if wrong := [name for name, cells in table.items() if checksums_differ(cells)]:
        print(f"\nCHECKSUMS DIFFER between columns: {', '.join(wrong)}")

    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
