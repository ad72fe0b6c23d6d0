"""Restarts side by side: scikit-learn's own result, bit for bit, whatever was guessed."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Callable
from typing import Any

import corewise
import numpy as np
import pytest
from corewise import _restarts
from corewise.sklearn import Limited
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

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


@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("start", ["kmeans", "k-means++", "random", "random_from_data"])
def test_mixture(kind: Any, start: str, rerun: list[Any]) -> None:
    mixture = kind(n_components=3, n_init=4, init_params=start, random_state=0, max_iter=10)
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


class Own(KMeans):
    pass


@pytest.mark.parametrize(
    "estimator",
    [
        KMeans(8, random_state=0),
        KMeans(3, n_init=True, random_state=0),
        KMeans(3, init=ROWS[:3].copy(), n_init=1),
        KMeans(3, init=lambda X, k, random_state: X[random_state.choice(len(X), k)], n_init=3),
        Own(3, n_init=4, random_state=0),
        MiniBatchKMeans(3, n_init=4, random_state=0),
        BisectingKMeans(3, n_init=4, random_state=0),
        GaussianMixture(2, random_state=0),
        BayesianGaussianMixture(n_components=2, random_state=0),
        GaussianMixture(2, n_init=2, warm_start=True, random_state=0),
    ],
    ids=repr,
)
def test_one_start_or_such_as_are_not_divided(estimator: Any) -> None:
    """A search over n_init, or over estimators, meets these too: they run as they are."""
    estimator = copy.deepcopy(estimator)
    assert not _restarts.possible(estimator)
    assert_same(*both(estimator.set_params(random_state=0), ROWS[:200]))


def outcome(fit: Callable[[], Any]) -> tuple[Any, list[Any]]:
    """The error's type and words, and the warnings, each as often as Python shows it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit()
            error = None
        except Exception as e:
            error = (type(e), str(e))
    return error, [(w.category, str(w.message), w.filename, w.lineno) for w in caught]


BAD = [2.5, "3", "warn", 0, -1, -(2**70), None, np.float64(3), np.nan, [3], np.array([3, 3]), 3j]


@pytest.mark.parametrize(
    "kind", [KMeans, MiniBatchKMeans, GaussianMixture, BayesianGaussianMixture]
)
@pytest.mark.parametrize("n_init", BAD, ids=repr)
def test_what_scikit_learn_refuses(kind: Any, n_init: Any) -> None:
    bad = kind(n_init=n_init, random_state=0)
    expected = outcome(lambda: bad.fit(ROWS))
    assert outcome(lambda: Limited(bad, openmp=1, processes=2).fit(ROWS)) == expected
    assert issubclass(expected[0][0], InvalidParameterError)


@pytest.mark.parametrize(
    "params",
    [{"random_state": value} for value in ("x", -1, 2**32, 1.5, np.random.default_rng(0))]
    + [{"copy_x": "yes"}, {"n_clusters": -3}, {"n_clusters": 10**9}, {"init": "foo"}, {"tol": "x"}],
    ids=str,
)
def test_other_parameters_that_it_refuses(params: dict[str, Any]) -> None:
    bad = KMeans(**{"n_clusters": 3, "n_init": 2} | params)
    expected = outcome(lambda: bad.fit(ROWS))
    assert outcome(lambda: Limited(bad, openmp=1, processes=2).fit(ROWS)) == expected
    assert expected[0] is not None


@pytest.mark.parametrize("processes", [None, 2])
@pytest.mark.parametrize("name", ["random_state", "n_init", "init", "tol", "verbose", "n_clusters"])
def test_what_cannot_be_copied(name: str, processes: int | None) -> None:
    """scikit-learn's words, not those of copy.deepcopy()."""
    bad = KMeans(**{"n_clusters": 3, "n_init": 2, name: np.random})
    expected = outcome(lambda: bad.fit(ROWS))
    assert outcome(lambda: Limited(bad, openmp=1, processes=processes).fit(ROWS)) == expected
    assert issubclass(expected[0][0], InvalidParameterError)


class LockedStart:
    """A start of the clusters that cannot be copied."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, X: Any, clusters: int, random_state: Any) -> Any:
        with self.lock:
            return X[:clusters]


def test_a_parameter_that_cannot_be_copied_and_is_right() -> None:
    kmeans = KMeans(3, init=LockedStart(), n_init=1, random_state=0)
    limited = Limited(kmeans, openmp=1, processes=2).fit(ROWS)
    assert not hasattr(kmeans, "labels_")
    assert limited.estimator is kmeans
    assert limited.estimator_.init is kmeans.init
    np.testing.assert_array_equal(limited.labels_, kmeans.fit(ROWS).labels_)


@pytest.mark.parametrize("n_init", [np.int64(3), np.uint8(3), "auto"], ids=repr)
def test_counts_that_it_takes(n_init: Any, rerun: list[Any]) -> None:
    kmeans = KMeans(3, init="random", n_init=n_init, random_state=np.int32(4))
    assert _restarts.possible(kmeans)
    assert_same(*both(kmeans))
    assert rerun == []


def streams() -> list[np.random.RandomState]:
    normal = np.random.RandomState(5)
    normal.standard_normal()  # the second of its pair is kept, and belongs to the state
    return [np.random.RandomState(5), normal, np.random.RandomState(np.random.PCG64(5))]


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("processes", [None, 2])
@pytest.mark.parametrize("n_init", [1, 3])
def test_a_generator_that_is_shared(which: int, processes: int | None, n_init: int) -> None:
    """Fits go on in its stream, and leave it where scikit-learn's do."""
    results = []
    for wrap in (Limited, lambda model, **_: model):
        generator = streams()[which]
        first = wrap(KMeans(5, n_init=n_init, random_state=generator), processes=processes)
        other = wrap(GaussianMixture(2, n_init=n_init, random_state=generator), processes=processes)
        with corewise.limits(openmp=1, blas=1):
            found = [first.fit(ROWS).inertia_, other.fit(ROWS).lower_bound_]
            found += [first.fit(ROWS).inertia_, clone(first).fit(ROWS).inertia_]
        results.append([*found, generator.uniform(), generator.normal()])
    assert results[0] == results[1]
    assert results[0][0] != results[0][2]


