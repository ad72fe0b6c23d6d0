"""Restarts of an estimator side by side, with scikit-learn's own result, bit for bit.

scikit-learn runs restarts one after another, and each goes on with the random numbers that the one
before left. Here each restart is a fit of the estimator itself with n_init=1. It begins with a
guess, quick to make, of the state that the one before leaves. Each fit returns the state that it
left; if a guess was wrong, that restart runs again from the true state. So the result depends on no
guess, and on nothing private in scikit-learn. A fit that fails in a worker runs again here too, so
that scikit-learn raises its error here.

The caller's generator and warnings end up as scikit-learn leaves them, even if a fit fails or a
filter turns a warning into an error.
"""

from __future__ import annotations

import copy
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

Advance = Callable[[np.random.RandomState], object]


class _Warned(NamedTuple):
    """A warning of a fit; `drawn`: random numbers had been drawn by then."""

    message: Any
    category: type[Warning]
    filename: str
    lineno: int
    drawn: bool


class _Restart(NamedTuple):
    """A fit, or its error, and the states of the generator before and after it."""

    fitted: Any
    error: Exception | None
    before: Any
    after: Any
    warned: list[_Warned]


class _Kind(NamedTuple):
    """What we must know about a kind of estimator."""

    count: Callable[[Any], int]  # its restarts; 0 or 1: nothing to run side by side
    draws: Callable[..., Advance]  # what one restart takes from the generator
    better: Callable[[Any, Any], bool]  # is a fit better than the best so far?
    concludes: Callable[[_Warned], bool]  # is it a warning about the best fit, after all restarts?


def _kmeans_count(kmeans: Any) -> int:
    if not isinstance(kmeans.init, str):
        return 1
    if isinstance(kmeans.n_init, str) and kmeans.n_init == "auto":
        return 1 if kmeans.init == "k-means++" else 10
    return _whole(kmeans.n_init)


def _whole(n_init: Any) -> int:
    """A count that scikit-learn accepts. Its own fit reports any other."""
    return int(n_init) if isinstance(n_init, Integral) else 0


def _plusplus(clusters: int, weights: Any, generator: np.random.RandomState) -> None:
    """Makes as many draws as k-means++: one, then some for each further centre."""
    if clusters > len(weights):
        raise ValueError("more centres than rows")
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


def _kmeans_concludes(warned: _Warned) -> bool:
    return issubclass(warned.category, ConvergenceWarning)


def _mixture_count(mixture: Any) -> int:
    return 1 if mixture.warm_start else _whole(mixture.n_init)


def _mixture_draws(mixture: Any, X: Any, y: Any = None) -> Advance:
    rows, parts = len(X), mixture.n_components
    if mixture.init_params == "random":
        return lambda generator: generator.uniform(size=(rows, parts))
    if mixture.init_params == "random_from_data":
        return lambda generator: generator.choice(rows, size=parts, replace=False)
    return partial(_plusplus, parts, np.full(rows, 1 / rows))


def _mixture_better(new: Any, best: Any) -> bool:
    return bool(new.lower_bound_ > best.lower_bound_ or best.lower_bound_ == -np.inf)


def _mixture_concludes(warned: _Warned) -> bool:
    """Not the warnings of the KMeans that each restart begins with: they come from another file."""
    own = inspect.unwrap(GaussianMixture.fit_predict).__code__.co_filename
    return issubclass(warned.category, ConvergenceWarning) and warned.filename == own


_MIXTURE = _Kind(_mixture_count, _mixture_draws, _mixture_better, _mixture_concludes)
_KINDS = {
    KMeans: _Kind(_kmeans_count, _kmeans_draws, _kmeans_better, _kmeans_concludes),
    GaussianMixture: _MIXTURE,
    BayesianGaussianMixture: _MIXTURE,
}


def known(estimator: Any) -> bool:
    """Whether it has restarts at all, even if only one, or if they must run one after another."""
    return "n_init" in estimator.get_params(deep=False)


def possible(estimator: Any) -> bool:
    """Whether it has restarts that can run side by side. Subclasses may have changed the rules."""
    kind = _KINDS.get(type(estimator))
    if kind is None or kind.count(estimator) <= 1 or not _seeds(estimator.random_state):
        return False
    # The processes get copies. Its own fit takes, or refuses, what cannot be copied.
    try:
        clone(estimator)
    except TypeError:
        return False
    return True


def _seeds(random_state: Any) -> bool:
    """Whether scikit-learn accepts it. check_random_state accepts more, and has other errors."""
    if isinstance(random_state, Integral):
        return 0 <= int(random_state) < 2**32
    return random_state is None or isinstance(random_state, np.random.RandomState)


def _state(generator: np.random.RandomState) -> dict[str, Any]:
    """Its whole state, whichever bit generator it has."""
    return generator.get_state(legacy=False)


def _same_state(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same_state(one[k], other[k]) for k in one)
    return bool(np.array_equal(one, other))


