"""Limits that belong to an estimator and go wherever it goes: needs scikit-learn.

from corewise.sklearn import Limited
model = Limited(KMeans(8, n_init=10), processes=4, blas=1).fit(X)
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from inspect import ismethod, signature
from types import MethodType
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from . import _restarts
from ._decorate import decorate
from ._errors import BadType, BadValue
from ._joblib import joblib, sharing
from ._limits import _count, by_api
from ._share import at_most, bounds

__all__ = ["Limited"]


def _has(name: str) -> Any:
    """For available_if: raises AttributeError as the estimator itself would."""
    return lambda self: getattr(self.estimator, name) is not None


class _Bound:
    """A method of one Limited, with the signature that its estimator's has."""

    def __init__(self, method: MethodType, own: Any) -> None:
        self._method = method
        self.__self__ = method.__self__
        self.__name__ = method.__name__
        self.__doc__ = method.__doc__
        with suppress(TypeError, ValueError):  # compiled code may have none
            self.__signature__ = signature(own)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._method(*args, **kwargs)

    def __reduce__(self) -> Any:
        return getattr, (self.__self__, self.__name__)


class _AsEstimator:
    """A method that the estimator must have too: scikit-learn looks in its signature for
    `sample_weight`, and passes weights on only if they are named there."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, limited: Any, owner: Any = None) -> Any:
        if limited is None:
            return self._function
        method = MethodType(self._function, limited)
        # One without a fit is refused when it is called.
        missing = (None,) if method.__name__ == "fit" else ()
        return _Bound(method, getattr(limited.estimator, method.__name__, *missing))


class Limited(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator whose methods keep to limits, in whichever process and thread they run.

    Limited(KMeans(8), openmp=8, blas=4)     at most so many threads, in fit, predict, transform...
    Limited(model, budget=4)                 4 threads in all, divided as corewise.plan does
    Limited(KMeans(n_init=10), processes=4)  the restarts side by side in 4 processes, with the
                                             result that scikit-learn has for the same random_state
    Limited(GridSearchCV(model, grid), processes=4)  joblib's tasks, unless n_jobs says otherwise

    Clones, pickles and works in pipelines and searches like any estimator; its limits are
    parameters that a search can try. `estimator_` is the fitted estimator. All other methods and
    attributes are those of `estimator_`, or of `estimator` until the first fit: so `estimator` may
    also be a model that is fitted already.

    estimator  the estimator to limit
    processes  how many restarts (of KMeans and the Gaussian mixtures) or tasks of joblib run side
               by side, each in a process of its own, at most as many as the budget has CPUs
    openmp     the most threads of an OpenMP region
    blas       the most threads of a BLAS call
    budget     the most threads in all; at most the CPUs that you may use, which is also what
               None means where there is something to divide

    None sets no limit. Limits only lower counts. Each call sets them in the calling thread and ends
    them as it returns; tasks that the estimator starts through joblib have them too. As in
    scikit-learn, the methods check the parameters, not the constructor: they raise BadType (a
    TypeError) for an estimator without `fit` and limits that are not whole numbers, BadCount (a
    ValueError) for counts out of range, and BadValue (a ValueError) if `processes` would do
    nothing.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        processes: SupportsIndex | None = None,
        openmp: SupportsIndex | None = None,
        blas: SupportsIndex | None = None,
        budget: SupportsFloat | None = None,
    ) -> None:
        self.estimator = estimator
        self.processes = processes
        self.openmp = openmp
        self.blas = blas
        self.budget = budget

    @contextmanager
    def _limits(self) -> Iterator[int]:
        """Holds the limits in force; yields how many processes may run at a time."""
        own = bounds(self.openmp, self.blas, self.budget)
        processes = 1 if self.processes is None else _count(self.processes, "processes")
        with ExitStack() as stack:
            given = stack.enter_context(sharing(own))
            if processes > 1:
                stack.enter_context(joblib(processes))
                processes = given.divide(processes).tasks
            if self.budget is None:
                stack.enter_context(at_most({"openmp": own.openmp, "blas": own.blas}))
            else:
                _, openmp, blas = given.divide(1)
                stack.enter_context(at_most(by_api(openmp, blas)))
            yield processes

    def _begin(self) -> Any:
        """Checks all parameters; returns what to fit next."""
        if not hasattr(self.estimator, "fit"):
            raise BadType(
                f"Limited({self.estimator!r}): a {type(self.estimator).__name__} has no fit: "
                "give an estimator"
            )
        if getattr(self.estimator, "warm_start", False) and "estimator_" in vars(self):
            return self.estimator_.set_params(**self.estimator.get_params(deep=False))
        return _fresh(self.estimator)

    def _run(self, method: str, *args: Any, **kwargs: Any) -> Any:
        fitted = self._begin()
        with self._limits() as processes:
            if processes > 1 and _restarts.possible(fitted):
                _restarts.fit(fitted, processes, *args, **kwargs)
                result = _restarts.result_of(method, fitted, args[0])
            else:
                if processes > 1 and not (_restarts.known(fitted) or _starts_tasks(fitted)):
                    raise BadValue(
                        f"processes={self.processes}: {fitted!r} has no restarts (n_init) and "
                        "starts no tasks through joblib: leave processes out"
                    )
                result = getattr(fitted, method)(*args, **kwargs)
        self.estimator_ = fitted
        return result

    @_AsEstimator
    def fit(self, X: Any, *args: Any, **params: Any) -> Limited:
        """Fits a clone of the estimator, which is then `estimator_`; it gets all arguments."""
        self._run("fit", X, *args, **params)
        return self

    @_AsEstimator
    def partial_fit(self, X: Any, *args: Any, **params: Any) -> Limited:
        """Continues to fit `estimator_`, or begins with a clone."""
        fitted = self.estimator_ if "estimator_" in vars(self) else self._begin()
        with self._limits():
            fitted.partial_fit(X, *args, **params)
        self.estimator_ = fitted
        return self

    @_AsEstimator
    def fit_predict(self, X: Any, *args: Any, **params: Any) -> Any:
        """Like `fit`, and returns what the estimator's own fit_predict does."""
        return self._run("fit_predict", X, *args, **params)

    @_AsEstimator
    def fit_transform(self, X: Any, *args: Any, **params: Any) -> Any:
        """Like `fit`, and returns what the estimator's own fit_transform does."""
        return self._run("fit_transform", X, *args, **params)

    @_AsEstimator
    def score(self, X: Any, *args: Any, **params: Any) -> Any:
        """The estimator's own score."""
        with self._limits():
            return self._inner.score(X, *args, **params)

    @available_if(_has("set_output"))  # type: ignore[untyped-decorator]
    def set_output(self, *, transform: Any = None) -> Limited:
        """As for any transformer; reaches the estimator, fitted or not."""
        for estimator in {id(e): e for e in (self.estimator, self._inner)}.values():
            estimator.set_output(transform=transform)
        return self

    @property
    def _inner(self) -> Any:
        return vars(self).get("estimator_", self.estimator)

    def __getattr__(self, name: str) -> Any:
        # While unpickling there is no estimator to ask yet.
        if name.startswith("__") or "estimator" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name == "estimator_":
            raise AttributeError("this Limited has no estimator_ yet: call fit first")
        found = getattr(self._inner, name)
        return decorate(found, self._limits) if ismethod(found) and name[0] != "_" else found

    def __sklearn_is_fitted__(self) -> bool:
        try:
            check_is_fitted(self._inner)
        except NotFittedError:
            return False
        return True

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)

    def get_metadata_routing(self) -> Any:
        """The estimator's own requests: what it asks for goes through."""
        return get_routing_for_object(self.estimator)


