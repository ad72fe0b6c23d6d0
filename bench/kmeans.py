"""examples/kmeans (C++: MPI, OpenMP, OpenBLAS) beside scikit-learn on the same data, in one run.

    .venv/bin/python bench/kmeans.py [ROUNDS]

The runs take turns, so that a busy machine slows all alike; medians are shown. Times are of the
iterations alone, without reading and starting. All runs must find the same inertia.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from corewise.sklearn import Limited
from sklearn.cluster import KMeans

ROOT = Path(__file__).parents[1]
ROWS, COLUMNS, CLUSTERS, ITERATIONS = 200_000, 32, 64, 20
ROOTS = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def build(folder: Path) -> Path:
    command = [sys.executable, "-m", "corewise", "--prefix"]
    prefix = subprocess.check_output(command, text=True).strip()
    source = ["cmake", "-S", ROOT / "examples/kmeans", "-B", folder]
    subprocess.run([*source, f"-DCMAKE_PREFIX_PATH={prefix}"], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", folder], check=True, capture_output=True)
    return folder / "kmeans"


def example(program: Path, file: Path, ranks: int, *options: str) -> tuple[float, float]:
    command = ["mpirun", "--bind-to", "none", "--oversubscribe", "-n", str(ranks)]
    words = [program, file, str(CLUSTERS), str(ITERATIONS), *options]
    said = subprocess.check_output([*command, *words], text=True, env=os.environ | ROOTS)
    found = re.search(r"inertia (\S+), (\S+) s", said)
    assert found, said
    return float(found[2]), float(found[1])


def learned(X: np.ndarray, limited: bool) -> tuple[float, float]:
    model = KMeans(CLUSTERS, init=X[:CLUSTERS], n_init=1, max_iter=ITERATIONS, tol=0)
    began = time.perf_counter()
    fitted = (Limited(model, budget=os.cpu_count()) if limited else model).fit(X)
    return time.perf_counter() - began, fitted.inertia_


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    X = np.random.default_rng(0).standard_normal((ROWS, COLUMNS))
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "x.npy"
        np.save(file, X)
        program = build(Path(made) / "build")
        runs = {
            "scikit-learn": lambda: learned(X, False),
            "scikit-learn in Limited": lambda: learned(X, True),
            "C++, 1 rank, corewise": lambda: example(program, file, 1),
            "C++, 2 ranks, corewise": lambda: example(program, file, 2),
            "C++, 1 rank, --free": lambda: example(program, file, 1, "--free"),
            "C++, 2 ranks, --free": lambda: example(program, file, 2, "--free"),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        inertias = []
        for _ in range(rounds):
            for name, run in runs.items():
                seconds, inertia = run()
                times[name].append(seconds)
                inertias.append(inertia)
    print(f"{ROWS}x{COLUMNS}, {CLUSTERS} clusters, {ITERATIONS} iterations; median of {rounds}")
    for name, seconds in times.items():
        print(f"  {name:26} {statistics.median(seconds):7.3f} s")
    return 0 if max(inertias) / min(inertias) - 1 < 1e-8 else 1


if __name__ == "__main__":
    sys.exit(main())
