"""What a process that dies leaves behind, each death in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from conftest import need_numpy_wheel

IMPORTS = "import corewise, os, signal, ctypes\n"
CRASH = "ctypes.string_at(16)\n"


@pytest.fixture
def state(tmp_path):
    return {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "COLUMNS": "200"}


def run(code, env, **more):
    return subprocess.run(
        [sys.executable, "-c", IMPORTS + code],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **more,
    )


def reports(env):
    folder = os.path.join(env["XDG_STATE_HOME"], "corewise")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def last(env):
    done = run("d = corewise.last_death()\nprint(d.to_json() if d else 'none')", env)
    assert done.returncode == 0, done.stderr
    return None if done.stdout == "none\n" else json.loads(done.stdout)


def test_nothing_died(state):
    elsewhere = f"/tmp/corewise-{os.geteuid()}"  # where a process without a home leaves its report
    if os.path.isdir(elsewhere) and any(n.endswith(".json") for n in os.listdir(elsewhere)):
        pytest.skip(f"something died on this machine: {elsewhere}")
    assert last(state) is None
    assert reports(state) == []


@pytest.mark.parametrize(
    ("code", "name", "finding"),
    [
        (CRASH, "SIGSEGV", "death-elsewhere"),
        ("os.abort()", "SIGABRT", "death-elsewhere"),
        ("os.kill(os.getpid(), signal.SIGBUS)", "SIGBUS", "death-sent"),
    ],
)
def test_a_death_leaves_a_report_and_its_signal(state, tmp_path, code, name, finding):
    done = run("import numpy\n" + code, state, cwd=tmp_path)
    assert done.returncode == -signal.Signals[name]
    folder = os.path.join(state["XDG_STATE_HOME"], "corewise")
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert os.stat(os.path.join(folder, reports(state)[0])).st_mode & 0o777 == 0o600
    told = last(state)
    assert told["death"]["signal"] == name
    assert told["death"]["folder"] == str(tmp_path)
    assert told["death"]["threads"] >= 1
    assert any("numpy" in pool["path"] for pool in told["death"]["pools"])
    assert told["findings"][0]["id"] == finding


def test_a_signal_that_somebody_sent_blames_no_pool(state):
    code = """
import numpy, threading
a = numpy.ones((3000, 3000))
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGSEGV)).start()
while True: a @ a
"""
    assert run(code, state).returncode == -signal.SIGSEGV
    (finding,) = last(state)["findings"]
    assert finding["id"] == "death-sent"
    assert finding["what"] == "it died by SIGSEGV, which a program sent to it"


def test_what_a_death_tells_does_not_steer_the_terminal(state, tmp_path):
    with (tmp_path / "stderr").open("w") as stderr:
        subprocess.run(
            [
                sys.executable,
                "-c",
                IMPORTS + "os.write(2, b'a\\x1b[2Jb\\nc'); os.abort()",
                "\x1b[31m",
            ],
            env=state,
            stderr=stderr,
            timeout=120,
            check=False,
        )
    shown = run("print(corewise.last_death())", state).stdout
    assert "\x1b" not in shown
    assert "[31m" in shown and "[2Jb\nc" in shown
    assert re.search(r"It had (1 thread|[2-9]\d* threads|1\d+ threads): ", shown)


def test_the_thread_that_died_inside_a_pool(state):
    # NumPy checks nothing that ctypes tells it: a product over memory that does not exist.
    code = """
