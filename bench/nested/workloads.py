"""The nested workloads, each as ordinary user code: nothing in them limits, pins or tunes.

    python workloads.py NAME    runs one and prints {"wall": s, "cpu": s, "checksum": x}
    python workloads.py         lists them

A task is a plain function of its number; a workload says how many tasks there are and what runs
them: a loop, Python threads, a process pool, loky or joblib's threads. Only the tasks are timed,
with the pool that runs them; imports and data are not. CPU time includes that of the children.

Two variables stand for the line a user would add: BENCH_LIMIT_ONE=1 is `threadpool_limits(1)`
around everything (and in each worker), BENCH_CALL=module:function calls it after the imports.
"""

import ctypes
import functools
import gc
import importlib
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Task = Callable[[int], float]
Runner = Callable[[Task, int], list[float]]


@functools.cache
def table(rows: int, columns: int) -> tuple[Any, Any]:
    """Two noisy overlapping classes, from a fixed seed."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, columns))
    return x, (x[:, 0] + 0.5 * rng.standard_normal(rows) > 0).astype(int)


@functools.cache
def square(size: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((size, size))


@functools.cache
def definite(size: int) -> np.ndarray:
    a = square(size)
    return np.asarray(a @ a.T + size * np.eye(size))


def logistic(_: int) -> float:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(*table(20_000, 50))
    return float(np.abs(model.coef_).sum())


def kmeans(rows: int, columns: int, k: int, number: int) -> float:
    from sklearn.cluster import KMeans

    x, _ = table(rows, columns)
    return float(KMeans(k, n_init=1, random_state=number).fit(x).inertia_)


def lloyd(_: int) -> float:
    from sklearn.cluster import KMeans

    x, _ = table(100_000, 32)
    return float(KMeans(64, init=x[:64], n_init=1, max_iter=10, tol=0).fit(x).inertia_)


def boosting(number: int) -> float:
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y = table(20_000, 20)
    model = HistGradientBoostingClassifier(max_iter=20, random_state=number).fit(x, y)
    return float(model.predict_proba(x[:1000])[:, 1].sum())


def xgboost(number: int) -> float:
    from xgboost import XGBClassifier

    x, y = table(20_000, 20)
    model = XGBClassifier(n_estimators=20, tree_method="hist", random_state=number).fit(x, y)
    return float(model.predict_proba(x[:1000])[:, 1].sum())


def lightgbm(number: int) -> float:
    from lightgbm import LGBMClassifier

    x, y = table(20_000, 20)
    model = LGBMClassifier(n_estimators=20, verbose=-1, random_state=number).fit(x, y)
    return float(model.predict_proba(x[:1000])[:, 1].sum())


@functools.cache
def compiled() -> Any:
    """stencil.c, as a user's own library: regions of some 50 microseconds and a reduction."""
    folder = Path(tempfile.gettempdir()) / f"corewise-bench-{os.getuid()}"
    library, source = folder / "libstencil.so", Path(__file__).with_name("stencil.c")
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        folder.mkdir(mode=0o700, exist_ok=True)
        new = folder / f"{os.getpid()}.so"
        subprocess.run(
            ["gcc", "-O2", "-fopenmp", "-shared", "-fPIC", source, "-o", new], check=True
        )
        new.rename(library)
    function = ctypes.CDLL(str(library)).stencil
    function.restype = ctypes.c_double
    return function


def stencil(number: int) -> float:
    return float(compiled()(100_000, 300, number))


