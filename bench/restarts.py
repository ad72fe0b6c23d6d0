"""`Limited(KMeans(n_init=8), processes=...)` beside scikit-learn's own restarts, in one run.

    .venv/bin/python bench/restarts.py [ROUNDS]

The data are scikit-learn's: its handwritten digits and the pixels of a photograph. Each column is
one way to run the same eight restarts. Columns take turns, so that a busy machine slows all alike;
medians are shown. All must find the same inertia.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from corewise.sklearn import Limited
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_sample_image

CPUS = len(os.sched_getaffinity(0))


def data() -> dict[str, tuple[np.ndarray, int]]:
    digits = load_digits().data
    photo = load_sample_image("china.jpg").reshape(-1, 3) / 255.0
    rows = np.random.default_rng(0).permutation(len(photo))
    return {
        "1,797 digits of 64, k 10": (digits, 10),
        "20,000 pixels of 3, k 8": (photo[rows[:20_000]], 8),
        "100,000 pixels of 3, k 32": (photo[rows[:100_000]], 32),
    }


def model(clusters: int) -> KMeans:
    return KMeans(clusters, n_init=8, random_state=0)


def plain(X: np.ndarray, clusters: int) -> float:
    return float(model(clusters).fit(X).inertia_)


def beside(X: np.ndarray, clusters: int) -> float:
    return float(Limited(model(clusters), processes=CPUS).fit(X).inertia_)


WAYS: dict[str, Callable[[np.ndarray, int], float]] = {
    "scikit-learn": plain,
    f"Limited(processes={CPUS})": beside,
}


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{CPUS} CPUs; medians of {rounds}; ratio to scikit-learn's own restarts\n")
    print(f"| Data | {' | '.join(WAYS)} |")
    print("|---" * (len(WAYS) + 1) + "|")
    for name, (X, clusters) in data().items():
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        found = []
        for round_ in range(rounds + 1):
            for way, fit in WAYS.items():
                began = time.perf_counter()
                found.append(fit(X, clusters))
                # The first round loads libraries and starts workers.
                if round_ > 0:
                    times[way].append(time.perf_counter() - began)
        assert np.allclose(found, found[0], rtol=1e-6), (name, found)
        medians = {way: statistics.median(each) for way, each in times.items()}
        first = medians["scikit-learn"]
        cells = " | ".join(f"{each / first:.2f} ({each:.2f} s)" for each in medians.values())
        print(f"| {name} | {cells} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
