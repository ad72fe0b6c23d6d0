"""What `corewise run` costs at the start of a program: the time to import, with and without it.

    python bench/start.py [-n 11]

Medians of wall and CPU time of fresh processes that took turns, with one BLAS thread each, so that
no idle pool spins.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

PROGRAMS = ("pass", "import numpy", "import sklearn.linear_model, scipy.linalg")
COREWISE = str(Path(sys.executable).with_name("corewise"))
STARTS = {"alone": [], "corewise run": [COREWISE, "run", "-q", "--"]}


def measure(command: list[str]) -> tuple[float, float]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, env=environment)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-n", "--repetitions", type=int, default=11)
    repetitions = parser.parse_args().repetitions
    print("| Program | alone | `corewise run` | ratio | CPU time alone | `corewise run` |")
    print("|---|---:|---:|---:|---:|---:|")
    for program in PROGRAMS:
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in STARTS}
        for _ in range(repetitions):
            for name, prefix in STARTS.items():
                runs[name].append(measure([*prefix, sys.executable, "-c", program]))
        (wall, cpu), (our_wall, our_cpu) = (
            [median(run[i] for run in each) for i in (0, 1)] for each in runs.values()
        )
        print(
            f"| `{program}` | {wall:.3f} s | {our_wall:.3f} s | {our_wall / wall:.2f} | "
            f"{cpu:.3f} s | {our_cpu:.3f} s |"
        )


if __name__ == "__main__":
    main()
