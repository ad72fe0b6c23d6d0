"""Restarts side by side: scikit-learn's own result, bit for bit, whatever was guessed."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from corewise import _restarts
from corewise.sklearn import Limited
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

ROWS = np.random.default_rng(0).standard_normal((1500, 5))
WEIGHTS = np.random.default_rng(1).random(1500)


@pytest.fixture
def rerun(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The restarts that ran in this process, since their guess was wrong."""
    seen: list[Any] = []
    one = _restarts._one

    def counted(*args: Any) -> Any:
        seen.append(args)
        return one(*args)

    monkeypatch.setattr(_restarts, "_one", counted)
    return seen


def both(estimator: Any, X: Any = ROWS, **params: Any) -> tuple[Any, Any]:
    """Fitted by scikit-learn alone and in two processes, with one thread each."""
    alone = Limited(estimator, openmp=1, blas=1).fit(X, **params).estimator_
    beside = Limited(estimator, openmp=1, blas=1, processes=2).fit(X, **params).estimator_
    return alone, beside


def assert_same(alone: Any, beside: Any) -> None:
    assert alone.get_params().keys() == beside.get_params().keys()
    for name, value in vars(alone).items():
        if name.endswith("_"):
            assert np.array_equal(value, getattr(beside, name)), name


@pytest.mark.parametrize("init", ["k-means++", "random"])
@pytest.mark.parametrize("algorithm", ["lloyd", "elkan"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kmeans(init: str, algorithm: str, weights: Any, dtype: Any, rerun: list[Any]) -> None:
    kmeans = KMeans(
        7, init=init, algorithm=algorithm, n_init=5, max_iter=20, random_state=3
    )  # fmt: skip
    alone, beside = both(kmeans, ROWS.astype(dtype), sample_weight=weights)
    assert_same(alone, beside)
    assert np.array_equal(alone.predict(ROWS.astype(dtype)), beside.predict(ROWS.astype(dtype)))
    assert rerun == []


@pytest.mark.parametrize("start", ["kmeans", "k-means++", "random", "random_from_data"])
def test_gaussian_mixture(start: str, rerun: list[Any]) -> None:
    mixture = GaussianMixture(3, n_init=4, init_params=start, random_state=0, max_iter=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        alone, beside = both(mixture, ROWS[:400])
    assert_same(alone, beside)
    assert rerun == []


def test_a_wrong_guess_changes_nothing(monkeypatch: pytest.MonkeyPatch, rerun: list[Any]) -> None:
    wrong = _restarts._KINDS[KMeans]._replace(draws=lambda *_: lambda generator: generator.rand())
    monkeypatch.setitem(_restarts._KINDS, KMeans, wrong)
    assert_same(*both(KMeans(7, n_init=4, random_state=3)))
    assert len(rerun) == 3  # all but the first


def test_equal_clusters_keep_the_first_as_scikit_learn_does() -> None:
    """Well separated: every restart finds the same clusters, in another order of names."""
    centres = np.arange(4)[:, None] * [[100.0, 100.0]]
    X = np.repeat(centres, 50, axis=0) + np.random.default_rng(0).random((200, 2))
    for seed in range(5):
        assert_same(*both(KMeans(4, n_init=8, random_state=seed), X))


def test_the_generator_goes_on_as_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """random_state=None draws from NumPy's own generator, which the next fit goes on with."""
    results = []
    for processes in (1, 2):
        np.random.seed(5)
        limited = Limited(
            KMeans(5, n_init=3, random_state=None), openmp=1, blas=1, processes=processes
        )
        results.append([limited.fit(ROWS).inertia_ for _ in range(2)])
    assert results[0] == results[1] and results[0][0] != results[0][1]


def test_methods_that_fit(rerun: list[Any]) -> None:
    kmeans = KMeans(4, n_init=3, random_state=0)
    alone = Limited(kmeans, openmp=1, blas=1)
    beside = Limited(kmeans, openmp=1, blas=1, processes=2)
    assert np.array_equal(alone.fit_predict(ROWS), beside.fit_predict(ROWS))
    assert np.array_equal(alone.fit_transform(ROWS), beside.fit_transform(ROWS))
    assert beside.estimator_.get_params() == kmeans.get_params()
    assert rerun == []


@pytest.mark.parametrize("what", ["init", "subclass", "one"])
def test_no_restarts_to_run_side_by_side(what: str) -> None:
    class Own(KMeans):
        pass

    centres = ROWS[:3].copy()
    estimator = {
        "init": KMeans(3, init=centres, n_init=1),
        "subclass": Own(3, n_init=4),
        "one": KMeans(3, n_init="auto"),
    }[what]
    assert not _restarts.possible(estimator)


def test_errors_and_warnings_are_scikit_learns() -> None:
    limited = Limited(KMeans(5, n_init=3), processes=2)
    with pytest.raises(ValueError, match="NaN"):
        limited.fit(np.full((20, 2), np.nan))
    with pytest.raises(ValueError, match="n_clusters"):
        Limited(KMeans("five", n_init=3), processes=2).fit(ROWS)
    with pytest.raises(ValueError, match="n_init"):
        Limited(KMeans(5, n_init=0), processes=2).fit(ROWS)
    with pytest.warns(ConvergenceWarning, match="distinct clusters"):
        limited.fit(np.ones((20, 2)))
