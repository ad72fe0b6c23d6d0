"""corewise doctor: modules, processes, commands; what it says and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import CLEAN, RECORDED, ready
from test_live import WAIT


def ids(done):
    return [finding["id"] for finding in json.loads(done.stdout)["findings"]]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", ["two-copies", "no-pools"])
def test_a_recorded_process(corewise, golden, name, columns):
    done = corewise("doctor", "--recorded", str(RECORDED / name), env={"COLUMNS": str(columns)})
    assert done.returncode == (1 if name == "two-copies" else 0)
    assert max(map(len, done.stdout.splitlines())) <= columns
    golden(f"doctor-{name}-{columns}.txt", done.stdout)


def test_a_recording_that_cannot_be_read(corewise):
    for name, code in (("memory-refused", 6), ("garbage-maps", 7), ("zombie", 5)):
        done = corewise("doctor", "--recorded", str(RECORDED / name))
        assert done.returncode == code and done.stderr.startswith("corewise: ")


def test_variables_that_are_set_here(corewise):
    assert corewise("doctor").returncode == 0
    done = corewise("doctor", "--json", env={"OMP_NUM_THREADS": "9999", "MKL_NUM_THREADS": "x"})
    assert done.returncode == 1
    # What other programs of this user hold of a ledger is a note.
    found = [name for name in ids(done) if not name.startswith("ledger-")]
    assert sorted(found) == ["variable-above-budget", "variable-not-a-count"]


def test_modules(corewise, numpy_python):
    words = ["doctor", "-i", "numpy", "--python", numpy_python]
    assert corewise(*words).returncode == 0
    done = corewise(*words, "--json", env={"OMP_NUM_THREADS": "9999"})
    assert done.returncode == 1 and "variable-above-budget" in ids(done)


def test_a_module_that_is_not_there_is_not_examined(corewise):
    done = corewise("doctor", "-i", "no_such_module", "--python", sys.executable)
    assert done.returncode == 7 and "cannot import 'no_such_module'" in done.stderr
    assert done.stdout == ""
    done = corewise("doctor", "-i", "json", "no_such_module", "--python", sys.executable, "--json")
    (failed,) = json.loads(done.stdout)["failed_imports"]
    assert done.returncode == 7 and failed["module"] == "no_such_module"
    done = corewise("doctor", "-i", "json", "no_such_module", "--python", sys.executable)
    assert done.stdout == "Nothing wrong with json.\n"
    done = corewise("info", "-i", "no_such_module", "--python", sys.executable)
    assert done.returncode == 1 and done.stdout == ""


def test_a_running_process(corewise, numpy_python):
    env = CLEAN | {"OMP_NUM_THREADS": "9999"}
    with ready([numpy_python, "-c", "import numpy; " + WAIT], env=env) as process:
        done = corewise("doctor", "--pid", str(process.pid), "--json")
    assert done.returncode == 1 and "variable-above-budget" in ids(done)


def test_governed_processes_have_slots_for_all(corewise, program, numpy_python):
    script = "import ctypes, numpy; ctypes.CDLL('libgomp.so.1').omp_get_num_procs(); " + WAIT
    env = CLEAN | {"OMP_NUM_THREADS": "1000"}
    found = []
    for run in ([], [program, "-q", "run", "--"]):
        with ready([*run, numpy_python, "-c", script], env=env) as process:
            found.append(ids(corewise("doctor", "--pid", str(process.pid), "--json")))
    alone, governed = found
    assert {"openblas-slots", "above-budget"} <= set(alone)
    assert not {"openblas-slots", "above-budget"} & set(governed)


def test_processes_that_cannot_be_examined(corewise):
    for pid, code in (("x", 2), ("0", 2), ("4194304", 3)):
        done = corewise("doctor", "--pid", pid)
        assert done.returncode == code and done.stdout == ""


LEAK = """
import ctypes, numpy
for line in open("/proc/self/maps"):
    if "openblas" in line:
        blas = ctypes.CDLL(line.split()[-1])
        break
setter = next(
    name
    for name in ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads",
                 "openblas_set_num_threads64_", "openblas_set_num_threads")
    if hasattr(blas, name)
)
getattr(blas, setter)(1)
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU: one thread is no leak")
def test_a_command_is_examined_as_it_ends(corewise, numpy_python):
    done = corewise("doctor", "--json", "--", numpy_python, "-c", LEAK + "print('printed')")
    assert done.returncode == 1 and "limit-leaked" in ids(done)
    assert "printed" in done.stderr


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU: one thread is no leak")
def test_pythons_that_the_command_starts_are_examined(corewise, numpy_python, tmp_path):
    (tmp_path / "leak.py").write_text(LEAK)
    done = corewise("doctor", "--json", "--", "sh", "-c", f"'{numpy_python}' leak.py; exit 3",
                    cwd=tmp_path)  # fmt: skip
    assert done.returncode == 1 and "limit-leaked" in ids(done)
    assert "'sh' ended with code 3" in done.stderr


