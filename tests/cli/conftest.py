"""The program under test, its neighbours, and how its output is made comparable.

COREWISE chooses the program (default: the newest build/*/cli/corewise); COREWISE_TEST_PYTHON the
Python with NumPy that `info --import` and `info --pid` look at. `--accept` rewrites the golden
screens.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests/recorded/processes"
GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser):
    parser.addoption("--accept", action="store_true", help="rewrite the golden screens")


def find_program():
    if "COREWISE" in os.environ:
        return Path(os.environ["COREWISE"])
    built = sorted(ROOT.glob("build/*/cli/corewise"), key=lambda path: path.stat().st_mtime)
    if not built:
        pytest.exit("no build/*/cli/corewise: build it first, or set COREWISE", 2)
    return built[-1]


# What would change a screen. MAKEFLAGS and MAKELEVEL are there when `make test` starts the tests.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not re.match(r"(OMP|KMP|GOMP|OPENBLAS|MKL|BLIS|NUMBA|NUMEXPR)_|MAKE|MFLAGS", name)
    and name not in ("COLUMNS", "NO_COLOR", "VIRTUAL_ENV", "LC_ALL", "LANG", "LOKY_MAX_CPU_COUNT")
}
CLEAN |= {"LC_ALL": "C.UTF-8", "TERM": "xterm", "SHELL": "/bin/bash"}


@contextlib.contextmanager
def ready(words, **options):
    """A program that has said that it is ready, and goes on. It is killed at the end."""
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **options)
    try:
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.fixture(scope="session")
def program():
    return find_program()


@pytest.fixture
def corewise(program):
    def run(*words, env=None, **options):
        options.setdefault("timeout", 120)
        text = {"text": True, "errors": "surrogateescape"} if options.pop("text", True) else {}
        return subprocess.run(
            [program, *words], env=CLEAN | (env or {}), capture_output=True, **text, **options
        )

    return run


@pytest.fixture(scope="session")
def numpy_python():
    for python in (os.environ.get("COREWISE_TEST_PYTHON"), sys.executable):
        if (
            python
            and subprocess.run([python, "-c", "import numpy"], capture_output=True).returncode == 0
        ):
            return python
    pytest.skip("no Python with NumPy: set COREWISE_TEST_PYTHON")


@pytest.fixture
def numpy_with_corewise(numpy_python):
    words = [numpy_python, "-c", "import corewise"]
    if subprocess.run(words, capture_output=True).returncode != 0:
        pytest.skip("the Python with NumPy has no corewise")
    return numpy_python


@pytest.fixture
def golden(request):
    def check(name, text):
        file = GOLDEN / name
        if request.config.getoption("--accept"):
            file.write_text(text)
        assert text == file.read_text(), f"{file} differs; pytest --accept rewrites it"

    return check


@pytest.fixture
def machine(tmp_path):
    """A recorded machine: 8 CPUs on 4 cores, of which a slice above the own cgroup grants 2.5."""
    files = {
        "proc/self/status": "Name:\tx\nCpus_allowed_list:\t0-7\nThreads:\t1\n",
        "proc/self/cgroup": "0::/user.slice/job.scope\n",
        "proc/self/mountinfo": "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "sys/devices/system/cpu/online": "0-7\n",
        "sys/fs/cgroup/user.slice/cpu.max": "250000 100000\n",
        "sys/fs/cgroup/user.slice/job.scope/cpu.max": "max 100000\n",
        "env": "SLURM_CPUS_PER_TASK=4\nCOREWISE_BUDGET=lots\n",
    }
    for cpu in range(8):
        topology = f"sys/devices/system/cpu/cpu{cpu}/topology"
        files[f"{topology}/thread_siblings_list"] = f"{cpu % 4},{cpu % 4 + 4}\n"
        files[f"{topology}/physical_package_id"] = "0\n"
    for name, text in files.items():
        file = tmp_path / "machine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "machine"


def need(tool):
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
