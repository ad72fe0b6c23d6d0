"""What tasks see: a function and an estimator that tell the counts of the pools around them."""

from __future__ import annotations

import os
from typing import Any

import corewise
import numpy  # noqa: F401  (brings a BLAS)
import sklearn.cluster  # noqa: F401  (brings OpenMP and another BLAS)
from sklearn.base import BaseEstimator


def counts(_: object = None) -> tuple[int, int]:
    """The most threads of an OpenMP and of a BLAS pool, as the calling thread sees them."""
    most = {
        api: max(pool.threads or 0 for pool in corewise.pools() if pool.api == api)
        for api in ("openmp", "blas")
    }
    return most["openmp"], most["blas"]


def counts_and_pid(_: object = None) -> tuple[tuple[int, int], int]:
    return counts(), os.getpid()


class Probe(BaseEstimator):
    """Each method tells the counts that it met."""

    def __init__(self, raises: bool = False) -> None:
        self.raises = raises

    def fit(self, X: Any, y: Any = None) -> Probe:
        self.met_ = counts()
        if self.raises:
            raise RuntimeError("as asked")
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Probe:
        self.calls_ = getattr(self, "calls_", 0) + 1
        return self.fit(X)

    def predict(self, X: Any) -> tuple[int, int]:
        return counts()

    transform = predict_proba = decision_function = predict

    def score(self, X: Any, y: Any = None) -> float:
        openmp, blas = counts()
        return openmp + blas / 100

    def fit_predict(self, X: Any, y: Any = None) -> tuple[int, int]:
        return self.fit(X).met_

    fit_transform = fit_predict

    def staged_predict(self, X: Any) -> Any:
        yield counts()
        yield counts()
