"""Limiting, governing and watching processes that run."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import CLEAN, ready
from governed import Governed
from test_live import WAIT

BUSY = """
import corewise, sys, numpy as np
a = np.ones((300, 300)); a @ a
print("ready", flush=True)
import threading
threading.Thread(target=lambda: (sys.stdin.read(), globals().update(done=True))).start()
done = False
while not done: a @ a
"""


def started(*words, env=None):
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    return ready(words, env=CLEAN | (env or {}), **pipes)


@pytest.fixture
def busy(numpy_with_corewise):
    with started(numpy_with_corewise, "-c", BUSY) as child:
        yield str(child.pid)


def test_limit_and_restore(corewise, busy):
    threads = os.sched_getaffinity(0).__len__()
    tried = corewise("limit", "--pid", busy, "--blas", "1", "--dry-run")
    assert "BEFORE  WOULD BE" in tried.stdout
    assert tried.returncode == 0 and "Dry run" in tried.stdout
    done = corewise("limit", "--pid", busy, "--blas", "1")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^blas +{threads} +1 +openblas", done.stdout, re.M)
    assert "reaches every thread" in done.stdout
    shown = corewise("info", "--pid", busy)
    assert "limited to 1 over the control socket" in shown.stdout
    seen = json.loads(corewise("info", "--pid", busy, "--json").stdout)
    assert [(p["threads"], p["limit"]) for p in seen["pools"] if p["api"] == "blas"] == [
        (threads, 1)
    ]
    assert seen["control"] is True
    assert re.search(
        rf"^blas +1 +{threads} ", corewise("limit", "-p", busy, "--restore").stdout, re.M
    )
    assert "Nothing was limited" in corewise("limit", "-p", busy, "--restore").stdout
    answer = json.loads(corewise("limit", "-p", busy, "--pool", "openblas=1", "--json").stdout)
    assert answer["outcomes"][0]["after"] == 1


OPENMP = """
import corewise, ctypes, sys
ctypes.CDLL("libgomp.so.1").omp_set_num_threads(8)
print("ready", flush=True)
sys.stdin.read()
"""


def test_the_doctor_knows_a_limit_from_outside(corewise, busy):
    """A count of 1 that `corewise limit` set is not one that a library left behind."""
    assert corewise("limit", "--pid", busy, "--blas", "1").returncode == 0
    done = corewise("doctor", "--pid", busy, "--json")
    found = {one["id"]: one for one in json.loads(done.stdout)["findings"]}
    assert "limit-leaked" not in found
    assert found["limit-from-outside"]["remedy"] == f"corewise limit --pid {busy} --restore"
    assert corewise("limit", "--pid", busy, "--restore").returncode == 0
    done = corewise("doctor", "--pid", busy, "--json")
    ids = [one["id"] for one in json.loads(done.stdout)["findings"]]
    assert not {"limit-leaked", "limit-from-outside"} & set(ids)


def test_the_doctor_knows_a_limit_from_within(corewise, numpy_with_corewise):
    code = "import numpy; lowered = corewise.limits(blas=1); lowered.__enter__()\n"
    with started(numpy_with_corewise, "-c", "import corewise\n" + code + WAIT) as child:
        done = corewise("doctor", "--pid", str(child.pid), "--json")
    assert "limit-leaked" not in [one["id"] for one in json.loads(done.stdout)["findings"]]


def test_counts_of_threads_are_said_as_bounds(corewise):
    with started(sys.executable, "-c", OPENMP, env={"OMP_NUM_THREADS": "2"}) as child:
        say = ("limit", "--pid", str(child.pid))
        for words in (["4", "--dry-run"], ["4"], ["3"]):
            done = corewise(*say, "--openmp", *words)
            assert done.returncode == 0, done.stderr
            assert re.search(rf"^openmp +[?] +at most {words[0]} +libgomp ", done.stdout, re.M)
        restored = corewise(*say, "--restore").stdout
        assert re.search(r"^openmp +at most 3 +[?] +libgomp ", restored, re.M)


def test_counts_that_no_pool_has_are_said(corewise, busy):
    later = "no such pool is loaded now; the limit"
    done = corewise("limit", "--pid", busy, "--tbb", "4")
    assert (done.returncode, done.stdout) == (0, f"tbb: {later} applies when one loads.\n")
    mixed = ("--blas", "1", "--tbb", "4", "--pool", "libgomp=2", "--pool", "libscipy_open=1")
    assert corewise("limit", "--pid", busy, *mixed).returncode == 2  # no prefix of a pool
    done = corewise("limit", "--pid", busy, *mixed[:-1], "openblas=1", "--dry-run")
    assert f"\ntbb, libgomp: {later} would apply when one loads.\n" in done.stdout
    assert "openblas: no such" not in done.stdout and "blas: no such" not in done.stdout


def test_a_limit_before_its_pool_is_loaded(corewise):
    code = "import corewise, sys; print('ready', flush=True); sys.stdin.read()"
    with started(sys.executable, "-c", code) as child:
        done = corewise("limit", "--pid", str(child.pid), "--blas", "2")
        assert done.returncode == 0 and "the limit applies when one loads" in done.stdout
        done = corewise("limit", "--pid", str(child.pid), "--blas", "1", "--dry-run")
    assert done.returncode == 0 and "would apply when one loads" in done.stdout


def test_govern_and_off(corewise, busy):
    done = corewise("govern", "--pid", busy, "--budget", "1", "--json")
    assert done.returncode == 0, done.stderr
    path = json.loads(done.stdout)["report"]["ledger"]["path"]
    try:
        assert "budget 1" in corewise("govern", "--pid", busy, "--budget", "1").stdout
        assert "is not governed any more" in corewise("govern", "--pid", busy, "--off").stdout
        again = corewise("govern", "--pid", busy, "--off").stdout
        assert again == f"Process {busy} was not governed: nothing was changed.\n"
    finally:
        Path(path).unlink(missing_ok=True)


def test_the_doctors_cure_is_for_the_process_that_runs(corewise, numpy_with_corewise):
    code = (
        "import sys, corewise, numpy; limits = corewise.limits(blas=8)\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    with started(numpy_with_corewise, "-c", code) as child:
        said = corewise("doctor", "--pid", str(child.pid)).stdout
        assert f"  do     corewise govern --pid {child.pid}; next time start it as" in said
    # One that has no socket cannot be governed.
    with started(numpy_with_corewise, "-c", code, env={"COREWISE_CONTROL": "off"}) as child:
        said = corewise("doctor", "--pid", str(child.pid)).stdout
        assert "  do     start it as corewise run -- ..." in said


def test_off_does_not_end_what_run_began(corewise, program, numpy_with_corewise):
    run = [program, "run", "-q", "--group", f"test-{os.getpid()}-off", "--"]
    say = "print(corewise.govern_report()['ledger']['path'], flush=True)\n"
    with started(*run, numpy_with_corewise, "-c", BUSY.replace("while", say + "while")) as child:
        path = child.stdout.readline().strip()
        done = corewise("govern", "--pid", str(child.pid), "--off")
        # Begun on top of that, and ended, it leaves the process governed: that is said.
        budget = str(os.cpu_count())
        both = corewise("govern", "--pid", str(child.pid), "--budget", budget)
        stays = corewise("govern", "--pid", str(child.pid), "--off")
        (mine,) = [
            process
            for process in json.loads(corewise("top", "--json").stdout)["processes"]
            if process["pid"] == child.pid
        ]
    Path(path).unlink(missing_ok=True)
    assert mine["governed"] and mine["granted"] is not None
    assert done.returncode == 1 and "corewise run" in done.stderr
    if both.returncode == 0:
        assert f"{child.pid} stays governed, budget" in stays.stdout, stays.stdout + stays.stderr


AGENTLESS = "print('ready', flush=True); import sys; sys.stdin.read()"


@pytest.mark.parametrize("words", [["limit", "--blas", "1"], ["govern"]])
def test_exit_codes(corewise, words):
    command, *options = words
    with started(sys.executable, "-c", AGENTLESS) as child:
        done = corewise(command, "--pid", str(child.pid), *options)
    assert done.returncode == 8 and "corewise run" in done.stderr
    if sys.version_info < (3, 14):
        assert "only Python 3.14 and later" in done.stderr
    with started("sh", "-c", "echo ready; read line") as child:
        done = corewise(command, "--pid", str(child.pid), *options)
    assert done.returncode == 8 and "is not a Python program" in done.stderr
    done = corewise(command, "--pid", "4194304", *options)
    assert done.returncode == 3 and "4194304" in done.stderr
    assert corewise(command, "--pid", "x", *options).returncode == 2
    assert corewise(command, *options).returncode == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_somebody_elses_process(program, busy):
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program]
    done = subprocess.run(
        [*words, "limit", "--pid", busy, "--blas", "1"], capture_output=True, text=True, env=CLEAN
    )
    assert done.returncode == 4 and "belongs to user 0" in done.stderr


@pytest.mark.parametrize(
    "words, hint",
    [
        (["--blas", "0"], "1 to 32768"),
        (["--blas", "many"], "whole number"),
        (["--pool", "libgomp"], "NAME=N"),
        (["--pool", "=1"], "NAME=N"),
        ([], "--restore"),
        (["--restore", "--blas", "1"], "takes no limits"),
        (["--restore", "--dry-run"], "--dry-run"),
    ],
)
def test_wrong_words(corewise, words, hint):
    done = corewise("limit", "--pid", str(os.getpid()), *words)
    assert done.returncode == 2 and hint in done.stderr


def test_a_name_that_the_process_does_not_know(corewise, busy):
    done = corewise("limit", "--pid", busy, "--pool", "libfoo=1")
    assert done.returncode == 2 and "libfoo" in done.stderr


def test_a_stopped_process_does_not_hold_us_up(corewise, busy):
    os.kill(int(busy), 19)
    began = time.monotonic()
    shown = corewise("top", "--once")
    assert f"Process {busy} does not answer" in shown.stdout or busy in shown.stdout
    assert time.monotonic() - began < 60
    began = time.monotonic()
    done = corewise("limit", "--pid", busy, "--blas", "1")
    assert done.returncode == 1 and f"kill -CONT {busy}" in done.stderr
    assert time.monotonic() - began < 15
    os.kill(int(busy), 18)
    # What was refused does not happen later.
    pools = json.loads(corewise("info", "--pid", busy, "--json").stdout)["pools"]
    assert pools and all(pool["limit"] is None for pool in pools)


def test_a_zombie_has_ended(corewise):
    code = "import os, time\nif os.fork(): print('ready', flush=True); time.sleep(60)"
    with started(sys.executable, "-c", code) as child:
        zombie = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().strip()
        while "Z (zombie)" not in Path(f"/proc/{zombie}/status").read_text():
            time.sleep(0.01)
        done = corewise("limit", "--pid", zombie, "--blas", "1")
    assert done.returncode == 5 and "zombie" in done.stderr


def test_top_once_and_json(corewise, busy):
    corewise("limit", "--pid", busy, "--blas", "1")
    view = json.loads(corewise("top", "--json").stdout)
    (mine,) = [process for process in view["processes"] if process["pid"] == int(busy)]
    assert view["schema_version"] == 1 and mine["threads"] >= 3 and mine["cpus_used"] > 0
    assert mine["sample"]["pools"][0]["limit"] == 1 and not mine["governed"]
    shown = corewise("top", "--once").stdout
    assert "CPU" in shown.splitlines()[0]
    assert re.search(rf"^[> ] +{busy} .* blas=1 ", shown, re.M)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a pid namespace")
def test_top_leaves_out_pids_of_another_namespace(corewise, program, numpy_with_corewise):
    enter = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*enter, "true"], capture_output=True).returncode != 0:
        pytest.skip("no pid namespace may be made here")
    code = "import numpy as np, os; a = np.ones((500, 500)); a @ a; print(os.getpid())"
    command = [*enter, program, "run", "-q", "--", numpy_with_corewise, "-c", code]
    inside = subprocess.run(command, env=CLEAN, capture_output=True, text=True)
    assert inside.stdout == "1\n", inside.stderr
    processes = json.loads(corewise("top", "--json").stdout)["processes"]
    assert 1 not in [process["pid"] for process in processes]


def test_a_socket_is_removed_once_nobody_listens(corewise, tmp_path):
    """A process that is not seen may be a container's, which shares the folder."""
    folder = tmp_path / "corewise"
    folder.mkdir(mode=0o700)
    path = folder / f"{2**22 - 1}.sock"  # no process has that number
    with socket.socket(socket.AF_UNIX) as elsewhere:
        elsewhere.bind(str(path))
        elsewhere.listen(1)
        for _ in range(3):  # nor when nobody accepts
            assert corewise("top", "--once", env={"XDG_RUNTIME_DIR": str(tmp_path)}).returncode == 0
            assert path.exists()
    assert corewise("top", "--once", env={"XDG_RUNTIME_DIR": str(tmp_path)}).returncode == 0
    assert not path.exists()


