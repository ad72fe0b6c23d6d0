"""corewise.sklearn.Limited: an estimator like any other, whose limits hold wherever it runs."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import corewise
import numpy as np
import pytest
import sklearn
from corewise.sklearn import Limited
from joblib import Parallel, delayed
from probe import Probe, counts
from sklearn.base import clone, is_classifier, is_clusterer
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

X, y = make_classification(200, random_state=0)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        KMeans(random_state=0),
        HistGradientBoostingClassifier(max_iter=5),
        HistGradientBoostingRegressor(max_iter=5),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_check_estimator(estimator: Any) -> None:
    """What the estimator itself does not pass, Limited does not either: KMeans with weights."""
    failed = []
    for tried in (Limited(estimator, openmp=1, blas=1), estimator):
        results = check_estimator(tried, on_fail=None)
        assert sum(r["status"] == "passed" for r in results) > 40
        failed.append([r["check_name"] for r in results if r["status"] == "failed"])
    assert failed[0] == failed[1]


@pytest.mark.usefixtures("wide")
def test_limits_hold_in_every_method() -> None:
    limited = Limited(Probe(), openmp=3, blas=2)
    assert limited.fit(X).met_ == limited.partial_fit(X).met_ == (3, 2)
    for name in ("predict", "transform", "predict_proba", "decision_function", "fit_predict"):
        assert getattr(limited, name)(X) == (3, 2), name
    assert limited.fit_transform(X) == (3, 2) and limited.score(X) == 3.02
    assert list(limited.staged_predict(X)) == [(3, 2)] * 2


def fit_and_predict(limited: Any) -> list[Any]:
    return [limited.fit(X).met_, limited.predict(X), counts()]


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_limits_hold_in_workers(backend: str, wide: tuple[int, int]) -> None:
    limited = Limited(Probe(), openmp=3, blas=1)
    results = Parallel(2, backend=backend)(delayed(fit_and_predict)(limited) for _ in range(2))
    assert all(result[:2] == [(3, 1)] * 2 for result in results)
    # BLAS is limited for the process, which the other thread is in.
    assert all(result[2][0] == wide[0] for result in results)


@pytest.mark.usefixtures("wide")
def test_limits_hold_in_threads() -> None:
    fitted = Limited(Probe(), openmp=3).fit(X)
    with ThreadPoolExecutor(4) as pool:
        assert {met[0] for met in pool.map(fitted.predict, [X] * 20)} == {3}


@pytest.mark.usefixtures("of_16_cpus", "wide")
def test_a_budget_is_divided() -> None:
    assert Limited(Probe(), budget=6).fit(X).met_ == (6, 1)
    assert Limited(Probe(), budget=6, blas=2).fit(X).met_ == (3, 2)
    assert Limited(Probe(), budget=6, openmp=2).fit(X).met_ == (2, 1)


def test_limits_only_lower() -> None:
    with corewise.limits(openmp=2, blas=1):
        assert Limited(Probe(), openmp=7, blas=7).fit(X).met_ == (2, 1)


def test_without_limits_nothing_changes(wide: tuple[int, int]) -> None:
    assert Limited(Probe()).fit(X).met_ == wide


def test_limits_end_with_an_error(wide: tuple[int, int]) -> None:
    limited = Limited(Probe(raises=True), openmp=1, blas=1)
    with pytest.raises(RuntimeError, match="as asked"):
        limited.fit(X)
    assert not hasattr(limited, "estimator_")


@pytest.mark.parametrize("remake", [clone, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies_keep_the_limits(remake: Any) -> None:
    again = remake(Limited(LogisticRegression(C=3), openmp=2, blas=1, budget=4, processes=1))
    assert again.get_params()["estimator__C"] == 3
    assert (again.openmp, again.blas, again.budget, again.processes) == (2, 1, 4, 1)


def test_a_fitted_one_pickles_and_says_so() -> None:
    fitted = pickle.loads(pickle.dumps(Limited(LogisticRegression(), blas=1).fit(X, y)))
    assert np.array_equal(fitted.predict(X), LogisticRegression().fit(X, y).predict(X))
    assert fitted.coef_.shape == (1, 20) and is_classifier(fitted)
    assert is_clusterer(Limited(KMeans())) and not is_clusterer(fitted)
    with pytest.raises(NotFittedError):
        Limited(LogisticRegression()).predict(X)


@pytest.mark.usefixtures("wide")
def test_a_model_that_is_fitted_already() -> None:
    limited = Limited(Probe().fit(X), openmp=3, blas=2)
    assert limited.predict(X) == (3, 2) and limited.met_ == (16, 8)


@pytest.mark.usefixtures("wide")
def test_in_a_pipeline_and_a_search_over_limits() -> None:
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Limited(Probe())),
        {"limited__openmp": [1, 2, 4], "limited__blas": [1]},
        cv=2,
        n_jobs=2,
    ).fit(X)
    assert search.best_params_ == {"limited__openmp": 4, "limited__blas": 1}
    assert search.best_score_ == 4.01 and search.predict(X) == (4, 1)


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.usefixtures("of_16_cpus", "wide")
def test_around_a_search_its_tasks_share(backend: str) -> None:
    import joblib

    with joblib.parallel_config(backend=backend):
        inner = GridSearchCV(Probe(), {"raises": [False]}, cv=2)
        assert Limited(inner, processes=2).fit(X).best_score_ == 8.01
        assert Limited(inner, processes=2, openmp=3, blas=2).fit(X).best_score_ == 3.02


@pytest.mark.parametrize("backend", [None, "loky", "threading"])
@pytest.mark.usefixtures("of_16_cpus", "wide")
def test_the_tasks_of_a_search_have_its_limits(backend: str | None) -> None:
    import joblib

    inner = GridSearchCV(Probe(), {"raises": [False]}, cv=2, n_jobs=2)
    with joblib.parallel_config(**({} if backend is None else {"backend": backend})):
        assert Limited(inner, openmp=3, blas=2).fit(X).best_score_ == 3.02


def test_partial_fit_goes_on_and_warm_start_too() -> None:
    limited = Limited(Probe()).fit(X)
    assert limited.partial_fit(X).partial_fit(X).estimator_.calls_ == 2
    warm = Limited(SGDClassifier(warm_start=True, random_state=0)).fit(X, y)
    first = warm.estimator_
    assert warm.set_params(estimator__alpha=0.1).fit(X, y).estimator_ is first
    assert first.alpha == 0.1


def test_methods_are_those_of_the_estimator() -> None:
    assert not hasattr(Limited(KMeans()), "predict_proba")
    assert not hasattr(Limited(LogisticRegression()), "transform")
    assert hasattr(Limited(KMeans()), "fit_transform")
    frame = Limited(StandardScaler()).set_output(transform="default").fit_transform(X)
    assert frame.shape == X.shape
    html = Limited(KMeans(), blas=1)._repr_html_()
    assert "Limited" in html and "KMeans" in html and "blas" in html


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_metadata_reaches_the_estimator() -> None:
    weights = np.where(y == 1, 100.0, 0.01)
    asks = LogisticRegression().set_fit_request(sample_weight=True)
    asks.set_score_request(sample_weight=False)
    routed = make_pipeline(Limited(asks, blas=1)).fit(X, y, sample_weight=weights)
    direct = LogisticRegression().fit(X, y, sample_weight=weights)
    assert np.array_equal(routed.predict(X), direct.predict(X))
    cross_val_score(Limited(asks), X, y, cv=2, params={"sample_weight": weights})
    with pytest.raises(Exception, match="sample_weight"):
        cross_val_score(
            Limited(LogisticRegression()), X, y, cv=2, params={"sample_weight": weights},
            error_score="raise",
        )  # fmt: skip


WEIGHTED = [
    lambda model: CalibratedClassifierCV(model, cv=3),
    lambda model: AdaBoostClassifier(model, n_estimators=3, random_state=0),
    lambda model: BaggingClassifier(model, n_estimators=3, random_state=0),
]


@pytest.mark.parametrize("around", WEIGHTED)
def test_others_see_what_its_fit_takes(around: Any) -> None:
    """scikit-learn reads the signature of fit: one that hides sample_weight loses the weights."""
    X = np.random.default_rng(0).random((200, 4))
    y, weights = (X[:, 0] > 0.5).astype(int), np.repeat([5.0, 1.0], 100)
    plain, limited = (
        around(model).fit(X, y, sample_weight=weights).predict_proba(X)
        for model in (LogisticRegression(), Limited(LogisticRegression(), blas=1))
    )
    np.testing.assert_array_equal(limited, plain)


@pytest.mark.parametrize("name", ["fit", "fit_predict", "fit_transform", "score"])
def test_signatures_are_the_estimators(name: str) -> None:
    method = getattr(Limited(KMeans(2)), name)
    assert inspect.signature(method) == inspect.signature(getattr(KMeans(2), name))
    assert pickle.loads(pickle.dumps(method)).__self__.get_params()["estimator__n_clusters"] == 2


def test_weights_may_stand_in_their_place() -> None:
    X, weights = np.random.default_rng(0).random((60, 2)), np.arange(1.0, 61.0)
    plain = KMeans(3, n_init=2, random_state=0).fit(X, None, weights)
    limited = Limited(KMeans(3, n_init=2, random_state=0), processes=2).fit(X, None, weights)
    assert limited.inertia_ == pytest.approx(plain.inertia_)


class NoFit:
    pass


@pytest.mark.parametrize(
    ("limited", "error", "words"),
    [
        (Limited(NoFit()), corewise.BadType, "NoFit has no fit"),
        (Limited("KMeans"), TypeError, "str has no fit"),
        (Limited(Probe(), openmp=0), corewise.BadCount, "openmp=0"),
        (Limited(Probe(), blas=2.5), corewise.BadType, "blas=2.5"),
        (Limited(Probe(), blas="2"), corewise.BadType, "blas='2'"),
        (Limited(Probe(), processes=-1), corewise.BadCount, "processes=-1"),
        (Limited(Probe(), processes=True), corewise.BadType, "processes=True"),
        (Limited(Probe(), budget=0), corewise.BadCount, "budget=0"),
    ],
)
def test_bad_input(limited: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        limited.fit(X, y)
    assert not hasattr(limited, "estimator_")


@pytest.mark.usefixtures("of_16_cpus")
def test_processes_that_would_do_nothing() -> None:
    with pytest.raises(corewise.BadValue, match="no restarts"):
        Limited(HistGradientBoostingClassifier(), processes=2).fit(X, y)
    # It has an n_jobs, without effect.
    for inner in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        with pytest.raises(corewise.BadValue, match="no restarts"):
            Limited(inner, processes=2).fit(X, y)
