"""scikit-learn's parallel regions, each called for itself, and the estimators over them."""

import ctypes
from pathlib import Path

import bending
import numpy as np
import scipy.sparse as sp
from sklearn._loss import loss as losses
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.cluster import _k_means_common as common
from sklearn.cluster import _k_means_elkan as elkan
from sklearn.cluster import _k_means_lloyd as lloyd
from sklearn.cluster import _k_means_minibatch as minibatch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics.pairwise import euclidean_distances, manhattan_distances

OPENMP = ctypes.CDLL(
    next(
        path
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "libgomp" in (path := line.split()[-1]) and "scikit_learn" in path
    )
)
RNG = np.random.default_rng(0)
N, FEATURES, CLUSTERS = 2500, 6, 9  # KMeans cuts rows into pieces of 256: enough for a team of 8
X = RNG.normal(size=(N, FEATURES)) + RNG.integers(0, 4, size=(N, 1))
WEIGHTS = RNG.uniform(0.5, 2, N)
CENTERS = X[RNG.choice(N, CLUSTERS, replace=False)]
TARGET = X @ RNG.normal(size=FEATURES) + RNG.normal(size=N)
SPARSE = sp.random(N, FEATURES, density=0.4, format="csr", random_state=1)


def points(dtype, sparse):
    return SPARSE.astype(dtype) if sparse else X.astype(dtype)


def centers_of(dtype, sparse):
    rows = SPARSE[:CLUSTERS].toarray() if sparse else CENTERS
    return np.ascontiguousarray(rows.astype(dtype))


def labels_of(dtype, sparse):
    return np.argmin(
        euclidean_distances(points(dtype, sparse), centers_of(dtype, sparse)), 1
    ).astype(np.int32)


def outputs(dtype):
    """What an iteration of KMeans fills: centers, weights, labels and how far the centers went."""
    return (
        np.zeros((CLUSTERS, FEATURES), dtype),
        np.zeros(CLUSTERS, dtype),
        np.full(N, -1, np.int32),
        np.zeros(CLUSTERS, dtype),
    )


def run_inertia(team, dtype, sparse):
    function = common._inertia_sparse if sparse else common._inertia_dense
    arguments = (points(dtype, sparse), WEIGHTS.astype(dtype), centers_of(dtype, sparse))
    labels = labels_of(dtype, sparse)
    return [dtype(function(*arguments, labels, team)), dtype(function(*arguments, labels, team, 3))]


def run_lloyd(team, dtype, sparse):
    function = lloyd.lloyd_iter_chunked_sparse if sparse else lloyd.lloyd_iter_chunked_dense
    centers, weights, labels, shift = outputs(dtype)
    x, old, sample_weight = points(dtype, sparse), centers_of(dtype, sparse), WEIGHTS.astype(dtype)
    function(x, sample_weight, old, centers, weights, labels, shift, team)
    return [centers, weights, labels, shift]


def run_elkan(team, dtype, sparse):
    x, old = points(dtype, sparse), centers_of(dtype, sparse)
    half = (euclidean_distances(old) / 2).astype(dtype)
    following = np.partition(half, kth=1, axis=0)[1]
    centers, weights, labels, shift = outputs(dtype)
    upper, lower = np.zeros(N, dtype), np.zeros((N, CLUSTERS), dtype)
    init = elkan.init_bounds_sparse if sparse else elkan.init_bounds_dense
    init(x, old, half, labels, upper, lower, team)
    bounds = [labels.copy(), upper.copy(), lower.copy()]
    iterate = elkan.elkan_iter_chunked_sparse if sparse else elkan.elkan_iter_chunked_dense
    iterate(
        x,
        WEIGHTS.astype(dtype),
        old,
        centers,
        weights,
        half,
        following,
        upper,
        lower,
        labels,
        shift,
        team,
    )
    return [*bounds, centers, weights, labels, upper, lower, shift]


def run_minibatch(team, dtype, sparse):
    function = minibatch._minibatch_update_sparse if sparse else minibatch._minibatch_update_dense
    centers, weights, _, _ = outputs(dtype)
    old, labels = centers_of(dtype, sparse), labels_of(dtype, sparse)
    function(points(dtype, sparse), WEIGHTS.astype(dtype), old, centers, weights, labels, team)
    return [centers, weights]


LOSSES = {
    "HalfSquaredError": {},
    "AbsoluteError": {},
    "PinballLoss": {"quantile": 0.3},
    "HuberLoss": {"delta": 0.7},
    "HalfPoissonLoss": {},
    "HalfGammaLoss": {},
    "HalfTweedieLoss": {"power": 1.3},
    "HalfTweedieLossIdentity": {"power": 1.3},
    "HalfBinomialLoss": {},
    "ExponentialLoss": {},
    "HalfMultinomialLoss": {"n_classes": 3},
}


