"""Governed by run: programs of every kind, and what their processes report."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import CLEAN
from governed import Governed

REGIONS = r"""
#include <cstdio>
#include <cstdlib>
#include <omp.h>
#include <unistd.h>
int main(int argc, char** argv) {
  int widest = 0;
  for (int i = 0; i < 3; ++i) {
#pragma omp parallel
#pragma omp single
    if (omp_get_num_threads() > widest) widest = omp_get_num_threads();
  }
  std::printf("%d of %d\n", widest, omp_get_max_threads());
  std::fflush(stdout);
  if (argc > 1) { if (argv[1][0] == 'k') abort(); else _exit(std::atoi(argv[1])); }
}
"""

PROCESSES = """
import multiprocessing, os, sys
import numpy as np
from concurrent.futures import ProcessPoolExecutor
a = np.ones((300, 300))
def work(n=0):
    return int((a @ a)[0, 0])
if __name__ == "__main__":
    how = sys.argv[1]
    if how == "os.fork":
        work()
        if os.fork() == 0:
            work()
            os._exit(0)
        os.wait()
    elif how == "loky":
        import joblib
        with joblib.parallel_config("loky", inner_max_num_threads=4):
            print(joblib.Parallel(2)(joblib.delayed(work)() for _ in range(4)))
    elif how.startswith("pool-"):
        with ProcessPoolExecutor(2, multiprocessing.get_context(how[5:])) as pool:
            print(list(pool.map(work, range(4))))
    else:
        child = multiprocessing.get_context(how).Process(target=work)
        child.start()
        child.join()