def test_top_wants_a_terminal(corewise):
    done = corewise("top")
    assert done.returncode == 2 and "--once" in done.stderr
    assert corewise("top", "--interval", "0").returncode == 2


FORKED = """
import multiprocessing, sys, numpy as np
def work(end):
    a = np.ones((300, 300))
    a @ a
    print("ready", flush=True)
    end.wait()
end = multiprocessing.get_context("fork").Event()
child = multiprocessing.get_context("fork").Process(target=work, args=(end,))
child.start()
print(child.pid, flush=True)
sys.stdin.read()
end.set()
child.join()
"""


def report(pid):
    """What the process answers about its governing; there is no command that only asks."""
    code = "import corewise, json, sys; ask = {'request': 'report'}\n"
    code += "print(json.dumps(corewise.control(int(sys.argv[1]), ask)))"
    words = [sys.executable, "-c", code, pid]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_forked_workers_under_run_can_be_limited(corewise, program, numpy_with_corewise):
    """Workers of multiprocessing import nothing of ours: the agent serves them."""
    run = [program, "run", "-q", "--group", f"test-{os.getpid()}-fork", "--"]
    code = FORKED.replace('print("ready", flush=True)', "")
    with started(*run, numpy_with_corewise, "-c", "print('ready', flush=True)" + code) as child:
        worker = child.stdout.readline().strip()
        for _ in range(100):
            done = corewise("limit", "--pid", worker, "--blas", "1", "--json")
            if done.returncode == 0:
                break
            time.sleep(0.05)
        assert json.loads(done.stdout)["outcomes"][0]["after"] == 1
        ledger = json.loads(corewise("top", "--json").stdout)
        assert {child.pid, int(worker)} <= {p["pid"] for p in ledger["processes"]}
        Path(json.loads(report(worker))["report"]["ledger"]["path"]).unlink()
        child.communicate(timeout=60)
        assert child.returncode == 0


