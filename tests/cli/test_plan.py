"""corewise plan: the table, the lines for a shell, and pools of imported modules."""

import json
import subprocess

import pytest
from conftest import CLEAN


@pytest.fixture
def plan(corewise, machine):
    """On eight CPUs without a quota."""
    (machine / "sys/fs/cgroup/user.slice/cpu.max").unlink()
    (machine / "env").unlink()

    def run(*words, **options):
        return corewise("plan", "--recorded", str(machine), *words, **options)

    return run


@pytest.mark.parametrize("columns", [80, 120])
def test_the_screen(plan, golden, columns):
    done = plan("--processes", "3", "--blas", "2", env={"COLUMNS": str(columns)})
    assert done.returncode == 0 and done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= columns
    golden(f"plan-{columns}.txt", done.stdout)


@pytest.mark.parametrize(
    "words, counts",
    [
        ([], [1, 8, 1]),
        (["--processes", "4"], [4, 2, 1]),
        (["--processes", "16"], [8, 1, 1]),
        (["--openmp", "2"], [1, 2, 1]),
        (["--blas", "4"], [1, 2, 4]),
        (["--openmp", "2", "--blas", "9"], [1, 2, 4]),
        (["--cap", "2.5", "--processes", "2"], [2, 1, 1]),
    ],
)
def test_counts(plan, words, counts):
    told = json.loads(plan(*words, "--json").stdout)
    assert [level["count"] for level in told["levels"]] == counts
    assert all(level["reason"] for level in told["levels"])


def test_the_lines_are_what_a_shell_sets(plan):
    lines = plan("--processes", "2", "--env").stdout
    script = f"MKL_DOMAIN_NUM_THREADS=9\n{lines}\nenv"
    done = subprocess.run(["bash", "-c", script], env=CLEAN, capture_output=True, text=True)
    assert "OMP_NUM_THREADS=4\n" in done.stdout and "OPENBLAS_NUM_THREADS=1\n" in done.stdout
    assert "MKL_DOMAIN" not in done.stdout and done.stderr == ""


def test_each_shell_has_its_lines(plan):
    assert "set -gx OMP_NUM_THREADS 8;\n" in plan("--env", "--shell", "fish").stdout
    assert "setenv OMP_NUM_THREADS 8;\n" in plan("--env", "--shell", "csh").stdout
    assert "export OMP_NUM_THREADS=8;\n" in plan("--env").stdout


def test_pools_of_imported_modules(plan, numpy_python):
    words = ["-i", "numpy", "--python", numpy_python]
    told = json.loads(plan(*words, "--json").stdout)
    assert [level["count"] for level in told["levels"]] == [1, 1, 8]
    (limit,) = told["limits"]
    assert limit["api"] == "blas" and limit["threads"] == 8 and limit["path"].startswith("/")
    assert limit["pool"] == limit["path"].rsplit("/", 1)[1]
    assert limit["pool"] in plan(*words).stdout


def test_a_module_that_is_not_there(plan, numpy_python):
    done = plan("-i", "no_such_module", "--python", numpy_python)
    assert done.returncode == 1 and "cannot import 'no_such_module'" in done.stderr