"""


@pytest.fixture(scope="session")
def regions(tmp_path_factory):
    """A C++ program with three OpenMP regions."""
    folder = tmp_path_factory.mktemp("regions")
    (folder / "regions.cpp").write_text(REGIONS)
    subprocess.run(
        ["g++", "-O1", "-fopenmp", "regions.cpp", "-o", "regions"], cwd=folder, check=True
    )
    return folder / "regions"


@pytest.fixture
def processes(tmp_path):
    file = tmp_path / "processes.py"
    file.write_text(PROCESSES)
    return file


# The program of these tests bends, so that it is seen whether a process is governed.
FOUR = {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "COREWISE_BEND": "regions"}


def test_a_cpp_program_and_its_report(program, regions):
    done = Governed(program, regions, budget=1, env=FOUR)
    assert done.code == 0 and done.out == "1 of 4\n"
    (process,) = done.processes
    for key, value in {
        "regions": 3, "calls": 0, "granted": 3, "withheld": 9, "shortened": 3, "widest": 4,
        "nested": 0, "abandoned": 0, "budget": 1, "findings": [],
    }.items():  # fmt: skip
        assert process[key] == value, key
    assert process["not_needed_s"] > 0 and process["seconds"] > 0
    assert process["ledger"]["shared"] and process["command"] == str(regions)
    assert [pool["how"] for pool in process["pools"]] == ["gate"]
    report = done.report
    assert report["schema_version"] == 1 and report["budget"] == 1
    assert report["exit_code"] == 0 and report["signal"] is None
    assert report["command"] == [str(regions)] and report["seconds"] > 0
    assert report["sum"] == {key: process[key] for key in report["sum"]}
    assert report["without_report"] == report["findings"] == []


def test_without_report_it_is_the_same_process_and_governed(program, regions):
    child = subprocess.Popen(
        [program, "run", "-q", "--budget", "1", "--", "sh", "-c", f"echo $$; exec {regions}"],
        env=CLEAN | FOUR, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.communicate()[0].splitlines() == [str(child.pid), "1 of 4"]


def test_no_govern_leaves_it_alone(corewise, program, regions):
    alone = ("run", "-q", "--no-govern", "--openmp", "4", "--", regions)
    assert corewise(*alone).stdout == "4 of 4\n"
    # Also where it was started by one that governs.
    assert corewise("run", "-q", "--budget", "1", "--", program, *alone).stdout == "4 of 4\n"


def test_counts_are_upper_bounds(program, regions):
    done = Governed(program, regions, env={"OMP_NUM_THREADS": "1"})
    assert done.out == "1 of 1\n" and done.asked() == []


def test_the_budget_of_the_environment(corewise, regions):
    done = corewise("run", "--", regions, env=FOUR | {"COREWISE_BUDGET": "0.5"})
    assert done.stdout == "1 of 4\n" and "budget 1" in done.stderr
    done = corewise("run", "--", regions, env={"COREWISE_BUDGET": "lots"})
    assert done.returncode == 2 and "COREWISE_BUDGET: 'lots' is not a number" in done.stderr


def test_of_two_budgets_the_lower_one_holds(corewise, program, regions):
    for outer, inner in (("1", "2"), ("2", "1")):
        words = ("run", "--budget", outer, "--", program, "run", "--budget", inner, "--", regions)
        done = corewise(*words, env=FOUR)
        assert done.stdout == "1 of 4\n"
        assert done.stderr.splitlines()[-1] == "corewise: governed, budget 1"


def test_the_agent_alone_governs_with_the_default_and_says_what_it_ignored(
    program, tmp_path, regions
):
    said = Governed(program, "sh", "-c", f"COREWISE_BUDGET=lots exec {regions}", env=FOUR)
    assert said.code == 0 and any("lots" in finding for finding in said.report["findings"])


@pytest.mark.parametrize(
    "how",
    ["os.fork", "loky"]
    + [way + start for way in ("", "pool-") for start in ("fork", "spawn", "forkserver")],
)
def test_python_and_its_children(program, numpy_python, processes, how):
    if how == "loky":
        pytest.importorskip("joblib")
    done = Governed(program, numpy_python, processes, how, budget=1, env=FOUR)
    assert done.code == 0, done.err
    # ProcessPoolExecutor may leave a worker without work.
    expected = {"os.fork": 2, "fork": 1, "spawn": 1, "forkserver": 1}.get(how, (1, 2))
    assert len(done.asked()) in (expected if isinstance(expected, tuple) else (expected,))
    for process in done.processes:
        calls = process["calls"]
        assert (
            process["granted"] == calls
            and process["withheld"] == max(process["widest"] - 1, 0) * calls
        )
        assert process["findings"] == []
        assert {pool["how"] for pool in process["pools"]} <= {"gate"}
    assert done.report["sum"]["calls"] == sum(p["calls"] for p in done.processes)


def test_workers_that_python_kills_are_counted(program, numpy_python, tmp_path):
    (tmp_path / "pool.py").write_text("""
import multiprocessing, sys
import numpy as np
a = np.ones((300, 300))
def work(n): return int((a @ a)[0, 0])
if __name__ == "__main__":
    work(0)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool: pool.map(work, range(4))
