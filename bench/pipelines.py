"""A search over a pipeline by joblib's threading and loky: as installed, with one thread, governed.

    python bench/pipelines.py [-n 3] [--jobs 2,4,8]

The shape is that of the benchmark by which scikit-learn's developers compare joblib's backends
(github.com/ogrisel/example_pipelines): splines, a Nystroem kernel and a ridge regression over a
table of 1460 houses; the data here are drawn, since theirs come from the network. Prints medians of
seconds of the search, of runs that alternate, with the ratio to the better of the first two.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

COREWISE = [str(Path(sys.executable).with_name("corewise")), "run", "-q", "--"]
ONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SETTINGS: dict[str, tuple[list[str], dict[str, str]]] = {
    "as installed": ([], {}),
    "limited to 1": ([], ONE),
    "`corewise run`": (COREWISE, {}),
}

PROGRAM = """
import sys, time
import joblib, numpy as np
from scipy.stats import loguniform, randint
from sklearn.compose import TransformedTargetRegressor
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import RandomizedSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, SplineTransformer

backend, jobs = sys.argv[1], int(sys.argv[2])
draw = np.random.default_rng(0)
x = draw.random((1460, 60))
y = np.exp(x[:, :20].sum(axis=1) / 10 + draw.normal(0, 0.1, 1460))
model = TransformedTargetRegressor(
    make_pipeline(
        MinMaxScaler(),
        SplineTransformer(n_knots=10, degree=2),
        Nystroem(kernel="poly", degree=2, n_components=300, random_state=0),
        RidgeCV(alphas=np.logspace(-6, 6, 13)),
    ),
    transformer=PowerTransformer(),
)
choices = {
    "regressor__splinetransformer__n_knots": randint(5, 15),
    "regressor__nystroem__n_components": randint(100, 400),
    "regressor__nystroem__coef0": loguniform(1e-2, 1e2),
}
cv = ShuffleSplit(3, test_size=0.2, random_state=0)
search = RandomizedSearchCV(model, choices, n_iter=8, cv=cv, n_jobs=jobs, random_state=0)
with joblib.parallel_config(backend):
    joblib.Parallel(jobs)(joblib.delayed(time.sleep)(0.1) for _ in range(jobs))
    began = time.perf_counter()
    search.fit(x, y)
    print(time.perf_counter() - began, search.best_score_)
"""


def measure(setting: str, backend: str, jobs: int) -> tuple[float, str]:
    prefix, variables = SETTINGS[setting]
    unset = (*ONE, "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    env = {name: value for name, value in os.environ.items() if name not in unset} | variables
    words = [*prefix, sys.executable, "-c", PROGRAM, backend, str(jobs)]
    seconds, score = subprocess.check_output(words, env=env, text=True).split()
    return float(seconds), f"{float(score):.6f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-n", "--repetitions", type=int, default=3)
    parser.add_argument("--jobs", default="2,4,8")
    options = parser.parse_args()
    print(f"| Backend, jobs | {' | '.join(SETTINGS)} | to the better |")
    print("|---|" + "---:|" * (len(SETTINGS) + 1))
    scores = set()
    for backend in ("threading", "loky"):
        for jobs in map(int, options.jobs.split(",")):
            seconds: dict[str, list[float]] = {name: [] for name in SETTINGS}
            for _ in range(options.repetitions):
                for name, times in seconds.items():
                    taken, score = measure(name, backend, jobs)
                    times.append(taken)
                    scores.add(score)
            *others, ours = (median(times) for times in seconds.values())
            cells = [f"{time:.2f} s" for time in (*others, ours)]
            print(f"| {backend}, {jobs} | {' | '.join(cells)} | {ours / min(others):.2f} |")
    print(f"\nBest scores: {', '.join(sorted(scores))}")


if __name__ == "__main__":
    main()
