"""Ranks of OpenMPI divide their machine once: under `corewise run`, in Python, and in the C++
example, which is built here as its reader would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import corewise
import numpy as np
import pytest
from sklearn.cluster import KMeans

EXAMPLE = Path(__file__).parents[2] / "examples" / "kmeans"
COREWISE = [sys.executable, "-m", "corewise"]
# One write: mpirun mixes what its ranks print in pieces.
SHOWN = """
import os, corewise
os.write(1, b"budget %d\\n" % corewise.govern_report()["budget"])
"""
MPIRUN = shutil.which("mpirun")
CPUS = os.cpu_count() or 1

needs_mpi = pytest.mark.skipif(MPIRUN is None, reason="needs openmpi-bin")


def clean(**variables: str) -> dict[str, str]:
    """This environment, without what an outer job or test set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP", "OPENBLAS", "SLURM"))}
    return kept | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} | variables


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=clean(**variables), capture_output=True, text=True, timeout=120, check=False
    )


def mpirun(ranks: int, *command: str, bind: str = "none", **variables: str) -> str:
    assert MPIRUN is not None
    done = run(
        MPIRUN, "--oversubscribe", "--bind-to", bind, "-n", str(ranks), *command, **variables
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def budgets(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"^budget (\d+)", text, re.M)]