def test_a_command_that_failed_before_its_pools_is_not_examined(corewise):
    done = corewise("doctor", "--", "sh", "-c", "exit 3")
    assert done.returncode == 7 and "Nothing wrong" not in done.stdout
    assert "ended with code 3" in done.stderr and "saw no thread pool in 'sh'" in done.stderr
    assert corewise("doctor", "--", "true").returncode == 0


def test_a_python_that_failed_before_its_pools_is_not_examined_either(corewise, tmp_path):
    done = corewise("doctor", "--", sys.executable, "nosuch.py", cwd=tmp_path)
    assert done.returncode == 7 and "Nothing wrong" not in done.stdout
    assert "ended with code 2" in done.stderr and "saw no thread pool" in done.stderr


def test_its_end_is_known_to_one_that_ignores_its_children(corewise, tmp_path):
    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    done = corewise("doctor", "--", "sh", "-c", "exit 3", preexec_fn=ignore)
    assert "ended with code 3" in done.stderr
    (tmp_path / "dies.py").write_text("import os; os.kill(os.getpid(), 11)\n")
    done = corewise("info", "-i", "dies", "--python", sys.executable, preexec_fn=ignore,
                    env={"PYTHONPATH": str(tmp_path)})  # fmt: skip
    assert "SIGSEGV" in done.stderr or "signal 11" in done.stderr


def test_a_command_that_dies_was_seen_from_outside(corewise, numpy_python):
    code = "import numpy, time, os; time.sleep(2); os.kill(os.getpid(), 11)"
    done = corewise("doctor", "--json", "--", numpy_python, "-c", code,
                    env={"OMP_NUM_THREADS": "9999"})  # fmt: skip
    assert done.returncode == 1 and "variable-above-budget" in ids(done)
    assert "killed by signal 11" in done.stderr


def test_a_command_that_dies_tells_why(corewise, numpy_python, tmp_path):
    """As `corewise doctor --last` does afterwards, and as under `corewise run`."""
    code = "import ctypes, numpy, time; time.sleep(0.5); ctypes.string_at(0)"
    env = {"XDG_STATE_HOME": str(tmp_path)}
    done = corewise("doctor", "--json", "--", numpy_python, "-c", code, env=env)
    assert done.returncode == 1 and "killed by signal 11 (Segmentation fault)\n" in done.stderr
    last = json.loads(corewise("doctor", "--last", "--json", env=env).stdout)
    assert last["death"]["signal"] == "SIGSEGV"
    assert ids(done)[0] == last["findings"][0]["id"] == "death-elsewhere"
    # The next one is not blamed for it.
    assert "death-elsewhere" not in ids(
        corewise("doctor", "--json", "--", numpy_python, "-c", "raise SystemExit(3)", env=env)
    )


def test_the_command_stands_in_the_cures(corewise, numpy_python, tmp_path):
    (tmp_path / "km.py").write_text("import numpy, scipy.linalg\n")
    words = [numpy_python, "km.py", "a b"]
    done = corewise("doctor", "--", *words, cwd=tmp_path, env={"COLUMNS": "400"})
    assert f"start it as corewise run -- {numpy_python} km.py 'a b', under which" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("km.py a b: ")
    # One that is too long to be read there stays out.
    done = corewise("doctor", "--", *words, "b" * 80, cwd=tmp_path, env={"COLUMNS": "400"})
    assert "start it as corewise run -- ..., under which" in done.stdout


