"""What `corewise run` costs at the start of a program: the time to import, with and without it.

    python bench/start.py [-n 11] [--before OTHER/corewise]

Medians of wall and CPU time of fresh processes that took turns, with one BLAS thread each, so that
no idle pool spins. `--before` names the command of another corewise, which then takes turns too;
the sizes of both libraries are printed.
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
COREWISE = Path(sys.executable).with_name("corewise")


def measure(command: list[str]) -> tuple[float, float]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, env=environment)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def library_kilobytes(command: Path) -> float:
    (library,) = command.parent.parent.glob("lib/python*/site-packages/corewise/lib/libcorewise.so")
    return library.stat().st_size / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-n", "--repetitions", type=int, default=11)
    parser.add_argument("--before", type=Path, help="the command of another corewise")
    options = parser.parse_args()
    commands = {"`corewise run`": COREWISE}
    if options.before:
        commands["before"] = options.before
    starts: dict[str, list[str]] = {"alone": []}
    starts |= {name: [str(command), "run", "-q", "--"] for name, command in commands.items()}

    print("| Program | " + " | ".join(f"{name} | ratio | CPU time" for name in starts) + " |")
    print("|---|" + "---:|" * 3 * len(starts))
    for program in PROGRAMS:
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in starts}
        for _ in range(options.repetitions):
            for name, prefix in starts.items():
                runs[name].append(measure([*prefix, sys.executable, "-c", program]))
        alone = median(wall for wall, _ in runs["alone"])
        cells = [f"`{program}`"]
        for each in runs.values():
            wall, cpu = (median(run[i] for run in each) for i in (0, 1))
            cells += [f"{wall:.3f} s", f"{wall / alone:.2f}", f"{cpu:.3f} s"]
        print(f"| {' | '.join(cells)} |")
    sizes = (f"{library_kilobytes(it):.0f} kB ({name})" for name, it in commands.items())
    print(f"\nlibcorewise.so: {', '.join(sizes)}")


if __name__ == "__main__":
    main()
