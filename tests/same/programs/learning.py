"""scikit-learn: its modules with OpenMP loops. Most also call BLAS, inside or around the loops."""

from __future__ import annotations

from typing import Any

from same import numbers, program

BENDS = "teams of scikit-learn bend, and BLAS calls get what is free"


def blobs(samples: int = 6000, features: int = 12, classes: int = 6) -> tuple[Any, Any]:
    import numpy as np

    random = np.random.default_rng(0)
    y = random.integers(0, classes, samples)
    return random.standard_normal((samples, features)) + 2.0 * y[:, None] * np.eye(features)[0], y


@program("", "same-old", rounding=1e-7, because=BENDS)
def kmeans_lloyd(threads: int) -> Any:
    from sklearn.cluster import KMeans

    model = KMeans(6, n_init=2, random_state=0).fit(blobs()[0])
    return [float(model.inertia_), numbers(model.labels_), numbers(model.cluster_centers_)]


@program("", "same-old", rounding=1e-7, because=BENDS)
def kmeans_elkan(threads: int) -> Any:
    from sklearn.cluster import KMeans

    model = KMeans(6, n_init=2, random_state=0, algorithm="elkan").fit(blobs()[0])
    return [float(model.inertia_), numbers(model.labels_), model.n_iter_]


@program("", rounding=1e-7, because=BENDS)
def kmeans_minibatch(threads: int) -> Any:
    from sklearn.cluster import MiniBatchKMeans

    model = MiniBatchKMeans(6, n_init=2, random_state=0, batch_size=2000).fit(blobs()[0])
    return [float(model.inertia_), numbers(model.cluster_centers_)]


@program("", "same-old", rounding=1e-9, because=BENDS)
def boosting_classifier(threads: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    X, y = blobs()
    model = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(X, y)
    return [numbers(model.predict_proba(X)), numbers(model.predict(X))]


@program("", rounding=1e-9, because=BENDS)
def boosting_regressor(threads: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    X, _ = blobs()
    y = X[:, 0] * X[:, 1] + X[:, 2]
    model = HistGradientBoostingRegressor(max_iter=5, loss="poisson", random_state=0)
    return numbers(model.fit(X, abs(y)).predict(X))


@program("", "same-old", rounding=1e-9, because=BENDS)
def nearest_neighbours(threads: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

    X, y = blobs()
    near = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(X)
    distances, indices = near.kneighbors(X[:2000])
    classes = KNeighborsClassifier(5, algorithm="brute", weights="distance").fit(X, y)
    return [numbers(distances), numbers(indices), numbers(classes.predict_proba(X[:500]))]


@program("", rounding=1e-9, because=BENDS)
def radius_neighbours(threads: int) -> Any:
    from sklearn.neighbors import NearestNeighbors

    X, _ = blobs()
    near = NearestNeighbors(radius=3.0, algorithm="brute").fit(X)
    distances, indices = near.radius_neighbors(X[:1000], sort_results=True)
    return [len(i) for i in indices[:50]] + [float(sum(d.sum() for d in distances))]


@program("", rounding=1e-9, because=BENDS)
def pairwise_argmin(threads: int) -> Any:
    from sklearn.metrics import pairwise_distances_argmin_min

    X, _ = blobs()
    indices, distances = pairwise_distances_argmin_min(X, X[::7])
    return [numbers(indices), numbers(distances)]


@program("")
def pairwise_manhattan_sparse(threads: int) -> Any:
    import scipy.sparse as sp
    from sklearn.metrics import pairwise_distances

    A = sp.random(1200, 60, 0.2, format="csr", random_state=0)
    return numbers(pairwise_distances(A, metric="manhattan"))


@program("", rounding=1e-6, because=BENDS)
def tsne(threads: int) -> Any:
    from sklearn.manifold import TSNE

    embedding = TSNE(max_iter=300, random_state=0, init="random").fit(blobs(150)[0])
    return [float(embedding.kl_divergence_), numbers(embedding.embedding_)]


@program("", "same-old", rounding=1e-5, because=BENDS)
def logistic_regression(threads: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    X, y = blobs()
    model = LogisticRegression(tol=0.01).fit(X, y)
    return [numbers(model.predict_proba(X)), float(model.score(X, y))]


@program("", rounding=1e-6, because=BENDS)
def gaussian_mixture(threads: int) -> Any:
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(4, random_state=0, max_iter=20, tol=0).fit(blobs()[0])
    return [float(model.lower_bound_), numbers(model.means_)]