def test_the_command_keeps_its_sitecustomize_and_input(corewise, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('my own')\n")
    code = "import sys; print(sys.stdin.read(), sys.argv, sys.path[1])"
    done = corewise("doctor", "--", sys.executable, "-c", code, "an argument", input="typed",
                    env={"PYTHONPATH": str(tmp_path)})  # fmt: skip
    assert done.returncode == 0
    assert "my own\n" in done.stderr and f"typed ['-c', 'an argument'] {tmp_path}" in done.stderr


def test_commands_that_cannot_start(corewise, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("no program\n")
    for word, code, says in (
        ("no_such_command", 127, "'no_such_command' was not found"),
        (str(plain), 126, f"cannot start '{plain}'"),
    ):
        done = corewise("doctor", "--", word)
        assert done.returncode == code and says in done.stderr


def test_what_only_the_shell_can_read(corewise, tmp_path):
    """It starts what `run` and a shell start."""
    script = tmp_path / "script"
    for text, code in (('echo "$0 $*"; exit 3\n', 3), ("", 0)):
        script.write_text(text)
        script.chmod(0o755)
        plain = corewise("run", "-q", "--", script, "a", "b c")
        done = corewise("doctor", "--", script, "a", "b c")
        assert plain.returncode == code
        assert done.returncode == (7 if code else 0), done.stderr
        assert (f"ended with code {code}" in done.stderr) == (code != 0)
        assert plain.stdout in done.stderr
    (tmp_path / "foreign").write_bytes(b"\x7fELF" + b"\0" * 60)
    (tmp_path / "foreign").chmod(0o755)
    assert corewise("doctor", "--", tmp_path / "foreign").returncode == 126


def test_nothing_is_left_behind(corewise, tmp_path):
    done = corewise("doctor", "--", sys.executable, "-c", "pass", env={"TMPDIR": str(tmp_path)})
    assert done.returncode == 0 and list(tmp_path.iterdir()) == []


def test_the_keyboard_ends_the_command_not_the_doctor(program):
    code = "import time; print('ready', flush=True); time.sleep(100)"
    process = subprocess.Popen(
        [program, "doctor", "--json", "--", sys.executable, "-c", code],
        env=CLEAN, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stderr.readline() == "ready\n"
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and json.loads(out)["findings"] == []
    assert "KeyboardInterrupt" in err


def test_severity_has_its_colour(corewise):
    words = ["doctor", "--recorded", str(RECORDED / "two-copies")]
    assert "\x1b[33mwarning" in corewise(*words, "--color", "always").stdout
    assert "\x1b" not in corewise(*words).stdout


FORK = """
import ctypes, os, sys, time
regions = ctypes.CDLL({library!r})
if {used}:
    regions.team_size()
    time.sleep(0.3)  # its workers spin before they sleep
if os.fork() == 0:
    print("ready", os.getpid(), flush=True)
    time.sleep(100)
os.wait()
"""


@pytest.mark.parametrize("used", [True, False])
def test_a_fork_after_openmp(program, corewise, tmp_path, used):
    source = Path(__file__).parents[1] / "python/native/regions.c"
    library = tmp_path / "libregions.so"
    command = ["cc", "-shared", "-fPIC", "-fopenmp", "-o", library, source]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("needs a C compiler with OpenMP")
    parent = subprocess.Popen(
        [sys.executable, "-c", FORK.format(library=str(library), used=used)],
        env=CLEAN | {"OMP_NUM_THREADS": "2"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    pid = parent.stdout.readline().split()[1]
    try:
        if not os.path.exists(f"/proc/{parent.pid}/syscall"):
            pytest.skip("this kernel does not tell where threads wait")
        done = corewise("doctor", "--pid", pid, "--json")
        assert ("fork-after-openmp" in ids(done)) == used
    finally:
        os.kill(int(pid), signal.SIGKILL)
        parent.wait()
        parent.stdout.close()


@pytest.mark.parametrize("text", ["", '{"schema_version":1,"sig', "\x7fELF", '{"signal":11}'])
def test_a_report_that_cannot_be_read_names_its_file(corewise, tmp_path, text):
    (folder := tmp_path / "corewise").mkdir(mode=0o700)
    (folder / "7.json").write_text(text)
    done = corewise("doctor", "--last", env={"XDG_STATE_HOME": str(tmp_path)})
    assert done.returncode == 7 and f"the newest report: {folder}/7.json: " in done.stderr
    assert "without it, the one before is shown" in done.stderr


def test_a_main_thread_that_openmp_bound_is_not_the_budget(corewise):
    pytest.importorskip("sklearn")
    done = corewise("doctor", "--json", "-i", "sklearn.cluster", env={"OMP_PROC_BIND": "true"})
    assert "on 1 CPUs" not in done.stdout or len(os.sched_getaffinity(0)) == 1


def test_a_death_of_a_single_thread_is_told_in_the_singular(corewise, tmp_path):
    (tmp_path / "corewise").mkdir(mode=0o700)
    report = {
        "schema_version": 1,
        "pid": 7,
        "program": "job",
        "time": 1,
        "signal": 11,
        "threads": 1,
    }
    (tmp_path / "corewise/7.json").write_text(json.dumps(report))
    said = corewise("doctor", "--last", env={"XDG_STATE_HOME": str(tmp_path)}).stdout
    assert "with 1 thread (job)" in " ".join(said.split())