@pytest.mark.parametrize("part", ["step", "splitter", "shuffle"])
def test_a_generator_inside_of_the_estimator(part: str) -> None:
    results = []
    for wrap in (Limited, lambda model: model):
        generator = np.random.RandomState(5)
        cv = {
            "splitter": KFold(3, shuffle=True, random_state=generator),
            "shuffle": ShuffleSplit(2, random_state=generator),
        }
        if part == "step":
            model = wrap(make_pipeline(StandardScaler(), KMeans(3, random_state=generator)))
        else:
            inner = KMeans(3, n_init=1, random_state=0)
            model = wrap(GridSearchCV(inner, {"n_clusters": [2, 3]}, cv=cv[part]))
        with corewise.limits(openmp=1, blas=1):
            scores = [model.fit(ROWS[:99]).score(ROWS) for _ in range(2)]
        results.append([*scores, generator.rand()])
    assert results[0] == results[1]


def seeded(kind: Any, **params: Any) -> Any:
    parts = "n_clusters" if kind is KMeans else "n_components"
    return kind(n_init=3, random_state=np.random.RandomState(0), **{parts: 4}, **params)


WARNING = {
    "fails": (lambda: seeded(GaussianMixture, reg_covar=0), np.ones((40, 3))),
    "each restart": (lambda: seeded(GaussianMixture, max_iter=2), np.ones((40, 3))),
    "not converged": (lambda: seeded(BayesianGaussianMixture, max_iter=1), ROWS[:200]),
    "no iterations": (lambda: seeded(GaussianMixture, max_iter=0), ROWS[:200]),
    "same rows": (lambda: seeded(KMeans), np.ones((40, 3))),
    "one cluster": (lambda: KMeans(1, n_init=3, algorithm="elkan", random_state=0), ROWS),
    "text": (lambda: seeded(KMeans), [["1", "x"]] * 9),
    "too few": (lambda: seeded(KMeans), ROWS[:3]),
}


@pytest.mark.parametrize("case", WARNING)
@pytest.mark.parametrize("filter", ["always", "error", "default"])
def test_warnings_are_scikit_learns(case: str, filter: Any) -> None:
    """Those of each restart and of the best, also where the fit fails, or they are made errors."""
    make, X = WARNING[case]
    ends = []
    for wrap in (lambda model, **_: model, Limited):
        model = make()
        with corewise.limits(openmp=1, blas=1), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(filter)
            error = None
            try:
                wrap(model, processes=2).fit(X)
            except Exception as e:
                error = (type(e), str(e))
        seen = [(w.category, str(w.message), w.filename, w.lineno) for w in caught]
        left = model.random_state.rand() if case != "one cluster" else 0
        ends.append((error, seen, left))
    assert ends[0] == ends[1]
    assert ends[0][0] or ends[0][1] or case == "no iterations"


def test_a_filter_by_module_counts() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=r"sklearn\.base")
        Limited(KMeans(5, n_init=3), openmp=1, processes=2).fit(np.ones((20, 2)))


@pytest.mark.parametrize("what", ["raise", "call"])
def test_what_floating_point_errors_do_holds_in_workers(what: Any) -> None:
    seen: list[Any] = []
    X = np.full((40, 2), 1e200) * np.arange(40)[:, None]
    ends = []
    with np.errstate(all=what, call=lambda *error: seen.append(error)):
        for wrap in (lambda model, **_: model, Limited):
            model = wrap(seeded(GaussianMixture), processes=2)
            ends.append((outcome(lambda: model.fit(X)), len(seen)))  # noqa: B023
    assert ends[0][0] == ends[1][0]
    assert what == "raise" or ends[1][1] == 2 * ends[0][1] > 0


@pytest.mark.parametrize("form", ["csr", "frozen", "memmap", "float32 list"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_forms_of_input(form: str, weights: Any, tmp_path: Any) -> None:
    X: Any = np.abs(ROWS)
    if form == "csr":
        X = csr_array(np.where(X > 1, X, 0))
    elif form == "memmap":
        np.save(tmp_path / "rows.npy", X)
        X = np.load(tmp_path / "rows.npy", mmap_mode="r")
    elif form == "frozen":
        X.setflags(write=False)
    else:
        X = X.astype(np.float32).tolist()
    assert_same(*both(KMeans(4, n_init=3, random_state=1), X, sample_weight=weights))


def test_a_search_over_the_number_of_starts() -> None:
    found = []
    for processes in (1, 2):
        model = Limited(KMeans(3, random_state=0), openmp=1, blas=1, processes=processes)
        search = GridSearchCV(model, {"estimator__n_init": [1, 4, "auto"]}, cv=2).fit(ROWS)
        found.append(search.cv_results_["mean_test_score"].tolist())
    assert found[0] == found[1]


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
