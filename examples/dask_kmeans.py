"""k-means over a Dask cluster of which each worker holds a part of the data, governed by corewise.

    python examples/dask_kmeans.py [ROWS] [CLUSTERS]

Each worker makes and keeps its blocks; only centres and sums travel. The start is k-means||
(Bahmani et al., 2012), then Lloyd's iterations to the end. At last scikit-learn starts from the
same centres with all the data in this process, and must find the same inertia.
"""

from __future__ import annotations

import sys
from typing import Any

import corewise.dask
import numpy as np
from distributed import Client, Future, LocalCluster
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin_min as nearest

BLOCKS, COLUMNS, WORKERS = 8, 16, 2
ROUNDS = 4  # of k-means||


def make(block: int, rows: int, clusters: int) -> np.ndarray:
    """Blobs; the same for everyone who asks."""
    centers = np.random.default_rng(0).uniform(-10, 10, (clusters, COLUMNS))
    own = np.random.default_rng(block + 1)
    return centers[own.integers(clusters, size=rows)] + own.standard_normal((rows, COLUMNS))


def cost(X: np.ndarray, centers: np.ndarray) -> float:
    return float((nearest(X, centers)[1] ** 2).sum())


def sample(X: np.ndarray, centers: np.ndarray, per_cost: float, seed: int) -> np.ndarray:
    """Each row with a chance in proportion to its squared distance."""
    chance = nearest(X, centers)[1] ** 2 * per_cost
    return X[np.random.default_rng(seed).random(len(X)) < chance]


def weigh(X: np.ndarray, centers: np.ndarray) -> np.ndarray:
    return np.bincount(nearest(X, centers)[0], minlength=len(centers))


def step(X: np.ndarray, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Sums and numbers of the rows of each cluster, and the inertia."""
    labels, distances = nearest(X, centers)
    sums = np.zeros_like(centers)
    np.add.at(sums, labels, X)
    return sums, np.bincount(labels, minlength=len(centers)), float((distances**2).sum())


def start(client: Client, blocks: list[Future], clusters: int) -> np.ndarray:
    """k-means||: candidates of all blocks at once, in a few rounds, then weighted k-means."""
    centers = client.submit(lambda X: X[:1], blocks[0]).result()
    for number in range(ROUNDS):
        total = sum(client.gather(client.map(cost, blocks, centers=centers, pure=False)))
        seeds = [1000 * number + block for block in range(len(blocks))]
        found = client.map(sample, blocks, [centers] * len(blocks), [2 * clusters / total] * len(blocks), seeds)  # noqa: E501  # fmt: skip
        centers = np.concatenate([centers, *client.gather(found)])
    weights = sum(client.gather(client.map(weigh, blocks, centers=centers, pure=False)))
    chosen = KMeans(clusters, n_init=5, random_state=0).fit(centers, sample_weight=weights)
    return chosen.cluster_centers_


def lloyd(client: Client, blocks: list[Future], centers: np.ndarray) -> tuple[float, int]:
    before, iterations = np.inf, 0
    while True:
        parts: list[Any] = client.gather(client.map(step, blocks, centers=centers, pure=False))
        sums, counts, inertias = zip(*parts, strict=True)
        inertia, count = sum(inertias), sum(counts)
        if inertia >= before * (1 - 1e-12):
            return inertia, iterations
        filled = count > 0
        centers = np.where(filled[:, None], sum(sums) / np.maximum(count, 1)[:, None], centers)
        before, iterations = inertia, iterations + 1


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    clusters = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(corewise.dask.Plugin(blas=1))
        each = rows // BLOCKS
        workers = list(client.scheduler_info(n_workers=-1)["workers"])
        blocks = [
            client.submit(make, block, each, clusters, workers=[workers[block % WORKERS]])
            for block in range(BLOCKS)
        ]
        centers = start(client, blocks, clusters)
        inertia, iterations = lloyd(client, blocks, centers)
        keys = {block.key for block in blocks}
        spread = [len(keys.intersection(held)) for held in client.has_what().values()]
    print(f"Dask: {iterations} iterations, inertia {inertia:.10g}, blocks of each worker {spread}")
    X = np.concatenate([make(block, each, clusters) for block in range(BLOCKS)])
    theirs = KMeans(clusters, init=centers, n_init=1, tol=0, max_iter=1000).fit(X)
    print(f"scikit-learn: {theirs.n_iter_} iterations, inertia {theirs.inertia_:.10g}")
    return 0 if abs(inertia / theirs.inertia_ - 1) < 1e-6 else 1


if __name__ == "__main__":
    sys.exit(main())
