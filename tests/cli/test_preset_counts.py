"""With a budget of the user's, what counts CPUs counts the budget; the user's own counts stay."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CLEAN

PYTHON = os.environ.get("COREWISE_TEST_PYTHON", sys.executable)
SMOKE = Path(__file__).parents[2] / ".venv-smoke" / "bin" / "python"
LARGER = os.cpu_count() or 1
PRESET = {
    "LOKY_MAX_CPU_COUNT", "PYTHON_CPU_COUNT", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS",
    "OPENCV_FOR_THREADS_NUM", "PYTEST_XDIST_AUTO_NUM_WORKERS",
    "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS",
}  # fmt: skip

pytestmark = pytest.mark.skipif(LARGER < 2, reason="a budget below the machine wants two CPUs")


def after(corewise, *words, env=None, cwd=None):
    done = corewise("run", "-q", *words, "--", "env", env=env, cwd=cwd)
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return {name: value for name, value in found.items() if name in PRESET | {"COREWISE_PRESET"}}


def test_an_explicit_budget_presets_them(corewise, tmp_path):
    found = after(corewise, "--budget", "1")
    marker = found.pop("COREWISE_PRESET")
    assert found == dict.fromkeys(PRESET, "1")
    assert set(marker.split(" ")) == {f"{name}=1" for name in PRESET}
    assert after(corewise, env={"COREWISE_BUDGET": "1"})["PYTHON_CPU_COUNT"] == "1"
    (tmp_path / "corewise.toml").write_text("[govern]\nbudget = 1\n")
    assert after(corewise, cwd=tmp_path)["PYTHON_CPU_COUNT"] == "1"


def test_nothing_is_preset_without_one(corewise):
    assert after(corewise) == {}
    assert after(corewise, "--no-govern", "--openmp", "1") == {}
    assert after(corewise, "--budget", str(LARGER)) == {}


def test_the_users_own_stay(corewise):
    found = after(corewise, "--budget", "1", env={"LOKY_MAX_CPU_COUNT": "7"})
    assert found["LOKY_MAX_CPU_COUNT"] == "7" and found["PYTHON_CPU_COUNT"] == "1"
    assert "LOKY" not in found["COREWISE_PRESET"]
    found = after(corewise, "--budget", "1", "--cpus", "2", "--rayon", "2")
    assert found["LOKY_MAX_CPU_COUNT"] == found["PYTHON_CPU_COUNT"] == "2"
    assert found["RAYON_NUM_THREADS"] == "2" and "CPU_COUNT" not in found["COREWISE_PRESET"]


def test_a_child_knows_ours_from_the_users(corewise, program):
    inner = ["run", "-q", "--budget", "1", "--", program, "budget", "--json"]
    assert "loky" not in corewise(*inner).stdout
    assert "loky" in corewise(*inner, env={"LOKY_MAX_CPU_COUNT": "1"}).stdout


def test_json_says_what_is_preset(corewise):
    told = json.loads(corewise("run", "--json", "--budget", "1", "--", "true").stderr)
    assert {told["set"][name] for name in PRESET} == {"1"}


def test_env_and_plan_say_the_same(corewise):
    told = json.loads(corewise("env", "--json", "--cpus", "3", "--polars", "2").stdout)
    assert told["set"] == {
        "LOKY_MAX_CPU_COUNT": "3", "PYTHON_CPU_COUNT": "3", "POLARS_MAX_THREADS": "2",
        "PYTEST_XDIST_AUTO_NUM_WORKERS": "3",
    }  # fmt: skip
    plan = json.loads(corewise("plan", "--json", "--cap", "2", "--processes", "2").stdout)
    assert plan["environment"]["LOKY_MAX_CPU_COUNT"] == "2"  # all levels together
    assert plan["environment"]["RAYON_NUM_THREADS"] == "1"  # one process
    unset = json.loads(corewise("env", "--json", "--unset").stdout)["remove"]
    assert PRESET | {"BLOSC_NTHREADS"} <= set(unset)


@pytest.mark.parametrize("bad", ["0", "-1", "2.5", "many", ""])
def test_bad_counts_are_refused(corewise, bad):
    done = corewise("env", f"--cpus={bad}")
    assert done.returncode == 2 and "--cpus" in done.stderr and done.stdout == ""


NO_VARIABLE = [("duckdb", "SET threads"), ("onnxruntime", "intra_op_num_threads")]


@pytest.mark.parametrize(("option", "remedy"), NO_VARIABLE)
def test_no_variable_says_what_to_do(corewise, option, remedy):
    done = corewise("env", f"--{option}", "2")
    assert done.returncode == 2 and remedy in done.stderr


def test_joblib_and_its_workers_count_the_budget(corewise):
    code = """
import json, os, joblib
def seen():
    import corewise
    names = ("LOKY_MAX_CPU_COUNT", "OMP_NUM_THREADS")
    return [joblib.cpu_count(), [c.source for c in corewise.budget().constraints if c.binding]]
if __name__ == "__main__":
    print(json.dumps([joblib.cpu_count(), joblib.effective_n_jobs(-1),
                      *joblib.Parallel(2, "loky")(joblib.delayed(seen)() for _ in range(2))]))
"""
    done = corewise("run", "-q", "--budget", "1", "--", PYTHON, "-c", code)
    assert done.returncode == 0, done.stderr
    count, jobs, *workers = json.loads(done.stdout)
    assert count == jobs == 1
    assert all(n == 1 and "loky" not in binding for n, binding in workers)


@pytest.mark.skipif(shutil.which("python3.13") is None, reason="no python3.13")
def test_python_counts_the_budget(corewise):
    code = "import os; print(os.process_cpu_count(), os.cpu_count())"
    told = subprocess.run(["python3.13", "-c", "0"], env=CLEAN, capture_output=True)
    if told.returncode != 0:
        pytest.skip("python3.13 is a shim for another version")
    assert corewise("run", "-q", "--budget", "1", "--", "python3.13", "-c", code).stdout == "1 1\n"


@pytest.mark.skipif(not SMOKE.exists(), reason="make setup-smoke has not run")
@pytest.mark.parametrize(
    "code",
    [
        "import polars; print(polars.thread_pool_size())",
        "import cv2; print(cv2.getNumThreads())",
    ],
)
def test_wheels_start_the_budget(corewise, code):
    assert corewise("run", "-q", "--budget", "1", "--", SMOKE, "-c", code).stdout == "1\n"


def test_the_files_limits_give_way_to_the_environment(corewise, tmp_path):
    (tmp_path / "corewise.toml").write_text("[limits]\nopenmp = 4\n")

    def count(*words, env=None):
        done = corewise("run", "-q", *words, "--", "sh", "-c", "echo $OMP_NUM_THREADS",
                        env=env, cwd=tmp_path)  # fmt: skip
        return done.stdout.strip()

    assert count() == "4"
    assert count(env={"OMP_NUM_THREADS": "2"}) == "2"
    assert count("--openmp", "3", env={"OMP_NUM_THREADS": "2"}) == "3"
    assert count("--no-govern", env={"OMP_NUM_THREADS": "2"}) == "2"
