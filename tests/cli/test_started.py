"""What a governed program starts: of OpenBLAS no more threads than the budget, though it finds 64
CPUs; and whatever else gives it a number has the word."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

PYTHON = os.environ.get("COREWISE_TEST_PYTHON", sys.executable)
COUNTS = """
import os, threadpoolctl
def started(): return next(int(l.split()[1]) for l in open("/proc/self/status") if "Threads" in l)
def counts(api):
    return [p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == api]
def blas(): return counts("blas")
"""
DEBIAN = Path("/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0")


@pytest.fixture(scope="session")
def sixty_four(tmp_path_factory):
    made = tmp_path_factory.mktemp("cpus") / "libpretends.so"
    source = Path(__file__).with_name("pretends_64_cpus.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", source, "-o", made, "-ldl"], check=True)
    return {"LD_PRELOAD": str(made)}


@pytest.fixture
def governed(corewise, sixty_four):
    def run(code, *options, env=None, **more):
        done = corewise(
            "run", "-q", *options, "--", PYTHON, "-c", COUNTS + code, env=sixty_four | (env or {}),
            **more,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.split("\n")[0]

    return run


NUMPY = "import numpy; print(blas(), started() <= 4)"


def test_openblas_starts_the_budget(governed):
    assert governed(NUMPY, "--budget", "2") == "[2] True"
    assert governed(NUMPY, "--budget", "1") == "[1] True"
    # Also where nobody gave a budget: here it is what /proc says.
    assert governed("import numpy; print(started() < 32)") == "True"
    assert governed("import numpy, scipy.linalg; print(blas())", "--budget", "2") == "[2, 2]"
    # A run inside a run.
    assert governed("import numpy; print(blas())", env={"COREWISE_BUDGET": "1"}) == "[1]"


def test_little_address_space_is_enough(governed):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (1_000_000_000, 1_000_000_000))

    assert governed(NUMPY, "--budget", "2", preexec_fn=limit) == "[2] True"


@pytest.mark.skipif(not DEBIAN.exists(), reason="no OpenBLAS of Debian's")
def test_an_older_openblas_too(governed):
    code = f"import ctypes; ctypes.CDLL('{DEBIAN}'); print(blas(), started() <= 4)"
    assert governed(code, "--budget", "2") == "[2] True"


@pytest.mark.parametrize(
    ("env", "count"),
    [
        ({"OPENBLAS_NUM_THREADS": "5"}, 5),
        ({"OPENBLAS_DEFAULT_NUM_THREADS": "5"}, 5),
        ({"GOTO_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "1"}, 1),
    ],
    ids=str,
)
def test_the_users_variables_stay(governed, env, count):
    shown = f"import numpy; print(blas(), {{k: os.environ[k] for k in {list(env)}}})"
    assert governed(shown, "--budget", "2", env=env) == f"[{count}] {env}"
    # Set by the program, before the library is loaded.
    inside = f"os.environ.update({env}); import numpy; print(blas())"
    assert governed(inside, "--budget", "2") == f"[{count}]"
    # By a launcher in between.
    between = f"import subprocess, sys; os.environ.update({env}); subprocess.run([sys.executable, "
    between += f"'-c', {COUNTS + 'import numpy; print(blas())'!r}])"
    assert governed(between, "--budget", "2") == f"[{count}]"


def test_a_default_of_rays_for_its_worker_is_no_bound(governed, tmp_path):
    # Ray sets it inside the worker, before each task; test_ray.py has the real one.
    worker = tmp_path / "ray/_private/workers/default_worker.py"
    worker.parent.mkdir(parents=True)
    worker.write_text(
        COUNTS + "os.environ.setdefault('OMP_NUM_THREADS', '1')\n"
        "import numpy, sklearn.cluster; print(blas(), set(counts('openmp')))"
    )
    started = f"import subprocess, sys; subprocess.run([sys.executable, {str(worker)!r}])"
    # BLAS calls may use what is free; OpenMP's teams are as ungoverned.
    assert governed(started, "--budget", "2") == "[2, 2] {1}"
    assert governed(started) == "[2, 2] {1}"
    assert governed(started, env={"OMP_NUM_THREADS": "1"}) == "[1, 1] {1}"


def test_counts_that_are_asked_for_say_it(governed):
    assert governed(NUMPY, "--budget", "2", "--blas", "3") == "[3] True"
    assert governed("import numpy; print(blas())", "--budget", "2", "--openmp", "3") == "[3]"


def test_teams_are_as_ungoverned(governed):
    code = "import sklearn.cluster; print(set(counts('openmp')))"
    assert governed(code, "--budget", "2") == "{64}"


def test_what_the_program_sets_later_is_there(governed):
    code = """
import numpy as np
a = np.ones((300, 300))
with threadpoolctl.threadpool_limits(8, "blas"):
    print(blas(), (a @ a)[0, 0], end=" ")
print(blas(), (a @ a)[0, 0])
"""
    assert governed(code, "--budget", "2") == "[8] 300.0 [2] 300.0"


def test_joblibs_workers_keep_their_share(governed):
    code = """
import joblib
def f():
    import numpy
    return blas()
if __name__ == "__main__":
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        print(joblib.Parallel(2)(joblib.delayed(f)() for _ in range(2)))
"""
    assert governed(code, "--budget", "2") == "[[1], [1]]"


def test_what_is_set_is_said(corewise, sixty_four):
    done = corewise("run", "--json", "--budget", "2", "--", "true", env=sixty_four)
    assert '"GOTO_NUM_THREADS":"2"' in done.stderr and '"COREWISE_BLAS_STARTED":"2"' in done.stderr
    bare = corewise("run", "--json", "--", "true")
    assert "GOTO_NUM_THREADS" not in bare.stderr