def search(number: int) -> float:
    """joblib in joblib: a search over a pipeline whose trees are fitted side by side too."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_score

    x, y = table(5000, 20)
    model = HistGradientBoostingClassifier(max_iter=10, random_state=number)
    return float(cross_val_score(model, x, y, cv=4, n_jobs=2).sum())


def pca(number: int) -> float:
    from sklearn.decomposition import PCA

    x, _ = table(4000, 60)
    model = PCA(10, svd_solver="full", random_state=number).fit(x)
    return float(model.explained_variance_.sum())


def svd(size: int, _: int) -> float:
    return float(np.linalg.svd(square(size), compute_uv=False).sum())


def cholesky(size: int, _: int) -> float:
    from scipy.linalg import cho_factor

    return float(np.trace(cho_factor(definite(size))[0]))


def gemm(size: int, _: int) -> float:
    a = square(size)
    return float((a @ a)[0, 0])


def alternate(_: int) -> float:
    """NumPy's product, then SciPy's factorization: two OpenBLAS pools take turns."""
    from scipy.linalg import cho_factor

    a = definite(300)
    return float((a @ a)[0, 0] + np.trace(cho_factor(a)[0]))


def alternate_lu(_: int) -> float:
    """Both LU factorizations. OpenBLAS queues these past its threads callback."""
    from scipy.linalg import lu_factor

    a = definite(300)
    return float(np.linalg.slogdet(a)[1] + np.trace(lu_factor(a)[0]))


def gemm_then_python(number: int) -> float:
    """A product, then some 200 microseconds in which its pool is idle."""
    return gemm(220, 0) + sum(i * i % 7 for i in range(3000 + number % 7))


def elementwise(_: int) -> float:
    x, _ = table(20_000, 50)
    return float(np.exp(-np.abs(x)).sum())


def python_loop(number: int) -> float:
    return float(sum(i * i % 7 for i in range(200_000 + number)))


def serial(task: Task, count: int) -> list[float]:
    return [task(i) for i in range(count)]


def threads(workers: int) -> Runner:
    def run(task: Task, count: int) -> list[float]:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(task, range(count)))

    return run


def processes(workers: int) -> Runner:
    def run(task: Task, count: int) -> list[float]:
        # The default on Linux until Python 3.14, and the one that inherits loaded pools.
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(workers, mp_context=fork) as pool:
            return list(pool.map(task, range(count)))

    return run


def joblib_backend(backend: str, workers: int) -> Runner:
    def run(task: Task, count: int) -> list[float]:
        from joblib import Parallel, delayed

        parallel = Parallel(n_jobs=workers, backend=backend)
        return list(parallel(delayed(task)(i) for i in range(count)))

    return run


of = functools.partial


class Workload(NamedTuple):
    name: str
    says: str
    task: Task
    tasks: int
    run: Runner
    nests: bool = True
    quick: bool = False

    @property
    def runner(self) -> str:
        """How the tasks run: "serial", "threads", "processes", "loky" or "threading"."""
        return self.name.rpartition("-")[2].rstrip("0123456789")


loky2 = joblib_backend("loky", 2)
threading2 = joblib_backend("threading", 2)
kmeans16 = of(kmeans, 5000, 50, 16)
kmeans8 = of(kmeans, 20_000, 20, 8)
CONTROL: dict[str, bool] = {"nests": False}
QUICK: dict[str, bool] = {"quick": True}

WORKLOADS: Sequence[Workload] = (
    Workload("logreg-serial", "LogisticRegression 20000x50", logistic, 16, serial, **QUICK),
    Workload("logreg-threads2", "the same, 2 Python threads", logistic, 16, threads(2), **QUICK),
    Workload("logreg-processes4", "the same, 4 processes", logistic, 16, processes(4)),
    Workload("logreg-loky2", "the same, loky, 2", logistic, 16, loky2),
    Workload("kmeans-serial", "KMeans 5000x50, k 16", kmeans16, 8, serial, **QUICK),
    Workload("kmeans-processes2", "KMeans 20000x20, k 8, 2 processes", kmeans8, 16, processes(2)),
    Workload("kmeans-processes8", "the same, 8 processes", kmeans8, 16, processes(8), **QUICK),
    Workload("kmeans-loky2", "the same, loky, 2", kmeans8, 16, loky2),
    Workload("hgb-serial", "HistGradientBoosting 20000x20", boosting, 4, serial),
    Workload("hgb-processes2", "the same, 2 processes", boosting, 8, processes(2), **QUICK),
    Workload("hgb-threading2", "the same, joblib threading, 2", boosting, 8, threading2),
    Workload("search-threading2", "nested joblib: 4 folds in 2, 2 at once", search, 4, threading2),
    Workload("xgboost-serial", "xgboost hist 20000x20", xgboost, 8, serial),
    Workload("xgboost-processes2", "the same, 2 processes", xgboost, 16, processes(2), **QUICK),
    Workload("xgboost-processes4", "the same, 4 processes", xgboost, 16, processes(4)),
    Workload("lightgbm-serial", "LightGBM 20000x20", lightgbm, 8, serial),
    Workload("lightgbm-processes2", "the same, 2 processes", lightgbm, 16, processes(2)),
    Workload("lightgbm-processes4", "the same, 4 processes", lightgbm, 16, processes(4)),
    Workload("stencil-serial", "OpenMP in C, 50 µs regions", stencil, 4, serial, **CONTROL),
    Workload("stencil-processes4", "the same, 4 processes", stencil, 16, processes(4)),
    Workload("cho220-threads8", "Cholesky 220², 8 threads", of(cholesky, 220), 1500, threads(8)),
    Workload("cho500-threads8", "Cholesky 500², 8 threads", of(cholesky, 500), 300, threads(8)),
    Workload("svd200-serial", "SVD 200²", of(svd, 200), 100, serial),
    Workload("svd200-threads8", "SVD 200², 8 threads", of(svd, 200), 200, threads(8), **QUICK),
    Workload("svd200-threading2", "SVD 200², joblib threading, 2", of(svd, 200), 100, threading2),
    Workload("pca-threading2", "PCA 4000x60, joblib threading, 2", pca, 40, threading2),
    Workload("gemm500-threads8", "product 500², 8 threads", of(gemm, 500), 400, threads(8)),
    Workload("gemm1000-processes2", "product 1000², 2 processes", of(gemm, 1000), 40, processes(2)),
    Workload("alternate-serial", "NumPy product, SciPy Cholesky 300²", alternate, 200, serial),
    Workload("lu-serial", "NumPy LU, SciPy LU 300²", alternate_lu, 100, serial),
    Workload("gemm220-serial", "product 220²", of(gemm, 220), 1000, serial, **CONTROL, **QUICK),
    Workload("gaps-serial", "product 220², then Python", gemm_then_python, 500, serial, **CONTROL),
    Workload("gemm2000-serial", "product 2000²", of(gemm, 2000), 3, serial, **CONTROL),
    Workload("gemm24-serial", "product 24²", of(gemm, 24), 100_000, serial, **CONTROL, **QUICK),
    Workload("lloyd-serial", "Lloyd 100000x32, k 64 (OpenMP)", lloyd, 3, serial, **CONTROL),
    Workload("elementwise", "NumPy exp and abs", elementwise, 40, serial, **CONTROL),
    Workload("python", "pure Python", python_loop, 12, serial, **CONTROL),
)


def limit_one() -> None:
    if os.environ.get("BENCH_LIMIT_ONE"):
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)


def limited(task: Task, number: int) -> float:
    """Runs in a loky worker, which starts from scratch and so limits itself at its first task."""
    global _limited
    if not _limited:
        _limited = True
        limit_one()
    return task(number)


_limited = False


def prepare(workload: Workload) -> None:
    """Imports and data. Runs no OpenMP if the tasks fork: libgomp would hang in the child."""
    estimators = {
        logistic: ["sklearn.linear_model"],
        kmeans: ["sklearn.cluster"],
        lloyd: ["sklearn.cluster"],
        boosting: ["sklearn.ensemble"],
        pca: ["sklearn.decomposition"],
        search: ["sklearn.ensemble", "sklearn.model_selection"],
        xgboost: ["xgboost"],
        lightgbm: ["lightgbm"],
    }
    task = getattr(workload.task, "func", workload.task)
    for name in ["scipy.linalg", *estimators.get(task, [])]:
        importlib.import_module(name)
    if task is stencil:
        compiled()
    if workload.runner not in ("processes", "loky"):
        workload.task(0)


def cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(workload: Workload) -> dict[str, float]:
    prepare(workload)
    limit_one()
    if call := os.environ.get("BENCH_CALL"):
        module, function = call.split(":")
        getattr(importlib.import_module(module), function)()
    # A full collection of what the imports left takes a quarter of some tasks. A handful of objects
    # decides whether it falls into a task.
    gc.collect()
    gc.freeze()
    task = functools.partial(limited, workload.task) if workload.runner == "loky" else workload.task
    cpu, wall = cpu_seconds(), time.perf_counter()
    results = workload.run(task, workload.tasks)
    wall = time.perf_counter() - wall
    if workload.runner == "loky":
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)
    return {"wall": wall, "cpu": cpu_seconds() - cpu, "checksum": sum(results)}


def main() -> int:
    names = {workload.name: workload for workload in WORKLOADS}
    if len(sys.argv) != 2 or sys.argv[1] not in names:
        print("\n".join(f"{w.name:<22} {w.says}" for w in WORKLOADS))
        return 0 if len(sys.argv) == 1 else 2
    print(json.dumps(measure(names[sys.argv[1]])))
    return 0


if __name__ == "__main__":
    # Import it under its own name, so that workers that start from scratch find the tasks.
    import workloads

    sys.exit(workloads.main())
