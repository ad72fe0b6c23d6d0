"""What the waiting of whole teams costs: bench/waiting.c in every column, side by side.

    python bench/waiting.py [-n 5] [--processes 2] [--beside 2] [--clang]
        [--governed "corewise run -q --"] [--before PREFIX]

Rows are teams of 2, 8 and 64 threads with regions of 11 µs, 0.5 ms and 10 ms. Repetitions are
interleaved, so that a noisy neighbour hits all columns alike. A cell is the median wall time of a
region, with the CPU time in brackets, both in microseconds. `omp1` runs every region on one thread.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
TEAMS = (2, 8, 64)
REGIONS = {11: 1500, 500: 150, 10_000: 12}
WAYS = ("OMP_", "GOMP_", "KMP_", "COREWISE_")


class Column(NamedTuple):
    name: str
    prefix: Sequence[str] = ()
    env: Mapping[str, str] = {}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-n", "--repetitions", type=int, default=5)
    parser.add_argument("--processes", type=int, default=1, help="how many run side by side")
    parser.add_argument("--beside", type=int, default=0, help="busy processes of others meanwhile")
    parser.add_argument("--clang", action="store_true", help="LLVM's runtime in place of libgomp")
    parser.add_argument("--governed", default="corewise run -q --", help="command prefix")
    parser.add_argument("--before", help="command prefix of one more column")
    return parser.parse_args()


def compiled(folder: str, clang: bool) -> str:
    program = f"{folder}/waiting"
    compiler = ["clang", "-fopenmp=libomp"] if clang else ["cc", "-fopenmp"]
    subprocess.run([*compiler, "-O2", HERE / "waiting.c", "-o", program], check=True)
    return program


def run(program: str, column: Column, team: int, work: int, processes: int) -> list[list[float]]:
    """Wall and CPU time a region, of each process."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(WAYS)} | column.env
    threads = 1 if column.name == "omp1" else team
    command = [*column.prefix, program, *map(str, (threads, work, REGIONS[work]))]
    started = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return [[float(x) for x in each.communicate()[0].split()] for each in started]


def main() -> int:
    options = arguments()
    columns = [
        Column("default"),
        Column("omp1"),
        Column("passive", env={"OMP_WAIT_POLICY": "passive"}),
        Column("governed", shlex.split(options.governed)),
    ]
    if options.before:
        columns.insert(3, Column("before", shlex.split(options.before)))
    rows = [(team, work) for team in TEAMS for work in REGIONS]
    cells: dict[tuple[int, int, str], list[list[float]]] = {}
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.beside)
    ]
    try:
        with tempfile.TemporaryDirectory() as folder:
            program = compiled(folder, options.clang)
            for _ in range(options.repetitions):
                for team, work in rows:
                    for column in columns:
                        found = run(program, column, team, work, options.processes)
                        cells.setdefault((team, work, column.name), []).extend(found)
    finally:
        for each in busy:
            each.kill()
    print("| team, work | " + " | ".join(column.name for column in columns) + " |")
    print("|" + "---|" * (len(columns) + 1))
    for team, work in rows:
        texts = [
            "{:.0f} ({:.0f})".format(*map(median, zip(*cells[team, work, c.name], strict=True)))
            for c in columns
        ]
        print(f"| {team}, {work} µs | " + " | ".join(texts) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