def test_a_program_without_pools_gets_no_thread(program):
    code = "import os; print(os.listdir('/proc/self/task').__len__())"
    assert Governed(program, sys.executable, "-c", code).out == "1\n"


CELL = """
import numpy as np, threading
a = np.ones((300, 300))
a @ a
print("cell", "runs", flush=True)
while True: a @ a
"""


def test_a_kernel_that_never_heard_of_us_is_limited_amid_a_cell(corewise, numpy_with_corewise):
    manager_module = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    manager = manager_module.KernelManager(kernel_name="python3")
    manager.start_kernel(env=CLEAN)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute(CELL)
        while "cell runs" not in client.get_iopub_msg(timeout=60)["content"].get("text", ""):
            pass
        pid = str(manager.provisioner.process.pid)
        # What changes nothing opens no socket in it.
        dry = corewise("limit", "--pid", pid, "--blas", "1", "--dry-run")
        assert dry.returncode == 8
        assert "has no control socket, and a dry run opens none" in dry.stderr
        for words in (["limit", "--restore"], ["govern", "--off"]):
            assert corewise(*words, "--pid", pid).returncode == 8
        assert json.loads(corewise("info", "--pid", pid, "--json").stdout)["control"] is False
        done = corewise("limit", "--pid", pid, "--blas", "1", "--json")
        assert done.returncode == 0, done.stderr
        assert {outcome["after"] for outcome in json.loads(done.stdout)["outcomes"]} == {1}
        assert json.loads(corewise("info", "--pid", pid, "--json").stdout)["control"] is True
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