""")
    for start in ("fork", "spawn"):
        command = (numpy_python, tmp_path / "pool.py", start)
        done = Governed(program, *command, budget=1, env=FOUR)
        # On one CPU nothing asks.
        if done.report["sum"]["widest"] > 1:
            assert done.report["sum"]["calls"] == 5, start


def test_chains_of_shells_and_execs(program, regions):
    done = Governed(
        program, "sh", "-c", f"sh -c '{regions}; exec env {regions}'; {regions}", budget=1, env=FOUR
    )
    assert done.out == "1 of 4\n" * 3
    assert done.asked() == [3, 3, 3] and done.report["without_report"] == []


def test_a_child_that_leaves_by_exit_at_once(program, regions):
    done = Governed(program, regions, "7", budget=1, env=FOUR)
    assert done.code == 7 and done.report["exit_code"] == 7 and done.asked() == [3]


def test_the_words_of_what_was_killed_are_given_as_they_were(program):
    command = os.fsdecode(b'\nkill -9 $$ # "\xff\xc3\xa9')
    done = Governed(program, "sh", "-c", command, env=FOUR)
    (silent,) = done.report["without_report"]
    assert silent["command"] == f"sh -c {command}"


def test_what_is_killed_leaves_no_line_and_that_is_said(program, regions):
    done = Governed(program, "sh", "-c", f"{regions}; {regions} k 2>/dev/null; true", env=FOUR)
    assert len(done.report["without_report"]) == 1
    (silent,) = done.report["without_report"]
    assert silent["command"].endswith("regions k") and silent["running"] is False
    # Its counts are known all the same.
    assert silent["regions"] == 3 and silent["widest"] == 4
    assert done.report["sum"]["regions"] == 6 and done.asked() == [3]


def test_a_program_killed_by_a_signal(program, regions):
    done = Governed(program, regions, "k")
    assert done.code == -6 and done.report["signal"] == 6 and done.report["exit_code"] is None


def test_the_report_as_text(corewise, regions):
    done = corewise("run", "-q", "--report", "--budget", "1", "--", "sh", "-c",
                    f"{regions}; {regions}; {regions} k 2>/dev/null; exit 3", env=FOUR)  # fmt: skip
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert lines[0].startswith("corewise: report: ") and "exit code 3, budget 1: sh -c" in lines[0]
    assert lines[1] == (
        "9 of 9 regions and BLAS calls got fewer threads than wanted: "
        "on average 1.0 instead of 4.0."
    )
    heads = ["PID", "REGIONS", "WIDEST", "WANTED", "GOT", "NOT", "GIVEN", "COMMAND"]
    assert lines[2].split() == heads
    assert lines[3].split()[1:5] == ["3", "4", "4.0", "1.0"]
    assert lines[6].split()[:5] == ["sum", "9", "4", "4.0", "1.0"]
    # On a busy machine that sum is other programs' load.
    assert "thread-seconds" not in done.stderr and "avoided" not in done.stderr
    assert any("was killed or became another program" in line for line in lines)
    assert "1 process without thread pools: not shown." in lines
    assert max(map(len, lines[1:12])) <= 100


def test_the_report_in_40_columns(corewise, regions):
    words = ("run", "-q", "--report", "--budget", "1", "--", "sh", "-c", f"{regions}; {regions}")
    lines = corewise(*words, env=FOUR | {"COLUMNS": "40"}).stderr.splitlines()
    assert max(len(line) for line in lines if " " in line.strip()) <= 40
    at = next(n for n, line in enumerate(lines) if "PID" in line)
    said = " ".join(" ".join(lines[2:at]).split())
    assert said.startswith("6 of 6 regions and BLAS calls got fewer threads than wanted:")
    assert lines[at].split() == ["PID", "REGIONS", "WANTED", "GOT", "COMMAND"]
    assert lines[at + 1].split()[1:4] == ["3", "4.0", "1.0"]
    # What is not shown is not explained.
    legend = " ".join(lines[at + 4 :])
    assert "WANTED, GOT:" in legend and "WIDEST" not in legend and "NOT GIVEN" not in legend


def test_the_report_says_that_all_got_what_they_asked_for(corewise, regions):
    done = corewise("run", "-q", "--report", "--", regions, env=FOUR | {"COREWISE_BEND": "none"})
    assert done.stderr.splitlines()[1] == "All 3 regions and BLAS calls got the threads asked for."


def test_what_a_name_matched_is_listed(corewise, regions):
    done = corewise("run", "--report", "--", regions, env=FOUR)
    assert f"'regions' bends: {regions}.\n" in done.stderr
    done = corewise("run", "--report", "--", regions, env=FOUR | {"COREWISE_BEND": "regions:libm"})
    assert f"'regions' bends: {regions}.\n'libm' bends: /" in done.stderr


NONE = "COREWISE_BEND names 'libnone', which matches no library that was loaded"


def test_a_name_without_a_library_is_said_though_a_process_was_killed(corewise, regions):
    words = ("sh", "-c", f"{regions}; {regions} k; true")
    env = FOUR | {"COREWISE_BEND": "regions:libnone"}
    said = corewise("run", "--report", "--", *words, env=env).stderr
    assert f"Finding: {NONE} by the processes that reported\n" in said
    assert said.count("Finding: COREWISE_BEND") == 1
    # Where none reported, nothing is known.
    assert NONE not in corewise("run", "--report", "--", regions, "k", env=env).stderr


def test_a_name_without_a_library_is_said_without_a_report(corewise, program, regions, tmp_path):
    env = FOUR | {"COREWISE_BEND": "libnone", "TMPDIR": str(tmp_path)}
    done = corewise("run", "--", regions, "7", env=env)
    assert done.returncode == 7 and done.stdout == "4 of 4\n"
    assert done.stderr.splitlines()[1:] == [f"corewise: {NONE}"]
    assert list(tmp_path.iterdir()) == []
    assert corewise("run", "-q", "--", regions, env=env).stderr == ""
    done = corewise("run", "--", regions, env=FOUR)
    assert len(done.stderr.splitlines()) == 1
    # One inside another says it once.
    done = corewise("run", "--", program, "run", "--", regions, env=env)
    assert done.stderr.count(NONE) == 1
    # A report that cannot be made keeps nobody from running.
    done = corewise("run", "--", regions, env=env | {"TMPDIR": str(tmp_path / "none")})
    assert done.returncode == 0 and NONE not in done.stderr


def test_a_report_that_nobody_can_write(corewise, regions, tmp_path):
    done = corewise("run", "--report", "--", regions, env={"TMPDIR": str(tmp_path / "none")})
    assert done.returncode == 1 and "cannot make a file for the report" in done.stderr
    assert "TMPDIR" in done.stderr and done.stdout == ""
    # A process that cannot reach the file goes on without.
    done = corewise(
        "run", "-q", "--", "sh", "-c", f"COREWISE_REPORT_FILE=/no/file {regions}", env=FOUR
    )
    assert done.returncode == 0 and done.stderr == "" and "of 4" in done.stdout


def test_the_reports_file_is_gone_after(corewise, regions, tmp_path):
    assert corewise("run", "--report", "--", regions, env={"TMPDIR": str(tmp_path)}).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_what_the_user_set_for_idle_threads_stays(corewise):
    def after(**env):
        done = corewise("run", "-q", "--", "env", env=env)
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    plain = after()
    assert plain["OPENBLAS_THREAD_TIMEOUT"] == "16" and plain["GOMP_SPINCOUNT"] == "30000"
    assert plain["COREWISE_THREAD_TIMEOUT"] == "16" and plain["COREWISE_SPINCOUNT"] == "30000"
    own = after(OPENBLAS_THREAD_TIMEOUT="20", OMP_WAIT_POLICY="active")
    assert "COREWISE_THREAD_TIMEOUT" not in own and "COREWISE_SPINCOUNT" not in own
    assert own["OPENBLAS_THREAD_TIMEOUT"] == "20" and "GOMP_SPINCOUNT" not in own
    # libgomp prints it then.
    assert "GOMP_SPINCOUNT" not in after(OMP_DISPLAY_ENV="verbose")


def test_what_is_preloaded_already_stays(corewise, tmp_path, regions):
    (tmp_path / "own.c").write_text(
        'int puts(const char*);__attribute__((constructor)) void f(){puts("own");}'
    )
    own = tmp_path / "libown.so"
    subprocess.run(["gcc", "-shared", "-fPIC", tmp_path / "own.c", "-o", own], check=True)
    done = corewise(
        "run", "-q", "--budget", "1", "--", regions, env=FOUR | {"LD_PRELOAD": str(own)}
    )
    assert done.stdout == "own\n1 of 4\n" and done.stderr == ""
    # A run inside a run does not load it twice.
    program = done.args[0]
    done = corewise("run", "-q", "--", program, "run", "-q", "--", "env")
    (preload,) = [line for line in done.stdout.splitlines() if line.startswith("LD_PRELOAD=")]
    assert preload.count("libcorewise") == 1


def test_a_library_whose_path_cannot_be_preloaded(corewise, program, tmp_path):
    folders = [program.parent.parent / name for name in ("src", "lib")]
    library = next(path for folder in folders for path in folder.glob("libcorewise.so"))
    folder = tmp_path / "two words"
    folder.mkdir()
    shutil.copy(library, folder / "libcorewise.so")
    done = corewise("run", "--", "true", env={"COREWISE_LIBRARY": str(folder / "libcorewise.so")})
    assert done.returncode != 0 and "no path with a space" in done.stderr
    done = corewise("run", "--", "true", env={"COREWISE_LIBRARY": "/no/file"})
    assert done.returncode == 1 and "COREWISE_LIBRARY is '/no/file'" in done.stderr
    assert done.stdout == ""


def test_preloaded_without_being_asked_it_does_nothing(program, regions, tmp_path):
    done = subprocess.run(
        [program, "run", "-q", "--", "env"], capture_output=True, text=True, env=CLEAN
    )
    preload = next(x for x in done.stdout.splitlines() if x.startswith("LD_PRELOAD=")).split("=")[1]
    env = CLEAN | FOUR | {"LD_PRELOAD": preload, "COREWISE_BUDGET": "1"}
    for asked in ({}, {"COREWISE_GOVERN": "0"}):
        done = subprocess.run([regions], capture_output=True, text=True, env=env | asked)
        assert (done.stdout, done.stderr) == ("4 of 4\n", "")


def test_trees_in_a_process_pool(program, numpy_python, tmp_path):
    """The case of the README; `make bench-nested` has its times."""
    if subprocess.run([numpy_python, "-c", "import sklearn"], capture_output=True).returncode:
        pytest.skip("needs scikit-learn")
    if not 2 <= len(os.sched_getaffinity(0)) <= 4:
        pytest.skip("four workers must not fit side by side, and one team needs two CPUs")
    file = tmp_path / "trees.py"
    file.write_text("""