import numpy
library = ctypes.CDLL(next(p.path for p in corewise.info() if p.api == "blas"))
dot = library.scipy_cblas_ddot64_
n, nowhere, one = ctypes.c_int64(1000), ctypes.c_void_p(16), ctypes.c_int64(1)
dot(n, nowhere, one, nowhere, one)
"""
    assert run(code, state).returncode == -signal.SIGSEGV
    told = last(state)
    assert [pool["inside"] for pool in told["death"]["pools"]] == [True]
    assert told["findings"][0]["id"] == "death-inside-pool"
    assert "openblas" in told["findings"][0]["what"]


# The callback stands for any function that a pool calls.
CALLED_BY_A_POOL = """
import numpy
numpy.ones((500, 500)) @ numpy.ones((500, 500))
library = ctypes.CDLL(next(p.path for p in corewise.info() if p.api == "blas"))
Callback = ctypes.CFUNCTYPE(None, ctypes.c_int, *[ctypes.c_void_p] * 5)
callback = Callback(lambda *_: ctypes.string_at(16))
library.scipy_openblas_set_threads_callback_function64_(callback)
numpy.ones((500, 500)) @ numpy.ones((500, 500))
"""
# Not return addresses: arguments of the function that dies, which lie on its stack.
POINTERS_TO_A_POOL = """
import numpy
library = ctypes.CDLL(next(p.path for p in corewise.info() if p.api == "blas"))
start = ctypes.cast(library.scipy_cblas_ddot64_, ctypes.c_void_p).value
ctypes.CDLL(None).strlen(*[ctypes.c_void_p(at) for at in [16, 0, 0, 0, 0, 0, start, start & -4096]])
"""


@pytest.mark.parametrize(
    ("code", "finding"),
    [(CALLED_BY_A_POOL, "death-inside-pool"), (POINTERS_TO_A_POOL, "death-elsewhere")],
)
def test_a_thread_that_died_elsewhere_was_in_the_pools_that_called(state, code, finding):
    assert run(code, state).returncode == -signal.SIGSEGV
    told = last(state)
    assert told["death"]["module"].endswith("libc.so.6")
    assert told["findings"][0]["id"] == finding


def test_pythons_own_handler_still_speaks(state):
    for before, after in (("", "import faulthandler; faulthandler.enable()\n"), ("-X", "")):
        env = {**state, "PYTHONFAULTHANDLER": "1"} if before else state
        done = run(after + CRASH, env)
        assert done.returncode == -signal.SIGSEGV
        assert "Current thread" in done.stderr
        assert last(state)["death"]["signal"] == "SIGSEGV"


def test_a_fault_that_the_program_mends_leaves_nothing(state):
    # Its handler is installed first, as those of Java and Julia are.
    code = """
import ctypes, mmap
libc = ctypes.CDLL(None)
page = mmap.mmap(-1, 4096)
at = ctypes.addressof(ctypes.c_char.from_buffer(page))
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
mend = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda n: libc.mprotect(at, 4096, 3) and None)
libc.signal(11, mend)
import corewise
libc.mprotect(at, 4096, 0)
ctypes.memset(at, 1, 8)
print('lives')
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=state, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "lives\n"), done.stderr
    assert reports(state) == []