LOOPS = "import time; print('ready', flush=True)\nwhile True: time.sleep(0.05)"


def runs(python):
    """pyenv has shims for versions that it does not run."""
    return shutil.which(python) and not subprocess.run([python, "-c", ""], check=False).returncode


@pytest.mark.skipif(not runs("python3.14"), reason="python3.14 is not here")
def test_a_later_python_is_entered_while_it_runs(corewise):
    with started("python3.14", "-c", LOOPS) as child:
        done = corewise("govern", "--pid", str(child.pid))
        assert done.returncode == 0, done.stderr
        assert json.loads(corewise("info", "--pid", str(child.pid), "--json").stdout)["control"]
    with started("python3.14", "-c", LOOPS, env={"PYTHON_DISABLE_REMOTE_DEBUG": "1"}) as child:
        done = corewise("govern", "--pid", str(child.pid))
    assert done.returncode == 8 and "PYTHON_DISABLE_REMOTE_DEBUG" in done.stderr


FORCED = """
import ctypes, numpy, glob, os, sys
a = numpy.ones((200, 200)); a @ a
libraries = os.path.join(os.path.dirname(numpy.__file__), "..", "numpy.libs")
(path,) = glob.glob(os.path.join(libraries, "libscipy_openblas*"))
library = ctypes.CDLL(path)
library.scipy_openblas_set_num_threads64_(3)
count = library.scipy_openblas_get_num_threads64_
print("ready", flush=True)
for line in sys.stdin: print(count(), numpy.allclose(a @ a, 200), flush=True)
"""


