"""Living processes: read from outside, and Python's own imports."""

import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest
from conftest import CLEAN, need, ready

WAIT = "print('ready', flush=True); import time; time.sleep(100)"


def test_a_live_numpy_process(corewise, numpy_python):
    env = CLEAN | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "3"}
    with ready([numpy_python, "-c", "import numpy; " + WAIT], env=env) as process:
        done = corewise("info", "--pid", str(process.pid), "--json")
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
    blas = next(pool for pool in seen["pools"] if pool["api"] == "blas")
    assert blas["threads"] == 1 and seen["pid"] == process.pid
    assert seen["environment"] == {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "1"}


def test_outside_and_inside_agree(corewise, numpy_python):
    inside = json.loads(corewise("info", "-i", "numpy", "--python", numpy_python, "--json").stdout)
    with ready([numpy_python, "-c", "import numpy; " + WAIT], env=CLEAN) as process:
        outside = json.loads(corewise("info", "--pid", str(process.pid), "--json").stdout)
    keys = (
        "api",
        "runtime",
        "threads",
        "scope",
        "prefix",
        "path",
        "version",
        "layer",
        "architecture",
    )
    assert [[pool[key] for key in keys] for pool in inside["pools"]] == [
        [pool[key] for key in keys] for pool in outside["pools"]
    ]


def test_the_caller_itself(corewise):
    done = corewise("info", "--pid", str(os.getpid()))
    assert done.returncode == 0 and f"Process {os.getpid()}: " in done.stdout


@pytest.mark.parametrize("pid", ["0", "-1", "1.5", "self", "", "99999999999999999999", "1 ", "٤"])
def test_what_is_no_pid(corewise, pid):
    done = corewise("info", f"--pid={pid}" if pid else "--pid", *([] if pid else [""]))
    assert done.returncode == 2 and done.stdout == ""


def test_no_such_process(corewise):
    done = corewise("info", "--pid", "4194304")
    assert done.returncode == 3 and "there is no process 4194304" in done.stderr


def test_an_ended_process_and_a_zombie(corewise):
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    done = corewise("info", "--pid", str(process.pid))
    assert done.returncode == 5 and "is a zombie" in done.stderr
    process.wait()
    assert corewise("info", "--pid", str(process.pid)).returncode == 3


def test_a_process_that_ends_while_it_is_read(corewise):
    codes = set()
    for attempt in range(60):
        process = subprocess.Popen(["sleep", "100"])
        end = threading.Timer(attempt * 0.0002, process.kill)
        end.start()
        done = corewise("info", "--pid", str(process.pid))
        codes.add(done.returncode)
        end.join()
        process.wait()
    assert codes <= {0, 5}, codes


@pytest.mark.skipif(not os.path.exists("/proc/2/status"), reason="kernel threads are hidden here")
def test_a_kernel_thread(corewise):
    if os.path.exists("/proc/2/exe") or "kthreadd" not in pathlib.Path("/proc/2/comm").read_text():
        pytest.skip("pid 2 is an ordinary process here")
    done = corewise("info", "--pid", "2")
    assert done.returncode in (1, 4) and ("kernel thread" in done.stderr or done.returncode == 4)


