"""corewise on arm64 with real aarch64 wheels, in the root of root.sh, under the emulator:
`make test-arm64`.

What the emulator cannot tell, so that nothing here tries it:
- whether a patched word reaches a core that is running it, and what the weak order of memory
  accesses does: its threads run on x86-64, whose order is strong;
- a budget shared between processes: it makes up the start times in /proc/self/stat, by which the
  ledger tells the living from the dead;
- 128 real CPUs, pages of 64 KiB, how long anything takes.

Left out for the size of the root: notebooks, Dask, MPI.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOLDEN = json.loads((HERE / "golden.json").read_text())
ENVIRONMENTS = ("now", "seed")
MODULES = ("numpy", "scipy.linalg", "sklearn.cluster", "mdtraj")
THREADS = {"OMP_NUM_THREADS": "128"}  # as on the story's machine

each_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)

if not (ROOT / "build/arm64-root/.made").exists():
    pytest.skip("make test-arm64 makes the root", allow_module_level=True)


def run(
    environment: str, *words: str, codes: tuple[int, ...] = (0,), **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command in the root; its exit code must be one of these."""
    settings = [f"{name}={value}" for name, value in variables.items()]
    done = subprocess.run(
        [HERE / "in_root.sh", environment, *settings, *words],
        capture_output=True,
        text=True,
        timeout=900,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in codes, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def python(environment: str, code: str, **variables: str) -> Any:
    """What a program prints last, which must be JSON."""
    return json.loads(run(environment, "python", "-c", code, **variables).stdout.splitlines()[-1])


def test_the_emulated_machine() -> None:
    code = "import json, platform; print(json.dumps([platform.machine(), platform.libc_ver()]))"
    machine, libc = python("now", code)
    assert machine == "aarch64"
    assert libc[0] == "glibc"


@each_environment
def test_info_of_the_storys_table(environment: str) -> None:
    done = run(environment, "corewise", "info", "-i", *MODULES, "--json", **THREADS)
    told = json.loads(done.stdout)
    assert told["failed_imports"] == []
    cpus = len(os.sched_getaffinity(0))
    pools = []
    for pool in told["pools"]:
        if pool["api"] == "blas":
            assert pool.pop("threads") == min(cpus, pool["ceiling"])
        pool["file"] = Path(pool.pop("path")).name
        pools.append({key: pool[key] for key in GOLDEN["fields"] if key in pool})
    assert pools == GOLDEN[environment]


@each_environment
@pytest.mark.parametrize(
    "imports",
    ["corewise, sklearn.cluster, mdtraj", "sklearn.cluster, mdtraj, corewise"],
)
def test_both_orders_of_import(environment: str, imports: str) -> None:
    """libcorewise's thread-local variables once left no room for libgomp's, and the other way."""
    code = f"import {imports}; print(len(corewise.info()))"
    assert python(environment, code) == len(GOLDEN[environment])


LIMITS = """
import json, corewise, mdtraj, numpy, scipy.linalg, sklearn.cluster
from threadpoolctl import threadpool_info
def now(): return sorted((pool["user_api"], pool["num_threads"]) for pool in threadpool_info())
before = now()
with corewise.limits(openmp=8, blas=4):
    numpy.ones((50, 50)) @ numpy.ones((50, 50))
    inside = now()
try:
    corewise.limits(blas=1000)
except corewise.AboveCeiling as error:
    refused = str(error)
print(json.dumps([before, inside, now(), refused]))
"""


@each_environment
def test_limits_are_read_back_by_threadpoolctl(environment: str) -> None:
    before, inside, after, refused = python(environment, LIMITS, **THREADS)
    counts = {"blas": 4, "openmp": 8}
    assert inside == [[api, counts[api]] for api, _ in before]
    assert {api for api, _ in before} == counts.keys()
    assert after == before
    assert "at most 64" in refused


DROP_IN = """
import json, mdtraj, numpy, scipy.linalg, sklearn.cluster
import corewise.threadpoolctl as ours, threadpoolctl as theirs
def dicts(module): return sorted(module.threadpool_info(), key=lambda pool: pool["filepath"])
told = [dicts(ours), dicts(theirs)]
with ours.threadpool_limits(3, user_api="blas"):
    told += [dicts(ours), dicts(theirs)]
print(json.dumps(told + [dicts(ours), dicts(theirs)]))
"""


@each_environment
def test_the_drop_in_tells_what_threadpoolctl_tells(environment: str) -> None:
    told = python(environment, DROP_IN, **THREADS)
    assert told[0::2] == told[1::2]
    assert [list(pool) for pool in told[0]] == [list(pool) for pool in told[1]]
    assert told[0] == told[4] != told[2]


PATCHES = """
import ctypes, json, corewise, numpy, scipy.linalg
A = numpy.random.default_rng(0).random((200, 200))
S = A @ A.T + 200 * numpy.eye(200)
def results(): return A @ A, numpy.linalg.cholesky(S), scipy.linalg.cholesky(S)
def libraries_that_differ_from_their_files():
    found = set()
    for line in open("/proc/self/maps"):
        where, rights, offset, *_, path = line.split()
        if "x" not in rights or "openblas" not in path:
            continue
        first, last = (int(word, 16) for word in where.split("-"))
        with open(path, "rb") as file:
            file.seek(int(offset, 16))
            code = file.read(last - first)
        if ctypes.string_at(first, len(code)) != code:
            found.add(path)
    return len(found)
expected = results()
counts = [libraries_that_differ_from_their_files()]
with corewise.governed():
    counts.append(libraries_that_differ_from_their_files())
    right = all(map(numpy.allclose, results(), expected))
    findings = corewise.govern_report()["findings"]
counts.append(libraries_that_differ_from_their_files())
print(json.dumps([counts, right, findings]))
"""


@each_environment
def test_what_governing_patches_is_given_back(environment: str) -> None:
    assert python(environment, PATCHES) == [[0, 2, 0], True, []]


# A thousand chunks of 256 rows: one for each thread.
KMEANS = """
import json, numpy
from sklearn.cluster import KMeans
X = numpy.random.default_rng(0).standard_normal((256_000, 4))
print(json.dumps(KMeans(8, init=X[:8], n_init=1, max_iter=2).fit(X).inertia_))
"""


@each_environment
def test_kmeans_of_1000_threads_lives_when_governed(environment: str) -> None:
    serial = python(environment, KMEANS, OMP_NUM_THREADS="1")
    governed = ("corewise", "run", "--report=json", "--", "python", "-c", KMEANS)
    done = run(environment, *governed, OMP_NUM_THREADS="1000")
    assert json.loads(done.stdout) == pytest.approx(serial, rel=1e-12)
    assert "NUM_THREADS exceeded" not in done.stderr
    report = json.loads(done.stderr.splitlines()[-1])
    assert report["findings"] == []
    assert report["sum"]["widest"] == 1000


# More than the 128 slots of an OpenBLAS and its reserve of 512, each in a call of its own.
CALLERS = """
import json, threading, numpy
A = numpy.random.default_rng(0).random((100, 100))
expected, right, start = A @ A, [], threading.Barrier(1000)
def work():
    start.wait()
    right.append(numpy.allclose(A @ A, expected))
threads = [threading.Thread(target=work) for _ in range(1000)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps([len(right), all(right)]))
"""


@each_environment
def test_a_thousand_callers(environment: str) -> None:
    done = run(environment, "corewise", "run", "--", "python", "-c", CALLERS)
    assert json.loads(done.stdout) == [1000, True]
    assert "NUM_THREADS exceeded" not in done.stderr


@each_environment
def test_the_doctor_counts_128_callers(environment: str) -> None:
    done = run(environment, "corewise", "doctor", "-i", *MODULES, "--json", codes=(1,), **THREADS)
    findings = {each["id"]: each for each in json.loads(done.stdout)["findings"]}
    slots = findings["openblas-slots"]
    assert slots["severity"] == "danger"
    assert "128 threads" in slots["what"]
    assert "there are 128" in slots["why"]


def test_a_death_is_explained() -> None:
    crash = "python -c 'import ctypes, numpy; ctypes.string_at(0)'"
    done = run("now", "sh", "-c", f"corewise -q run -- {crash}; echo $?; corewise doctor --last",
               codes=(1,))  # fmt: skip
    assert done.stdout.startswith("139\n")
    assert "SIGSEGV" in done.stdout


README = (ROOT / "README.md").read_text()
# Its commands: lines after "$ ", and those named in the text, but for these: the first two stand
# for more than they say, the third is for a terminal.
NAMED = {"corewise run", "corewise limit --pid", "corewise top"}
COMMANDS = set(re.findall(r"(?:^\$ |`)(corewise [a-z][^`\n]*)", README, re.M)) - NAMED
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)


def prepared(command: str) -> str:
    """A script: the program that the command names is there, and one runs under the pid 4711."""
    started = ""
    if "4711" in command:
        program = "import corewise, numpy, time; print(flush=True); time.sleep(600)"
        started = f"mkfifo ready; python -c '{program}' >ready & read line <ready\n"
        command = command.replace("4711", "$!")
    return f"echo 'import numpy' >train.py\n{started}{command}\n"


@pytest.mark.parametrize("command", sorted(COMMANDS | {"corewise top --json"}))
def test_a_command_of_readme(command: str) -> None:
    # The doctor ends with 1 where something is wrong, as it is where no CPU is idle.
    codes = (0, 1) if command.startswith("corewise doctor") else (0,)
    done = run("now", "sh", "-c", prepared(command), codes=codes)
    assert done.stdout + done.stderr


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_python_block_of_readme(block: str) -> None:
    run("now", "python", "-c", block)