def test_what_cannot_be_entered_is_limited_by_force_alone(corewise, numpy_python):
    env = {"COREWISE_CONTROL": "off"}
    with started(numpy_python, "-c", FORCED, env=env) as child:
        pid = str(child.pid)

        def inside():
            child.stdin.write("?\n")
            child.stdin.flush()
            return child.stdout.readline().strip()

        def forced(*words):
            done = corewise("limit", "--pid", pid, "--force", "--json", *words)
            return done.returncode, [
                (each["before"], each["after"]) for each in json.loads(done.stdout)["outcomes"]
            ]

        assert inside() == "3 True"
        refused = corewise("limit", "--pid", pid, "--blas", "1")
        assert refused.returncode == 8 and "--force writes smaller counts" in refused.stderr
        assert forced("--blas", "1", "--dry-run") == (0, [(3, 1)])
        assert inside() == "3 True"
        tried = corewise("limit", "--pid", pid, "--force", "--blas", "2", "--dry-run")
        assert "could not be undone from outside" in " ".join(tried.stdout.split())
        done = corewise("limit", "--pid", pid, "--force", "--blas", "2", "--tbb", "1")
        assert done.returncode == 0 and re.search(r"^blas +3 +2 ", done.stdout, re.M)
        assert "it cannot be undone from outside, not even with --restore." in " ".join(
            done.stdout.split()
        )
        assert "\ntbb: no such pool is loaded.\n" in done.stdout
        assert inside() == "2 True"
        kept = corewise("limit", "--pid", pid, "--force", "--blas", "3")
        assert "Written" not in kept.stdout
        assert forced("--blas", "8") == (0, [(2, 2)])  # never raised
        assert forced("--pool", "openblas=1") == (0, [(2, 1)])
        assert inside() == "1 True"
        assert corewise("limit", "--pid", pid, "--force", "--blas", "0").returncode == 2
        none = corewise("limit", "--pid", pid, "--force", "--openmp", "1")
        assert none.returncode == 9
        assert none.stdout == "openmp: no such pool is loaded: nothing was changed.\n"
        assert forced("--openmp", "1") == (9, [])