def run_loss(team, name, dtype, out_dtype, weighted):
    loss = getattr(losses, name)(**LOSSES[name])
    y = np.abs(TARGET) + 0.1
    if name in ("HalfBinomialLoss", "ExponentialLoss", "HalfMultinomialLoss"):
        y = np.arange(N) % (3 if loss.is_multiclass else 2)
    raw = np.abs(X[:, :3] if loss.is_multiclass else X[:, 0]) + 0.1
    given = {
        "y_true": y.astype(dtype),
        "raw_prediction": np.asfortranarray(raw.astype(dtype)),
        "sample_weight": WEIGHTS.astype(dtype) if weighted else None,
        "n_threads": team,
    }

    def out():
        return np.zeros(raw.shape, out_dtype, order="F")

    value = np.zeros(N, out_dtype)
    results = [loss.loss(**given, loss_out=value), loss.gradient(**given, gradient_out=out())]
    value = np.zeros(N, out_dtype)
    results += loss.loss_gradient(**given, loss_out=value, gradient_out=out())
    results += loss.gradient_hessian(**given, gradient_out=out(), hessian_out=out())
    if hasattr(loss, "gradient_proba"):
        results += loss.gradient_proba(**given, gradient_out=out(), proba_out=out())
    return results


def run_manhattan(team, dtype, _):
    OPENMP.omp_set_num_threads(team)
    return [manhattan_distances(SPARSE[:200].astype(dtype), SPARSE[200:300].astype(dtype))]


def nodes(model):
    return [tree.nodes for iteration in model._predictors for tree in iteration]


def run_boosting(team, kind):
    OPENMP.omp_set_num_threads(team)
    x = X.copy()
    x[::7, 1] = np.nan
    x[:, 2] = np.abs(x[:, 2]).round() % 5
    settings = {
        "max_iter": 2 if kind == "absolute_error" else 5,
        "random_state": 0,
        "categorical_features": [2],
        "min_samples_leaf": 5,
    }
    if kind == "classes":
        model = HistGradientBoostingClassifier(early_stopping=True, n_iter_no_change=3, **settings)
        model.fit(x, np.digitize(TARGET, [-1, 2]))
        out = [model.predict_proba(x), model.decision_function(x), model.train_score_]
    else:
        model = HistGradientBoostingRegressor(loss=kind, **settings)
        y = TARGET if kind != "poisson" else np.abs(TARGET)
        model.fit(x, y, sample_weight=WEIGHTS if kind == "absolute_error" else None)
        out = [model.predict(x)]
    return [*nodes(model), *out]


def run_kmeans(team, algorithm, dtype):
    OPENMP.omp_set_num_threads(team)
    model = KMeans(CLUSTERS, init="random", n_init=3, algorithm=algorithm, random_state=0).fit(
        X.astype(dtype)
    )
    return [
        model.cluster_centers_,
        dtype(model.inertia_),
        model.labels_,
        model.predict(X.astype(dtype)),
    ]


def run_minibatch_kmeans(team):
    OPENMP.omp_set_num_threads(team)
    model = MiniBatchKMeans(CLUSTERS, batch_size=2048, n_init=2, random_state=0).fit(X)
    return [model.cluster_centers_, model.labels_]


def run_poisson(team):
    OPENMP.omp_set_num_threads(team)
    model = PoissonRegressor(max_iter=50).fit(X, np.abs(TARGET))
    return [np.asarray(model.coef_), np.asarray(model.intercept_)]


KERNELS = {}


BOOSTING = [
    f"ensemble._hist_gradient_boosting.{part}"
    for part in ("_binning", "_gradient_boosting", "_predictor", "histogram", "splitting")
]


def add(modules, name, function, *arguments):
    modules = [modules] if isinstance(modules, str) else modules
    KERNELS[name] = (
        [f"sklearn.{module}" for module in modules],
        lambda team: function(team, *arguments),
    )


for dtype in (np.float64, np.float32):
    for sparse in (False, True):
        what = f"{dtype.__name__}, {'sparse' if sparse else 'dense'}"
        add("cluster._k_means_common", f"inertia, {what}", run_inertia, dtype, sparse)
        add("cluster._k_means_lloyd", f"lloyd, {what}", run_lloyd, dtype, sparse)
        add("cluster._k_means_elkan", f"elkan, {what}", run_elkan, dtype, sparse)
        add("cluster._k_means_minibatch", f"minibatch, {what}", run_minibatch, dtype, sparse)
    add("metrics._pairwise_fast", f"manhattan, {dtype.__name__}", run_manhattan, dtype, True)
    for loss in LOSSES:
        for weighted in (False, True):
            for out_dtype in (np.float64, np.float32):
                what = f"{loss}, {dtype.__name__} to {out_dtype.__name__}"
                what += ", weighted" if weighted else ""
                add("_loss._loss", what, run_loss, loss, dtype, out_dtype, weighted)
for algorithm in ("lloyd", "elkan"):
    for dtype in (np.float64, np.float32):
        what = f"KMeans, {algorithm}, {dtype.__name__}"
        add(f"cluster._k_means_{algorithm}", what, run_kmeans, algorithm, dtype)
add("cluster._k_means_lloyd", "MiniBatchKMeans", run_minibatch_kmeans)
for kind in ("squared_error", "absolute_error", "poisson", "classes"):
    add(BOOSTING, f"boosting, {kind}", run_boosting, kind)
add("_loss._loss", "PoissonRegressor", run_poisson)

if __name__ == "__main__":
    bending.prove(KERNELS, *bending.teams_and_seeds())