@contextmanager
def _recorded(generator: np.random.RandomState) -> Iterator[list[_Warned]]:
    """Collects all warnings until the block ends, instead of showing them."""
    warned: list[_Warned] = []
    before, shown = _state(generator), warnings.showwarning

    def note(message: Any, category: Any, filename: str, lineno: int, *_: Any) -> None:
        drawn = not _same_state(before, _state(generator))
        warned.append(_Warned(message, category, filename, lineno, drawn))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note  # type: ignore[assignment]
        try:
            yield warned
        finally:
            # catch_warnings of a free-threaded Python does not restore it.
            warnings.showwarning = shown


def _show(warned: _Warned) -> None:
    """Shows it as the fit itself would: filters match the module, and count in its registry."""
    modules = list(sys.modules.values())
    module = next((m for m in modules if getattr(m, "__file__", None) == warned.filename), None)
    there = {} if module is None else vars(module)
    registry = there.setdefault("__warningregistry__", {})
    warnings.warn_explicit(*warned[:4], module=there.get("__name__"), registry=registry)


def _one(
    single: Any, generator: np.random.RandomState, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> _Restart:
    """A fit that draws from this generator."""
    before, error = _state(generator), None
    fitted = clone(single).set_params(random_state=generator)
    with _recorded(generator) as warned:
        try:
            fitted.fit(*args, **kwargs)
        except Exception as caught:
            error = caught
    # Neither what is sent back nor what is kept has a generator in it.
    fitted.random_state = None
    return _Restart(fitted, error, before, _state(generator), warned)


def _beside(errors: dict[str, Any], *args: Any) -> _Restart | None:
    """Runs in a worker. None if it fails, so that it runs in the caller's process."""
    try:
        with np.errstate(**errors):
            restart = _one(*args)
        return restart if restart.error is None else None
    except Exception:
        return None


def _float_errors() -> dict[str, Any]:
    """How this process treats floating-point errors. What only this process can do becomes an
    error."""
    return {k: v if v in ("ignore", "warn") else "raise" for k, v in np.geterr().items()}


def _guesses(
    generator: np.random.RandomState, advance: Advance, count: int
) -> Iterator[np.random.RandomState]:
    ahead = copy.deepcopy(generator)
    for _ in range(count):
        yield copy.deepcopy(ahead)
        advance(ahead)


def _ahead(
    kind: _Kind, estimator: Any, processes: int, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[_Restart | None]:
    """Restarts from where we expect the generator to be; empty if we cannot tell."""
    generator = check_random_state(estimator.random_state)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            advance = kind.draws(estimator, *args, **kwargs)
            guesses = list(_guesses(generator, advance, kind.count(estimator)))
    except Exception:
        return []  # bad data: the fit that follows says so
    single, errors = _single(estimator), _float_errors()
    return list(
        Parallel(n_jobs=processes, backend="loky")(
            delayed(_beside)(errors, single, guess, args, kwargs) for guess in guesses
        )
    )


def _single(estimator: Any) -> Any:
    """A clone with one restart that leaves X as it is, because the processes may share X."""
    changes: dict[str, Any] = {"n_init": 1, "random_state": None}
    if isinstance(getattr(estimator, "copy_x", None), bool | np.bool_):
        changes["copy_x"] = True
    return clone(estimator).set_params(**changes)


def fit(estimator: Any, processes: int, *args: Any, **kwargs: Any) -> None:
    """Fits the estimator as its own fit does, with the restarts in so many processes."""
    kind, single = _KINDS[type(estimator)], _single(estimator)
    generator = check_random_state(estimator.random_state)
    restarts = _ahead(kind, estimator, processes, args, kwargs)
    best: _Restart | None = None
    for number in range(kind.count(estimator)):
        restart = restarts[number] if number < len(restarts) else None
        if restart is None or not _same_state(restart.before, _state(generator)):
            restart = _one(single, generator, args, kwargs)
        generator.set_state(restart.after)
        with warnings.catch_warnings():
            pass  # like scikit-learn, make Python forget here what it has shown
        try:
            for warned in restart.warned:
                # A warning before the first draw is about the data: scikit-learn issues it once.
                if not kind.concludes(warned) and (warned.drawn or number == 0):
                    _show(warned)
        except Warning:
            # A filter turned it into an error: scikit-learn stops there, and draws no more.
            generator.set_state(restart.before)
            clone(single).set_params(random_state=generator).fit(*args, **kwargs)
            raise
        if restart.error is not None:
            raise restart.error
        if best is None or kind.better(restart.fitted, best.fitted):
            best = restart
    assert best is not None
    for warned in filter(kind.concludes, best.warned):
        _show(warned)
    parameters = estimator.get_params(deep=False)
    vars(estimator).update({k: v for k, v in vars(best.fitted).items() if k not in parameters})


def result_of(method: str, fitted: Any, X: Any) -> Any:
    """What fit, fit_predict or fit_transform returns, once fitted to X."""
    if method == "fit_predict":
        return fitted.labels_ if hasattr(fitted, "labels_") else fitted.predict(X)
    return fitted.transform(X) if method == "fit_transform" else fitted