@need("setpriv")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_process_of_somebody_else(program, tmp_path):
    nobody = pwd.getpwnam("nobody")
    reachable = tmp_path / "corewise"
    shutil.copy(program, reachable)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    become = ["setpriv", "--reuid", str(nobody.pw_uid), "--clear-groups"]
    for command, pid in (("info", 1), ("info", os.getpid()), ("doctor", os.getpid())):
        done = subprocess.run(
            [*become, reachable, command, "--pid", str(pid)],
            env=CLEAN,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 4 and done.stdout == ""
        assert f"process {pid} belongs to root" in done.stderr
        assert f"sudo corewise {command}" in done.stderr
    hide = ["unshare", "-m", "sh", "-c", 'mount -t proc -o hidepid=1 proc /proc && exec "$@"', "sh"]
    # Not every root may unshare, or mount.
    if subprocess.run([*hide, "true"], capture_output=True).returncode == 0:
        done = subprocess.run(
            [*hide, *become, "--regid", str(nobody.pw_gid), reachable, "info", "--pid", "1"],
            env=CLEAN,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 4 and "process 1 belongs to another user" in done.stderr
    code = "import os, ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); "
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    with ready([*become, python, "-c", code + WAIT], env=CLEAN) as process:
        done = subprocess.run(
            [*become, reachable, "info", "--pid", str(process.pid)],
            env=CLEAN, capture_output=True, text=True,
        )  # fmt: skip
    # An undumpable process's files belong to root, and so does what it looks like to others.
    assert done.returncode == 4 and "may look into it" in done.stderr


@need("setpriv")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root that has lost a right")
def test_root_is_not_told_to_use_sudo(program):
    words = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", program]
    done = subprocess.run(
        [*words, "info", "--pid", str(os.getpid())], env=CLEAN, capture_output=True, text=True
    )
    if done.returncode in (0, 6):
        pytest.skip("the kernel lets it look all the same")
    assert done.returncode == 4 and "sudo" not in done.stderr
    assert "is protected from root too" in done.stderr and "SYS_PTRACE" in done.stderr


def test_imports(corewise, numpy_python):
    done = corewise("info", "-i", "numpy", "--python", numpy_python)
    assert done.returncode == 0 and "openblas" in done.stdout and done.stderr == ""


def test_libraries_without_a_runtime_are_named_with_their_cure(corewise, tmp_path):
    """Known by their file's name: the real wheels are in tests/same/test_smoke.py."""
    maps = pathlib.Path("/proc/self/maps").read_text()
    libm = re.search(r"/\S*/libm\.so\S*", maps)[0]
    shutil.copy(libm, tmp_path / "_polars_runtime.abi3.so")
    shutil.copy(libm, tmp_path / "libduckdb.so")
    load = "import ctypes, os\nhere = os.path.dirname(os.path.abspath(__file__))\n"
    load += (
        "for file in os.listdir(here): file.endswith('.so') and ctypes.CDLL(here + '/' + file)\n"
    )
    (tmp_path / "frames.py").write_text(load)
    env = {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
    done = corewise("info", "-i", "frames", "--python", sys.executable, env=env)
    assert done.returncode == 0, done.stderr
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "library how you limit them" in rows
    assert "polars corewise run --polars N sets POLARS_MAX_THREADS" in rows
    assert any(row.startswith("duckdb DuckDB reads no environment variable: say") for row in rows)
    assert "No thread pools" not in done.stdout
    with ready([sys.executable, "-c", "import frames; " + WAIT], env=CLEAN | env) as process:
        told = json.loads(corewise("info", "--pid", str(process.pid), "--json").stdout)
    assert [one["library"] for one in told["libraries"]] == ["duckdb", "polars"]
    assert told["libraries"][1]["cure"] == "corewise run --polars N sets POLARS_MAX_THREADS"


def test_a_module_that_is_not_there_leaves_the_rest(corewise, numpy_python):
    words = ["info", "-i", "numpy", "no_such_module", "--python", numpy_python]
    done = corewise(*words)
    assert done.returncode == 1 and "openblas" in done.stdout
    assert "cannot import 'no_such_module': ModuleNotFoundError" in done.stderr
    failed = json.loads(corewise(*words, "--json").stdout)["failed_imports"]
    assert [entry["module"] for entry in failed] == ["no_such_module"]


@pytest.mark.parametrize(
    "body, word",
    [
        ("raise RuntimeError('two\\nlines \\x1b[31m')", "RuntimeError: two lines \\x1b[31m"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import os; os._exit(9)", "ended with code 9 importing 'bad'"),
        ("import os; os.kill(os.getpid(), 11)", "killed by signal 11 (Segmentation fault)"),
        ("syntax error", "SyntaxError"),
    ],
)
def test_modules_that_fail(corewise, tmp_path, body, word):
    (tmp_path / "bad.py").write_text(body)
    done = corewise(
        "info", "-i", "bad", "--python", sys.executable, env={"PYTHONPATH": str(tmp_path)}
    )
    assert done.returncode == 1 and word in done.stderr and "\x1b" not in done.stderr


def test_what_modules_print_stays_out_of_the_data(corewise, tmp_path):
    (tmp_path / "loud.py").write_text("import os; print('hello'); os.system('echo shell'); input\n")
    words = ["info", "-i", "loud", "--json", "--python", sys.executable]
    done = corewise(*words, env={"PYTHONPATH": str(tmp_path)})
    assert json.loads(done.stdout)["pools"] == [] and "hello" in done.stderr


def test_a_module_that_leaves_a_process_behind(program, tmp_path):
    (tmp_path / "left.py").write_text(
        "import os, time\nif os.fork() == 0:\n    time.sleep(20)\n    os._exit(0)\n"
    )
    start = time.monotonic()
    done = subprocess.run(
        [program, "info", "-i", "left", "--python", sys.executable],
        env=CLEAN | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert done.returncode == 0 and time.monotonic() - start < 15


def test_pythons_that_are_none(corewise, tmp_path):
    for python in ("/no/python", str(tmp_path), "/bin/false", "/bin/true", "/bin/echo"):
        done = corewise("info", "-i", "sys", "--python", python)
        assert done.returncode == 1 and "corewise: error: " in done.stderr, python


def test_a_library_that_is_none(corewise, tmp_path):
    for library in ("/no/libcorewise.so", "/bin/true", "libm.so.6"):
        words = ["info", "-i", "sys", "--python", sys.executable]
        done = corewise(*words, env={"COREWISE_LIBRARY": library})
        assert done.returncode == 1 and library in done.stderr


def test_the_python_of_the_environment(corewise, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text("#!/bin/sh\necho I was asked >&2\nexit 4\n")
    (tmp_path / "bin/python").chmod(0o755)
    done = corewise("info", "-i", "sys", env={"VIRTUAL_ENV": str(tmp_path)})
    assert "I was asked" in done.stderr and "ended with code 4" in done.stderr


def test_this_machine(corewise):
    variables = {"OMP_NUM_THREADS": "3", "KMP_BLOCKTIME": "0", "GOMP_SPINCOUNT": "1"}
    done = corewise("info", env=variables)
    for name, value in variables.items():
        assert re.search(rf"^  {name} +{value}$", done.stdout, re.M)
    assert json.loads(corewise("info", "--json", env=variables).stdout)["environment"] == variables
    assert "none: runtimes start one thread per allowed CPU" in corewise("info").stdout


@need("taskset")
def test_affinity_is_seen(program):
    done = subprocess.run(["taskset", "-c", "0", program, "info", "--json"], capture_output=True)
    assert json.loads(done.stdout)["cpus_allowed"] == "0"
