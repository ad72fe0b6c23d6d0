"""Restarts of an estimator side by side, with scikit-learn's own result, bit for bit.

scikit-learn runs restarts one after another, and each goes on with the random numbers that the
one before left. So each restart here is a fit of the estimator itself with n_init=1, that begins
with a guess of what the one before leaves, which is quick to make. Each fit returns the state that
it left; where a guess was wrong, that restart is run again from the true state. A right result
depends on no guess, and on nothing in scikit-learn that is private. Where a fit fails in a worker
it is run again too, so that scikit-learn's error rises here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.utils import check_random_state

Advance = Callable[[np.random.RandomState], object]


class _Restart(NamedTuple):
    """One of the fits, and the states of the generator before and after."""

    fitted: Any
    before: Any
    after: Any
    warned: list[warnings.WarningMessage]


class _Kind(NamedTuple):
    """What must be known of an estimator."""

    count: Callable[[Any], int]  # its restarts; 0 or 1: nothing to run side by side
    draws: Callable[..., Advance]  # what one restart takes from the generator
    better: Callable[[Any, Any], bool]  # is a fit better than the best so far?


def _kmeans_count(kmeans: Any) -> int:
    if not isinstance(kmeans.init, str):
        return 1
    if kmeans.n_init == "auto":
        return 1 if kmeans.init == "k-means++" else 10
    return int(kmeans.n_init)


def _plusplus(clusters: int, weights: Any, generator: np.random.RandomState) -> None:
    """As many draws as k-means++ makes: one, then some for each further centre."""
    generator.choice(len(weights), p=weights)
    generator.uniform(size=(clusters - 1) * (2 + int(np.log(clusters))))


def _some_rows(clusters: int, weights: Any, generator: np.random.RandomState) -> None:
    generator.choice(len(weights), size=clusters, replace=False, p=weights)


def _kmeans_draws(kmeans: Any, X: Any, y: Any = None, sample_weight: Any = None) -> Advance:
    dtype = np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64
    rows = X.shape[0] if hasattr(X, "shape") else len(X)
    weights = np.ones(rows, dtype) if sample_weight is None else np.asarray(sample_weight, dtype)
    weights = weights / weights.sum()
    draws = _plusplus if kmeans.init == "k-means++" else _some_rows
    return partial(draws, kmeans.n_clusters, weights)


def _kmeans_better(new: Any, best: Any) -> bool:
    """scikit-learn's rule: less inertia, unless the clusters are the same but for their names."""
    if not new.inertia_ < best.inertia_:
        return False
    names = np.empty(best.n_clusters, dtype=best.labels_.dtype)
    names[new.labels_] = best.labels_
    return not np.array_equal(names[new.labels_], best.labels_)


def _mixture_count(mixture: Any) -> int:
    return 1 if mixture.warm_start else int(mixture.n_init)


def _mixture_draws(mixture: Any, X: Any, y: Any = None) -> Advance:
    rows, parts = len(X), mixture.n_components
    if mixture.init_params == "random":
        return lambda generator: generator.uniform(size=(rows, parts))
    if mixture.init_params == "random_from_data":
        return lambda generator: generator.choice(rows, size=parts, replace=False)
    return partial(_plusplus, parts, np.full(rows, 1 / rows))


def _mixture_better(new: Any, best: Any) -> bool:
    return bool(new.lower_bound_ > best.lower_bound_ or best.lower_bound_ == -np.inf)


_KINDS = {
    KMeans: _Kind(_kmeans_count, _kmeans_draws, _kmeans_better),
    GaussianMixture: _Kind(_mixture_count, _mixture_draws, _mixture_better),
}


def possible(estimator: Any) -> bool:
    """Whether it has restarts that can run side by side. Subclasses may have changed the rules."""
    kind = _KINDS.get(type(estimator))
    try:
        return kind is not None and kind.count(estimator) > 1
    except (TypeError, ValueError):
        return False  # its own fit says what is wrong


def _one(estimator: Any, state: Any, args: Any, kwargs: Any) -> _Restart:
    generator = np.random.RandomState()
    generator.set_state(state)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        fitted = clone(estimator).set_params(random_state=generator).fit(*args, **kwargs)
    # What is sent back and kept has no generator in it.
    fitted.random_state = None
    return _Restart(fitted, state, generator.get_state(), warned)


def _beside(*args: Any) -> _Restart | None:
    try:
        return _one(*args)
    except Exception:
        return None


def _same_state(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _guesses(generator: np.random.RandomState, advance: Advance, count: int) -> Iterator[Any]:
    ahead = np.random.RandomState()
    ahead.set_state(generator.get_state())
    for _ in range(count):
        yield ahead.get_state()
        advance(ahead)


def fit(estimator: Any, processes: int, *args: Any, **kwargs: Any) -> None:
    """Fits it as its own fit does; its restarts run in so many processes."""
    kind = _KINDS[type(estimator)]
    count = kind.count(estimator)
    changes: dict[str, Any] = {"n_init": 1}
    if "copy_x" in estimator.get_params():
        changes["copy_x"] = True  # X may be shared by the processes
    single = clone(estimator).set_params(**changes)
    generator = check_random_state(estimator.random_state)
    run = joblib.delayed(_beside)
    try:
        states = list(_guesses(generator, kind.draws(estimator, *args, **kwargs), count))
    except (TypeError, ValueError):
        states = []  # bad data: the fit that follows tells
    restarts = joblib.Parallel(n_jobs=processes, backend="loky")(
        run(single, state, args, kwargs) for state in states
    )
    best: _Restart | None = None
    state = generator.get_state()
    for number in range(count):
        restart = restarts[number] if number < len(restarts) else None
        if restart is None or not _same_state(restart.before, state):
            restart = _one(single, state, args, kwargs)
        state = restart.after
        if best is None or kind.better(restart.fitted, best.fitted):
            best = restart
    generator.set_state(state)
    assert best is not None
    for warning in best.warned:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    parameters = estimator.get_params(deep=False)
    vars(estimator).update({k: v for k, v in vars(best.fitted).items() if k not in parameters})


def result_of(method: str, fitted: Any, X: Any) -> Any:
    """What fit, fit_predict or fit_transform returns, once fitted to X."""
    if method == "fit_predict":
        return fitted.labels_ if hasattr(fitted, "labels_") else fitted.predict(X)
    return fitted.transform(X) if method == "fit_transform" else fitted
