"""What `corewise run` does for three programs that go wrong without it. `make demo` starts it.

Each runs twice in a process of its own: with default settings, then under `corewise run`. KMeans
gets 1,000 OpenMP threads, as on a machine with 1,000 CPUs, and may die as it does there.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

PATIENCE = 30.0  # seconds, after which a run is stopped
TIMED = "import time\n{}print(f'{{time.perf_counter() - started:.2f}} s')"
COREWISE = Path(sys.executable).with_name("corewise")

LOGISTIC = """
import numpy, sklearn.linear_model as linear
X = numpy.random.default_rng(0).random((20000, 50))
started = time.perf_counter()
linear.LogisticRegression(max_iter=50).fit(X, X[:, 0] + X[:, 1] > 1)
"""
BOOSTING = """
import numpy, sklearn.ensemble as ensemble
from concurrent.futures import ProcessPoolExecutor
X = numpy.random.default_rng(0).random((5000, 20))
def fit(seed):
    ensemble.HistGradientBoostingClassifier(max_iter=30, random_state=seed).fit(X, X[:, 0] > 0.5)
started = time.perf_counter()
with ProcessPoolExecutor(4) as pool:
    list(pool.map(fit, range(4)))
"""
KMEANS = """
import numpy, sklearn.cluster as cluster
X = numpy.random.default_rng(0).standard_normal((256000, 256))
started = time.perf_counter()
cluster.KMeans(1024, init=X[:1024], n_init=1, max_iter=1).fit(X)
"""
NEXT = ("info -i numpy sklearn.cluster", "doctor -i scipy.linalg", "run -- python your_program.py")
PROGRAMS = (
    ("LogisticRegression, one process", LOGISTIC, {}),
    ("HistGradientBoosting in 4 processes", BOOSTING, {}),
    ("KMeans, 1,000 OpenMP threads", KMEANS, {"OMP_NUM_THREADS": "1000"}),
)


def outcome(command: list[str], variables: dict[str, str]) -> str:
    """How long the work took without the imports, or how it ended."""
    process = subprocess.Popen(
        command,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        # Its workers too.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"> {PATIENCE:.0f} s"
    code = process.returncode
    if code < 0:
        return signal.Signals(-code).name
    return said.strip() if code == 0 else f"exit {code}"


def main() -> int:
    if not COREWISE.exists():
        sys.exit(f"corewise is not in {COREWISE.parent}; start this with the Python that has it")
    print("\nThree programs, with default settings and under `corewise run` (up to two minutes).")
    print("KMeans gets 1,000 threads, as on a machine with 1,000 CPUs.")
    print("Its crash in the left column is the point: corewise prevents it.")
    print(f"\n{'':36}  {'default':>12}  {'corewise run':>15}", flush=True)
    for name, program, variables in PROGRAMS:
        plain = [sys.executable, "-c", TIMED.format(program)]
        free = outcome(plain, variables)
        governed = outcome([str(COREWISE), "run", "-q", "--", *plain], variables)
        print(f"  {name:34}  {free:>12}  {governed:>15}", flush=True)
        if not governed.endswith(" s") or governed.startswith(">"):
            return 1
    print("\nNow try:")
    for what in NEXT:
        print(f"  {shown(COREWISE)} {what}")
    return 0


def shown(path: Path) -> str:
    """From here, where that is shorter."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
