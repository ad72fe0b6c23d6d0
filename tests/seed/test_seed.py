"""The wheels of the story: what kills them, what the doctor says of them; governed they live.

`make test-seed` installs them into .venv-seed (300 MB); without it all of this is skipped. The
KMeans needs 700 threads and some 2 GB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-seed/bin/python"
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("OMP_", "OPENBLAS_", "GOTO_", "COREWISE_"))
} | {"PATH": PATH}

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="needs .venv-seed: make test-seed")

KMEANS = """
import numpy, sklearn.cluster
X = numpy.random.default_rng(0).standard_normal((100_000, 512))
model = sklearn.cluster.KMeans(1024, init=X[:1024], n_init=1, max_iter=3).fit(X)
print(f"inertia {model.inertia_:.6e}")
"""


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=CLEAN | env, capture_output=True, text=True, timeout=900, check=False
    )


def findings(*modules: str, **env: str) -> dict[str, dict[str, str]]:
    done = run("corewise", "doctor", "--json", "--python", str(PYTHON), "-i", *modules, **env)
    return {found["id"]: found for found in json.loads(done.stdout)["findings"]}


def test_the_versions_are_those_of_the_story() -> None:
    done = run("corewise", "info", "--json", "--python", str(PYTHON), "-i", "numpy", "scipy.linalg")
    pools = json.loads(done.stdout)["pools"]
    versions = {Path(pool["path"]).parent.name: pool["version"][:6] for pool in pools}
    assert versions == {"numpy.libs": "0.3.27", "scipy.libs": "0.3.28"}


@pytest.mark.parametrize("threads", [129, 191, 256, 400, 700])
def test_the_doctor_says_it_before(threads: int) -> None:
    env = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
    found = findings("scipy.linalg", "sklearn.cluster", **env)["openblas-slots"]
    assert found["severity"] == "danger" and len(found["pools"]) == 2
    assert found["what"].startswith(f"{threads} threads may call OpenBLAS at once")
    assert "the next call writes past their table" in found["why"]


def test_as_many_callers_as_slots_are_no_danger() -> None:
    env = {"OMP_NUM_THREADS": "128", "OPENBLAS_NUM_THREADS": "1"}
    assert "openblas-slots" not in findings("scipy.linalg", "sklearn.cluster", **env)


@pytest.mark.parametrize("threads", [400, 700])
def test_kmeans_dies_as_installed_and_lives_governed(threads: int) -> None:
    env = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "64"}
    few = run(str(PYTHON), "-c", KMEANS, OMP_NUM_THREADS="2")
    governed = run("corewise", "run", "--", str(PYTHON), "-c", KMEANS, **env)
    assert (governed.returncode, governed.stdout) == (0, few.stdout), governed.stderr
    ends: list[int] = []
    while len(ends) < 4 and not any(code < 0 for code in ends):  # it need not die each time
        ends.append(run(str(PYTHON), "-c", KMEANS, **env).returncode)
    if ends[-1] == 0:
        pytest.skip(f"as installed it lived in {len(ends)} runs here")
    assert ends[-1] < 0, ends