TWO_OPENBLAS = """
import sys, numpy, scipy.linalg
if sys.argv[1] == "socket": import corewise
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_name_means_the_same_over_the_socket_and_by_force(corewise, numpy_python):
    def outcomes(child, *words):
        done = corewise("limit", "--pid", str(child.pid), "--dry-run", "--json", *words)
        if done.returncode:
            return done.returncode, done.stderr
        answer = json.loads(done.stdout)
        counts = {each["path"]: each["after"] for each in answer["outcomes"]}
        return counts, answer["not_loaded"]

    with (
        started(numpy_python, "-c", TWO_OPENBLAS, "socket") as reached,
        started(numpy_python, "-c", TWO_OPENBLAS, "force") as other,
    ):
        (path, *_), _ = outcomes(reached, "--blas", "1")
        for words in (
            ["--blas", "1", "--pool", "libscipy_openblas=2"],
            ["--blas", "1", "--pool", "libscipy_openblas64_=2"],
            ["--blas", "2", "--pool", "openblas=1"],
            ["--pool", "openblas=1", "--pool", f"{path}=2"],
            ["--pool", f"{Path(path).name}=1", "--tbb", "1", "--pool", "libmkl_rt=1"],
            ["--blas", "2", "--pool", "numpy=1"],
            ["--pool", "opemblas=1"],
        ):
            asked = outcomes(reached, *words)
            assert asked == outcomes(other, "--force", *words), words
        assert asked[0] == 2 and "no pool is called 'opemblas'; known here: " in asked[1]


def test_a_kernel_whose_python_cannot_help(corewise, tmp_path):
    """Nothing is at the other end of this connection file, and no jupyter_client reads it."""
    (tmp_path / "jupyter_client.py").write_text("raise ImportError")
    script = tmp_path / "kernel.py"
    script.write_text(AGENTLESS)
    words = [sys.executable, str(script), "-f", str(tmp_path / "kernel-1.json")]
    with started(*words, env={"PYTHONPATH": str(tmp_path)}) as child:
        env = {"PYTHONPATH": str(tmp_path)}
        done = corewise("limit", "--pid", str(child.pid), "--blas", "1", env=env)
    assert done.returncode == 8 and "pip install jupyter_client" in done.stderr


def sockets_in(runtime):
    return sorted(path.name for path in (runtime / "corewise").glob("*"))


ENDS = {
    "_exit": "os._exit(0)",
    "a killed child": "os.kill(os.getpid(), signal.SIGKILL)",
    "a worker's end": "multiprocessing.get_context('fork').Process(target=int).run(); os._exit(0)",
}


@pytest.mark.parametrize("ending", ENDS)
def test_children_leave_no_socket(corewise, numpy_python, tmp_path, ending):
    """The last of them too, which no other child tidies up after."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(0o700)
    code = f"""
import multiprocessing, os, signal, numpy as np
a = np.ones((300, 300)); a @ a
folder = {str(runtime / "corewise")!r}
for i in range(5):
    pid = os.fork()
    if pid == 0:
        assert f"{{os.getpid()}}.sock" in os.listdir(folder)
        {ENDS[ending]}
    os.waitpid(pid, 0)
print(len(os.listdir(folder)))
"""
    env = {"XDG_RUNTIME_DIR": str(runtime), "OPENBLAS_NUM_THREADS": "2"}
    done = corewise("run", "-q", "--", numpy_python, "-c", code, env=env)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= (2 if "killed" in ending else 1)  # its own, and the last one killed
    assert sockets_in(runtime) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize(
    "change", ["setuid(65534)", "seteuid(65534)", "setresuid(65534, 65534, 65534)"]
)
def test_the_socket_moves_with_the_user(corewise, numpy_python, tmp_path, change):
    code = f"""
import os, numpy as np
a = np.ones((300, 300)); a @ a
os.{change}
print(os.path.exists(f"/tmp/corewise-65534/{{os.getpid()}}.sock"))
"""
    done = corewise(
        "run", "-q", "--", numpy_python, "-c", code, env={"XDG_RUNTIME_DIR": str(tmp_path)}
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    assert sockets_in(tmp_path) == []


@pytest.mark.parametrize("change", ["seteuid(os.geteuid())", "setreuid(os.getuid(), -1)"])
def test_a_client_stays_if_the_user_does(corewise, numpy_python, tmp_path, change):
    code = f"""
import glob, os, socket, numpy as np
a = np.ones((300, 300)); a @ a
client = socket.socket(socket.AF_UNIX)
client.connect(glob.glob(os.environ["XDG_RUNTIME_DIR"] + "/*/*.sock")[0])
os.{change}
client.sendall(b'{{"request":"info"}}\\n')
print(client.recv(1) == b"{{")
"""
    done = corewise(
        "run", "-q", "--", numpy_python, "-c", code, env={"XDG_RUNTIME_DIR": str(tmp_path)}
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has somebody else's folders")
def test_root_leaves_the_runtime_folder_of_others_alone(corewise, numpy_python, tmp_path):
    """As `sudo -E` has it."""
    os.chown(tmp_path, 65534, 65534)
    code = "import numpy as np; a = np.ones((300, 300)); a @ a; import os; print(os.getpid())"
    code += "; print(os.path.exists(f'/tmp/corewise-0/{os.getpid()}.sock'))"
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    done = corewise("run", "-q", "--", numpy_python, "-c", code, env=env)
    assert done.stdout.endswith("True\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


SPOOF = """
import os, socket, sys
folder = os.environ["XDG_RUNTIME_DIR"] + "/corewise"
os.mkdir(folder, 0o700)
os.seteuid(1)  # listens as somebody else, as the process that had this number before may have
peer = socket.socket(socket.AF_UNIX)
os.seteuid(0)
peer.bind(f"{folder}/{os.getpid()}.sock")
os.seteuid(1)
peer.listen()
os.seteuid(0)
os.setresuid(2, 2, 0)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_an_answer_of_another_user_is_not_believed(corewise, tmp_path):
    tmp_path.chmod(0o755)
    with started(sys.executable, "-c", SPOOF, env={"XDG_RUNTIME_DIR": str(tmp_path)}) as child:
        done = corewise("limit", "--pid", str(child.pid), "--blas", "1", timeout=60)
    assert done.returncode == 8 and "without a control socket" in done.stderr


PRODUCT = """
import os, signal, subprocess, sys, numpy as np
a = np.ones((300, 300)); a @ a
"""
# As daemons do, and celery's workers.
CLOSES = PRODUCT + "os.closerange(3, 4096)\n"


@pytest.fixture
def folders(tmp_path):
    tmp_path.chmod(0o700)
    own = {"XDG_RUNTIME_DIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    return own | {"OPENBLAS_NUM_THREADS": "2"}


@pytest.fixture
def governed(corewise, numpy_python, folders):
    return lambda code, *how, **more: corewise(
        "run", "-q", *how, "--", numpy_python, "-c", code, env=folders | more
    )


def test_who_closes_all_descriptors_is_reported(governed):
    done = governed(CLOSES + "a @ a", "--report=json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["without_report"] == []
    assert [process["calls"] for process in told["processes"] if process["calls"]] == [2]


@pytest.mark.parametrize("end", ["sys.exit()", "os._exit(0)"])
def test_who_closes_all_descriptors_leaves_no_socket(governed, tmp_path, end):
    folder = str(tmp_path / "corewise")
    done = governed(f"{CLOSES}print(len(os.listdir({folder!r})), flush=True); {end}")
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert sockets_in(tmp_path) == []


def test_who_closes_all_descriptors_leaves_a_death_report(corewise, governed, folders):
    assert governed(CLOSES + "os.kill(os.getpid(), signal.SIGSEGV)").returncode == -signal.SIGSEGV
    done = corewise("doctor", "--last", "--json", env=folders)
    assert json.loads(done.stdout)["death"]["signal"] == "SIGSEGV", done.stderr


# In the same group, and killed while it holds all threads.
DIES = """
import os, signal, threading, numpy as np
big = np.ones((4000, 4000))
threading.Timer(1, os.kill, (os.getpid(), signal.SIGKILL)).start()
while True: big @ big
"""


def test_who_closes_all_descriptors_gets_what_the_dead_held(governed, tmp_path):
    # On 64 CPUs what else runs on this machine takes none of two.
    cpus = tmp_path / "libpretends.so"
    source = Path(__file__).with_name("pretends_64_cpus.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", source, "-o", cpus, "-ldl"], check=True)
    code = f"{CLOSES}dead = subprocess.run([sys.executable, '-c', {DIES!r}]).returncode\n"
    code += "for _ in range(30): a @ a\nprint(dead)"
    group = ("--group", f"test-{os.getpid()}-dead", "--budget", "2")
    done = governed(code, *group, "--report=json", LD_PRELOAD=str(cpus))
    assert (done.returncode, done.stdout) == (0, "-9\n"), done.stderr
    (ours,) = json.loads(done.stderr.splitlines()[-1])["processes"]
    Path(ours["ledger"]["path"]).unlink()
    assert (ours["calls"], ours["granted"]) == (31, 62)


FORKS = """
here, there = os.pipe()
child = os.fork()
if child == 0:
    os.read(here, 1)
    os._exit(0)
print("ready", child, sep="\\n", flush=True)
sys.stdin.read()
os.write(there, b"x")
os.wait()
"""


def test_a_child_of_who_closed_all_descriptors_is_asked(corewise, program, numpy_python, folders):
    with started(
        program, "run", "-q", "--", numpy_python, "-c", CLOSES + FORKS, env=folders
    ) as parent:
        child = parent.stdout.readline().strip()
        done = corewise("info", "--pid", child, "--json", env=folders)
        parent.communicate(timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["control"] is True
    assert sockets_in(Path(folders["XDG_RUNTIME_DIR"])) == []


def test_the_three_lowest_numbers_are_a_daemons(governed):
    """It opens its standard streams anew, and we have files to open anew."""
    code = """
for number in range(3): os.close(number)
for _ in range(20): a @ a
seen = [os.open(os.devnull, os.O_RDWR) for _ in range(3)]
for _ in range(20): a @ a
sys.exit(seen != [0, 1, 2])
"""
    assert governed(CLOSES + code).returncode == 0


def test_who_closes_all_descriptors_again_and_again(governed):
    """The files are opened again each time, but not without end; nothing piles up."""
    code = """
for _ in range(150):
    os.closerange(3, 4096)
    if pid := os.fork(): os.waitpid(pid, 0)
    else: os._exit(0)
    a @ a
print(len(os.listdir("/proc/self/fd")) < 10)
"""
    done = governed(CLOSES + code, "--report=json")
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    assert json.loads(done.stderr.splitlines()[-1])["without_report"] == []


def test_exec_into_a_program_without_pools_leaves_no_socket(governed, tmp_path):
    folder = str(tmp_path / "corewise")
    code = (
        f"print(len(os.listdir({folder!r})), flush=True)\nos.execv('/bin/ls', ['ls', {folder!r}])"
    )
    done = governed(PRODUCT + code)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
