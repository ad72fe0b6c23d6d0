"""What ranks with unequal work gain by lending each other their CPUs: every column, side by side.

    python bench/mpi/lending.py [-n 5] [--ranks 2] [--governed "corewise run -q --"]

The first rank has three times the work of each other one; a rank that has done its part sleeps in a
barrier. `halves` gives each rank its static part of the CPUs. `ideal` is all of the work in one
rank with all CPUs, which no division can beat. Rows: products of NumPy (OpenBLAS) under mpi4py, and
OpenMP regions in C++. Repetitions are interleaved; a cell is the median wall time and its ratio to
the ideal.
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
CPUS = len(os.sched_getaffinity(0))
HEAVY = 3
PRODUCTS = """
import sys, time
from mpi4py import MPI
import numpy as np
comm = MPI.COMM_WORLD
a = np.random.default_rng(0).random((700, 700))
a @ a
comm.Barrier()
began = time.perf_counter()
for _ in range(int(sys.argv[1 + comm.Get_rank()])): a @ a
request = comm.Ibarrier()
while not request.Test(): time.sleep(0.001)
if comm.Get_rank() == 0: print(time.perf_counter() - began)
"""


class Column(NamedTuple):
    name: str
    prefix: Sequence[str] = ()
    env: Mapping[str, str] = {}
    alone: bool = False


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-n", "--repetitions", type=int, default=5)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--governed", default="corewise run -q --", help="command prefix")
    return parser.parse_args()


def run(command: Sequence[str], column: Column, ranks: int, unit: int) -> float:
    parts = [HEAVY * unit] + [unit] * (ranks - 1)
    if column.alone:
        parts, ranks = [sum(parts)], 1
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP", "OPENBLAS"))}
    env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **column.env}
    launch = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)]
    done = subprocess.run(
        [*launch, *column.prefix, *command, *map(str, parts)],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def main() -> None:
    options = arguments()
    each = str(max(1, CPUS // options.ranks))
    columns = [
        Column("ideal", alone=True),
        Column("default"),
        Column("halves", env={"OMP_NUM_THREADS": each, "OPENBLAS_NUM_THREADS": each}),
        Column("`corewise run`", shlex.split(options.governed)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        compiled = f"{folder}/lending"
        source = HERE / "lending.cpp"
        subprocess.run(["mpicxx", "-O2", "-fopenmp", source, "-o", compiled], check=True)
        rows = {
            "NumPy, products of 700²": ([sys.executable, "-c", PRODUCTS], 20),
            "OpenMP in C++, regions of 5 ms": ([compiled], 40),
        }
        print(f"{options.ranks} ranks, {CPUS} CPUs, medians of {options.repetitions}\n")
        print("| Work | " + " | ".join(column.name for column in columns) + " |")
        print("|---|" + "---:|" * len(columns))
        for name, (command, unit) in rows.items():
            times: list[list[float]] = [[] for _ in columns]
            for _ in range(options.repetitions):
                for seen, column in zip(times, columns, strict=True):
                    seen.append(run(command, column, options.ranks, unit))
            ideal = median(times[0])
            cells = [f"{median(seen):.3f} s ({median(seen) / ideal:.2f})" for seen in times]
            print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