@needs_mpi
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_node_is_divided_once_and_one_rank_says_so(ranks: int) -> None:
    text = mpirun(ranks, *COREWISE, "run", "--", sys.executable, "-c", SHOWN)
    assert budgets(text) == [max(1, CPUS // ranks)] * ranks
    assert text.count("corewise: governed") == 1
    shared = f"{CPUS} CPUs shared by {ranks} local ranks"
    assert (shared in text) == (ranks > 1)
    assert ("more ranks than CPUs" in text) == (ranks > CPUS)


@needs_mpi
@pytest.mark.skipif(CPUS < 2, reason="needs 2 CPUs")
def test_masks_that_are_divided_already_are_not_divided_again() -> None:
    text = mpirun(2, *COREWISE, "run", "--", sys.executable, "-c", SHOWN, bind="core")
    assert len(budgets(text)) == 2, text
    assert CPUS != 2 or budgets(text) == [1, 1], text


@needs_mpi
def test_in_a_program_of_mpi4py() -> None:
    pytest.importorskip("mpi4py")
    program = """
from mpi4py import MPI
import corewise
with corewise.governed():
    mine = corewise.govern_report()["budget"]
    ledger = corewise.govern_report()["ledger"]["path"]
    all = MPI.COMM_WORLD.gather((mine, corewise.plan().openmp, ledger))
if all: print("found", [one[:2] for one in all], len({one[2] for one in all}), "ledgers")
"""
    text = mpirun(2, sys.executable, "-c", program)
    share = max(1, CPUS // 2)
    # One, in which they lend each other what they do not use.
    assert f"found {[(share, share)] * 2} {1 if CPUS > 1 else 2} ledgers" in text


LENDING = """
from mpi4py import MPI
import time, numpy as np, corewise
comm = MPI.COMM_WORLD
a = np.ones((900, 900))
def grants():
    report = corewise.govern_report()
    return report["granted"], report["calls"]
def products(count):
    before = grants()
    for _ in range(count): a @ a
    after = grants()
    return after[0] - before[0], after[1] - before[1]
def wait(request):
    while not request.Test(): time.sleep(0.001)
alone = products(30) if comm.Get_rank() == 0 else None
wait(comm.Ibarrier())
both = products(30)
wait(comm.Ibarrier())
seen = comm.gather((alone, both))
if seen: print("lent", seen[0][0], "both", [both for _, both in seen])
"""


@needs_mpi
@pytest.mark.skipif(CPUS < 2, reason="a CPU that is the only one cannot be lent")
def test_a_rank_that_sleeps_lends_its_part() -> None:
    pytest.importorskip("mpi4py")
    text = mpirun(2, *COREWISE, "run", "-q", "--", sys.executable, "-c", LENDING)
    found = re.search(r"lent \((\d+), (\d+)\) both \[\((\d+), (\d+)\), \((\d+), (\d+)\)\]", text)
    assert found, text
    lent, calls, *both = map(int, found.groups())
    part = max(1, CPUS // 2)
    # Other programs may want a CPU at times.
    assert lent > 1.05 * part * calls, text
    # Each has its own part when it wants it.
    assert both[0] >= both[1] and both[2] >= both[3], text


def test_a_slurm_job() -> None:
    """As Slurm sets them for a task of four on this node, without cgroups."""
    job = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_CPUS_ON_NODE": str(CPUS)}
    job |= {"SLURM_STEP_TASKS_PER_NODE": "4(x2)", "SLURM_NODEID": "1"}
    said = []
    for rank in range(2):
        own = {"SLURM_PROCID": str(4 + rank), "SLURM_LOCALID": str(rank)}
        done = run(*COREWISE, "run", "--", sys.executable, "-c", SHOWN, **job, **own)
        assert budgets(done.stdout) == [max(1, CPUS // 4)]
        said.append(done.stderr)
    assert f"{CPUS} CPUs on the node shared by 4 local ranks" in said[0] and said[1] == ""
    each = run(*COREWISE, "run", "--", sys.executable, "-c", SHOWN, **job, SLURM_CPUS_PER_TASK="1")
    assert budgets(each.stdout) == [1]


@pytest.fixture(scope="module")
def kmeans(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example, built with find_package(corewise)."""
    if not (MPIRUN and shutil.which("mpicxx") and shutil.which("cmake")):
        pytest.skip("needs cmake, openmpi-bin and libopenmpi-dev")
    prefix = subprocess.check_output([*COREWISE, "--prefix"], text=True).strip()
    folder = tmp_path_factory.mktemp("kmeans")
    flags = "-Wall -Wextra -Wpedantic -Wconversion -Werror"
    configure = ["cmake", "-S", EXAMPLE, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}"]
    subprocess.run([*configure, f"-DCMAKE_CXX_FLAGS={flags}"], check=True, capture_output=True)
    built = subprocess.run(["cmake", "--build", folder], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout
    return str(folder / "kmeans")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, np.ndarray]:
    X = np.random.default_rng(0).standard_normal((20000, 64))
    file = str(tmp_path_factory.mktemp("table") / "x.npy")
    np.save(file, X)
    return file, X


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_example_finds_what_scikit_learn_finds(
    kmeans: str, table: tuple[str, np.ndarray], ranks: int
) -> None:
    file, X = table
    text = mpirun(ranks, kmeans, file, "16", "25")
    found = re.search(r"(\d+) ranks, (\d+) iterations, inertia ([\d.]+)", text)
    assert found, text
    theirs = KMeans(16, init=X[:16], n_init=1, max_iter=25, tol=0).fit(X)
    assert (int(found[1]), int(found[2])) == (ranks, theirs.n_iter_)
    assert float(found[3]) == pytest.approx(theirs.inertia_, rel=1e-8)
    assert text.count("plan for each rank") == 1


@needs_mpi
def test_the_example_dies_free_and_lives_governed(kmeans: str, tmp_path: Path) -> None:
    """As many OpenMP threads as on a large machine, each a caller of one OpenBLAS."""
    file = str(tmp_path / "wide.npy")
    np.save(file, np.random.default_rng(0).standard_normal((256_000, 64)))
    wide = {"OMP_NUM_THREADS": "1000"}
    assert MPIRUN is not None
    free = [MPIRUN, "-n", "1", "--bind-to", "none", kmeans, file, "256", "1", "--free"]
    died = run(*free, **wide)
    if died.returncode == 0:
        pytest.skip("this OpenBLAS did not run out of its buffers here")
    assert "1 ranks" in mpirun(1, kmeans, file, "256", "1", **wide)
    agent = mpirun(1, *COREWISE, "run", "--", kmeans, file, "256", "1", "--free", **wide)
    assert "1 ranks" in agent


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.npy", "4"], "missing.npy cannot be opened"),
        ([__file__, "4"], "is no .npy file"),
        (["TABLE", "0"], "give a number from 1 to 20000"),
        (["TABLE"], "usage"),
        (["TABLE", "4x"], "give a number from 1 to 20000"),
        (["TABLE", "4", "many"], "usage"),
        (["TABLE", "4", "5", "6"], "usage"),
    ],
)
def test_the_example_refuses(
    kmeans: str, table: tuple[str, np.ndarray], words: list[str], said: str
) -> None:
    done = run(kmeans, *(table[0] if word == "TABLE" else word for word in words))
    assert done.returncode != 0 and said in done.stderr


@pytest.mark.parametrize(
    ("shape", "claimed", "said"),
    [
        ((5, 4, 3), None, "is no table of float64"),
        ((5, 0), None, "is no table of float64"),
        ((50, 4), "(9999999999, 4)", "ends too early"),
        ((50, 4), "(999999999999999, 999999)", "ends too early"),
        ((50, 4), "(-5, 4)", "ends too early"),
        ((50, 4), "nan", "has values that are no numbers"),
    ],
)
def test_the_example_refuses_what_is_no_table_of_numbers(
    kmeans: str, tmp_path: Path, shape: tuple[int, ...], claimed: str | None, said: str
) -> None:
    file = tmp_path / "x.npy"
    np.save(file, np.full(shape, np.nan if claimed == "nan" else 1.0))
    if claimed and claimed != "nan":
        told = f"{shape}, }}".encode()
        file.write_bytes(
            file.read_bytes().replace(told.ljust(40), f"{claimed}, }}".encode().ljust(40))
        )
        assert claimed.encode() in file.read_bytes()
    done = run(kmeans, str(file), "2")
    assert done.returncode == 1 and said in done.stderr


def test_budgets_here_are_undivided() -> None:
    assert not any(one.source in ("mpi", "slurm") for one in corewise.budget().constraints)