import numpy as np
from concurrent.futures import ProcessPoolExecutor
from sklearn.ensemble import HistGradientBoostingRegressor
x = np.random.default_rng(0).standard_normal((2000, 10))
def fit(i):
    trees = HistGradientBoostingRegressor(max_iter=60, random_state=i).fit(x, x[:, 0])
    return float(trees.predict(x[:5]).sum())
if __name__ == "__main__":
    with ProcessPoolExecutor(4) as pool:
        print([round(value, 6) for value in pool.map(fit, range(4))])
""")

    command = [numpy_python, file]
    done = subprocess.run(
        [program, "run", "--report", "--", *command], env=CLEAN, capture_output=True, text=True
    )
    serial = subprocess.run(
        command, env=CLEAN | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout == serial.stdout, done.stderr
    told = re.search(r"(\d+) of (\d+) regions and BLAS calls got fewer threads", done.stderr)
    assert told is not None, done.stderr
    assert int(told[1]) > int(told[2]) / 2  # four workers on a few CPUs


ITSELF = """
import ctypes, json, os
library = ctypes.CDLL(None)
def is_governed():
    text = ctypes.create_string_buffer(1 << 16)
    library.cw_govern_report_json(text, ctypes.c_size_t(len(text)))
    return json.loads(text.value)["governed"]
del os.environ["COREWISE_TRY_GRANTS"]
print(is_governed(), library.cw_govern(None), is_governed(), library.cw_ungovern(), is_governed())
"""


def test_a_program_that_could_not_be_governed_at_its_start_governs_itself(corewise):
    """And ends that: nothing that `corewise run` began is to be kept."""
    done = corewise(
        "run", "-q", "--", sys.executable, "-c", ITSELF, env={"COREWISE_TRY_GRANTS": "none"}
    )
    assert (done.returncode, done.stdout) == (0, "False 0 True 0 False\n"), done.stderr


def test_the_report_is_written_whatever_the_umask(corewise):
    see = "stat -c %a $COREWISE_REPORT_FILE $COREWISE_REPORT_FILE.counts"
    done = corewise("run", "--report", "--", "sh", "-c", see, umask=0o777)
    assert done.returncode == 0 and done.stdout == "600\n600\n", done.stderr