def test_the_crash_of_the_seed_is_explained(state):
    code = """
import numpy, sklearn.cluster
X = numpy.random.default_rng(0).standard_normal((256000, 256))
sklearn.cluster.KMeans(1024, init=X[:1024], n_init=1, max_iter=1).fit(X)
"""
    for _ in range(3):  # it does not die every time
        done = run(code, {**state, "OMP_NUM_THREADS": "1000"})
        if done.returncode < 0:
            break
    assert done.returncode < 0
    found = last(state)["findings"][0]
    assert found["id"] == "death-openblas-slots"
    assert "threads called OpenBLAS, which has room for 128" in found["what"]
    assert "corewise run" in found["remedy"]
    shown = subprocess.run(
        ["corewise", "doctor", "--last"], env=state, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 1
    assert found["what"] in " ".join(shown.stdout.split())


def test_a_notebook_is_told_of_its_own_deaths(state, tmp_path):
    def shown(notebook, cwd=tmp_path):
        env = {**state, "JPY_SESSION_NAME": notebook} if notebook else state
        told = run("print(corewise.last_death().headline)", env, cwd=cwd)
        said = subprocess.run(
            ["corewise", "doctor", "--last"], env=env, cwd=cwd, capture_output=True, text=True
        )
        assert told.stdout.strip() in " ".join(said.stdout.split())
        return told.stdout

    def is_own(notebook, cwd=tmp_path):
        env = {**state, "JPY_SESSION_NAME": notebook} if notebook else state
        return run("print(corewise.last_death().own)", env, cwd=cwd).stdout.strip() == "True"

    def die(notebook, **more):
        dead = {**state, "JPY_SESSION_NAME": notebook, "JPY_PARENT_PID": str(os.getpid())}
        assert run(CRASH, dead, cwd=tmp_path, **more).returncode == -signal.SIGSEGV

    a, b = str(tmp_path / "a.ipynb"), str(tmp_path / "b.ipynb")
    die(a)
    assert shown(a).startswith("a.ipynb died by SIGSEGV in libc.so.6")
    assert shown("").startswith("a.ipynb died")
    die(b)
    assert shown(a).startswith("a.ipynb died")
    assert shown(b).startswith("b.ipynb died")
    assert is_own(a) and is_own("")
    assert not is_own(str(tmp_path / "c.ipynb")) and not is_own("", cwd="/")
    assert shown("").startswith("b.ipynb died")
    # A process that a kernel starts has its variables, but is not the kernel.
    dies = "import corewise, os; os.abort()"
    child = f"import subprocess\nsubprocess.run([sys.executable, '-c', '{dies}'])"
    run(
        "import sys\n" + child, {**state, "JPY_SESSION_NAME": a, "JPY_PARENT_PID": str(os.getpid())}
    )
    assert shown(a).startswith("a process that a.ipynb started (python")


REFUSED = """
import numpy, resource
lines = open("/proc/self/maps").read().splitlines()
[path] = {line.split()[-1] for line in lines if "numpy.libs/libscipy_open" in line}
blas = ctypes.CDLL(path)
size = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (size + (16 << 20), resource.RLIM_INFINITY))
for _ in range(9):
    blas.blas_memory_alloc(0)
"""


def test_an_openblas_that_exits_leaves_a_report(state):
    need_numpy_wheel()
    done = run(REFUSED, state)
    if "Memory allocation still failed" not in done.stderr:
        pytest.skip("this OpenBLAS does not give up")
    assert done.returncode == 1
    found = last(state)
    assert found["death"]["signal"] == "exit"
    assert found["findings"][0]["id"] == "death-openblas-memory"
    assert found["findings"][0]["what"].startswith("numpy's OpenBLAS ended it")
    # The program's own exit is not a death, and neither are other libraries' exits.
    before = reports(state)
    assert run("ctypes.CDLL(None).exit(3)", state).returncode == 3
    assert reports(state) == before


def test_off(state):
    done = run(CRASH, {**state, "COREWISE_POSTMORTEM": "off"})
    assert done.returncode == -signal.SIGSEGV
    assert reports(state) == []


def test_forked_children_and_threads_report_too(state):
    code = """
import threading
if os.fork() == 0:
    t = threading.Thread(target=lambda: ctypes.string_at(16)); t.start(); t.join()
print(os.WTERMSIG(os.wait()[1]))
"""
    done = run(code, state)
    assert done.stdout == "11\n"
    assert len(reports(state)) == 1


def test_threads_that_die_together_wait_for_the_report(state, native):
    """One report, which is whole, though writing it takes longer than the others' deaths."""
    library = str(native / "libdie_together.so")
    done = run(f"ctypes.CDLL({library!r}).die_together(30)", {**state, "LD_PRELOAD": library})
    assert done.returncode == -signal.SIGSEGV
    assert len(reports(state)) == 1
    assert last(state)["death"]["signal"] == "SIGSEGV"


def test_the_last_words_are_kept_where_they_went_to_a_file(state, tmp_path):
    with open(tmp_path / "err", "w") as err:
        subprocess.run(
            [sys.executable, "-c", IMPORTS + "os.write(2, b'OpenBLAS warning\\n'); os.abort()"],
            env=state,
            stderr=err,
            check=False,
        )
    assert "OpenBLAS warning" in last(state)["death"]["stderr"]


def test_old_reports_go(state):
    folder = os.path.join(state["XDG_STATE_HOME"], "corewise")
    os.makedirs(folder, mode=0o700)
    for i in range(30):
        with open(os.path.join(folder, f"{i}.json"), "w") as file:
            file.write("{")
    run("", state)
    assert len(reports(state)) == 20