def _fresh(estimator: Any) -> Any:
    """A clone that draws from the estimator's own generators, not from copies: the next fit goes on
    in their streams, as scikit-learn's does."""
    made = _clone(estimator)
    if hasattr(made, "get_params"):
        given = estimator.get_params(deep=True).items()
        made.set_params(**{name: value for name, value in given if _draws(value)})
    return made


def _clone(estimator: Any) -> Any:
    """A clone that shares those parameters that cannot be copied, such as modules and locks:
    scikit-learn's fit copies none, and refuses the wrong ones in its own words."""
    try:
        return clone(estimator)
    except TypeError:
        given = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
        shared = {name: value for name, value in given.items() if not _has_copy(value)}
        # A fit would change the caller's own estimators.
        if not shared or any(_holds_estimators(value) for value in shared.values()):
            raise
    shell = copy.copy(estimator).set_params(**dict.fromkeys(shared))
    return clone(shell).set_params(**shared)


def _has_copy(value: Any) -> bool:
    try:
        clone(value, safe=False)
    except TypeError:
        return False
    return True


def _holds_estimators(value: Any) -> bool:
    return isinstance(value, list | tuple | dict) or hasattr(value, "get_params")


def _draws(value: Any) -> bool:
    """Whether it is a generator, or has one, as a splitter of data may."""
    kinds = (np.random.RandomState, np.random.Generator)
    if isinstance(value, type) or hasattr(value, "get_params"):
        return False
    return isinstance(value, kinds) or isinstance(getattr(value, "random_state", None), kinds)


def _starts_tasks(estimator: Any) -> bool:
    parts = [estimator, *estimator.get_params(deep=True).values()]
    return any(
        "n_jobs" in part.get_params(deep=False) and not _ignores_n_jobs(part)
        for part in parts
        if hasattr(part, "get_params") and not isinstance(part, type)
    )


def _ignores_n_jobs(estimator: Any) -> bool:
    """Since 1.8 LogisticRegression has the parameter only to warn about it."""
    release = [int(number) for number in re.findall(r"\d+", sklearn.__version__)[:2]]
    return type(estimator).__name__ == "LogisticRegression" and release >= [1, 8]
