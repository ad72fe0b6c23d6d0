"""Boosted trees outside of scikit-learn."""

from __future__ import annotations

from typing import Any

from same import numbers, program


def table() -> tuple[Any, Any]:
    import numpy as np

    random = np.random.default_rng(0)
    X = random.integers(0, 50, (8000, 30)).astype(np.float32)
    return X, (X[:, 0] * 3 + X[:, 1] * X[:, 2] / 10).round()


def boosted(method: str, threads: int) -> Any:
    import xgboost

    X, y = table()
    data = xgboost.DMatrix(X, y, nthread=threads)
    parameters = {"tree_method": method, "nthread": threads, "max_depth": 5}
    model = xgboost.train(parameters, data, 6)
    return [numbers(model.predict(data)), model.get_dump()[-1].count("leaf")]


@program("same")
def xgboost_hist(threads: int) -> Any:
    return boosted("hist", threads)


@program("same")
def xgboost_approx(threads: int) -> Any:
    return boosted("approx", threads)


@program("same")
def xgboost_exact(threads: int) -> Any:
    return boosted("exact", threads)


@program("same")
def xgboost_classifier(threads: int) -> Any:
    """As most programs call it: no thread count anywhere."""
    import xgboost

    X, _ = table()
    model = xgboost.XGBClassifier(n_estimators=5).fit(X, X[:, 0] > 25)
    return [numbers(model.predict(X)), numbers(model.predict_proba(X))]


@program("same")
def xgboost_csr(threads: int) -> Any:
    import scipy.sparse as sp
    import xgboost

    rows = sp.random(5000, 100, 0.1, format="csr", random_state=1, dtype="float32")
    kept = xgboost.DMatrix(rows, nthread=threads).get_data()
    return [int(kept.nnz), numbers(kept.data), numbers(kept.indices)]


@program("same")
def xgboost_dense(threads: int) -> Any:
    import numpy as np
    import xgboost

    X = np.random.default_rng(0).random((20000, 30), dtype=np.float32)
    kept = xgboost.DMatrix(X, nthread=threads).get_data()
    return [int(kept.nnz), numbers(kept.data)]


@program("same", "same-old")
def lightgbm(threads: int) -> Any:
    import lightgbm

    X, y = table()
    parameters = {"objective": "regression", "num_threads": threads, "verbose": -1}
    parameters |= {"deterministic": True, "force_row_wise": True}
    model = lightgbm.train(parameters, lightgbm.Dataset(X, y), 15)
    return [lightgbm.__version__, numbers(model.predict(X))]


@program("same", "same-old")
def lightgbm_columns(threads: int) -> Any:
    """No count of its own, histograms by column, classes."""
    import lightgbm

    X, y = table()
    parameters = {"objective": "multiclass", "num_class": 4, "verbose": -1, "force_col_wise": True}
    model = lightgbm.train(parameters, lightgbm.Dataset(X, y % 4), 5)
    return numbers(model.predict(X))
