"""The control socket: sampling and limiting a process while it is in long native calls."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import corewise
import pytest
from conftest import Array, Run, need_numpy_wheel

# Multiplies on all threads until told to stop; the sums must never change.
BUSY = """
import corewise, sys, threading
import numpy as np
rng = np.random.default_rng(0)
a = rng.random((400, 400))
first = (a @ a).sum()
done = False
def stop():
    global done
    sys.stdin.read()
    done = True
threading.Thread(target=stop).start()
print(corewise.control_path(), flush=True)
worst, calls = 0.0, 0
while not done:
    worst = max(worst, abs((a @ a).sum() - first) / first)
    calls += 1
print(calls, worst, flush=True)
"""


def ask(pid: int, name: str, **fields: Any) -> dict[str, Any]:
    return corewise.control(pid, {"request": name, **fields}, timeout=60)


@contextlib.contextmanager
def started(code: str, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[str]]:
    need_numpy_wheel()
    with started(BUSY, {"OPENBLAS_NUM_THREADS": "2"}) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("/")
        yield child


def finish(child: subprocess.Popen[str]) -> tuple[int, float]:
    out, _ = child.communicate(timeout=120)
    assert child.returncode == 0
    calls, worst = out.split()
    return int(calls), float(worst)


def pool_of(document: dict[str, Any], api: str) -> dict[str, Any]:
    return next(pool for pool in document["pools"] if pool["api"] == api)


def worker_share(pid: int) -> float:
    """CPU time of BLAS's own workers per second of the program's threads, from now on."""
    before = corewise.sample(pid)
    for _ in range(600):
        time.sleep(0.1)
        after = corewise.sample(pid)
        program: float = after["program"]["cpu_s"] - before["program"]["cpu_s"]
        if program > 0.2:
            break
    used: float = pool_of(after, "blas")["cpu_s"] - pool_of(before, "blas")["cpu_s"]
    return used / program


def test_a_limit_reaches_a_process_amid_native_calls(busy: subprocess.Popen[str]) -> None:
    assert worker_share(busy.pid) > 0.2
    tried = ask(busy.pid, "limit", limits={"blas": 1}, dry_run=True)
    assert tried["outcomes"][0]["before"] == 2 and tried["outcomes"][0]["after"] == 1
    assert pool_of(corewise.sample(busy.pid), "blas")["limit"] is None
    (outcome,) = ask(busy.pid, "limit", limits={"blas": 1})["outcomes"]
    assert (outcome["before"], outcome["asked"], outcome["after"]) == (2, 1, 1)
    assert outcome["reach"].startswith("every thread") and outcome["reason"] == ""
    time.sleep(0.5)
    # Its worker sleeps, and the program's own count stays.
    assert worker_share(busy.pid) < 0.05
    pool = pool_of(ask(busy.pid, "info"), "blas")
    assert (pool["threads"], pool["limit"]) == (2, 1)
    (restored,) = ask(busy.pid, "restore")["restored"]
    assert (restored["before"], restored["after"]) == (1, 2)
    assert worker_share(busy.pid) > 0.2
    calls, worst = finish(busy)
    assert calls > 3 and worst < 1e-9


def test_a_thousand_flips_change_no_result(busy: subprocess.Popen[str]) -> None:
    with connected(busy.pid) as peer:
        for i in range(1000):
            count = 1 + i % 2
            peer.sendall(
                json.dumps({"request": "limit", "limits": {"blas": count}}).encode() + b"\n"
            )
            assert read_line(peer)["outcomes"][0]["after"] == count
            if i % 100 == 99:
                peer.sendall(b'{"request":"restore"}\n')
                assert read_line(peer)["restored"]
    calls, worst = finish(busy)
    assert calls > 3 and worst < 1e-9


@contextlib.contextmanager
def connected(pid: int) -> Iterator[socket.socket]:
    with socket.socket(fileno=corewise._core.control_connect(pid)) as peer:  # type: ignore[attr-defined]
        peer.settimeout(60)
        yield peer


def read_line(peer: socket.socket) -> Any:
    text = bytearray()
    while not text.endswith(b"\n"):
        piece = peer.recv(1)
        assert piece, "dropped"
        text += piece
    return json.loads(text)


def test_govern_and_ungovern_from_outside(busy: subprocess.Popen[str]) -> None:
    assert corewise.sample(busy.pid)["ledger"] is None
    answer = ask(busy.pid, "govern", budget=1)
    assert answer["governed"] and answer["report"]["budget"] == 1
    path = answer["report"]["ledger"]["path"]
    try:
        time.sleep(0.5)
        sample = corewise.sample(busy.pid)
        assert sample["governed"] and sample["ledger"]["budget"] == 1
        # A limit and the governor hold together, and end each by itself.
        ask(busy.pid, "limit", limits={"blas": 1})
        assert not ask(busy.pid, "ungovern")["governed"]
        assert pool_of(corewise.sample(busy.pid), "blas")["limit"] == 1
        ask(busy.pid, "restore")
        assert pool_of(corewise.sample(busy.pid), "blas")["limit"] is None
        with pytest.raises(corewise.BadCount, match="budget"):
            ask(busy.pid, "govern", budget=32768)
    finally:
        Path(path).unlink(missing_ok=True)
    assert finish(busy)[1] < 1e-9


def test_openmp_teams_of_every_thread_are_capped(run: Run) -> None:
    pytest.importorskip("sklearn")
    code = """
import corewise, ctypes, os, threading
import sklearn.cluster, numpy as np
gomp = next(p for p in corewise.pools() if p.runtime == "libgomp")
omp = ctypes.CDLL(gomp.path)
omp.omp_set_num_threads(2)
ask = lambda name, **f: corewise.control(os.getpid(), {"request": name, **f})
def workers():
    sklearn.cluster.KMeans(2, n_init=1).fit(np.random.rand(600, 2))
    return next(p for p in corewise.sample()["pools"] if p["runtime"] == "libgomp")["workers"]
(outcome,) = ask("limit", pools={"libgomp": 1})["outcomes"]
found = []
threads = [threading.Thread(target=lambda: found.append(workers())) for _ in range(2)]
for thread in threads: thread.start(); thread.join()
print(found, workers(), omp.omp_get_max_threads(), outcome["reach"])
ask("restore")
print(workers())
"""
    capped, restored = run(code, env={**os.environ, "OMP_NUM_THREADS": "2"}).splitlines()
    assert capped == (
        "[0, 0] 0 1 every thread, from its next region without a num_threads clause on, until the "
        "thread sets a count itself; in libraries that bend, every region"
    )
    assert int(restored) >= 1


def test_libraries_loaded_later_are_capped(run: Run) -> None:
    need_numpy_wheel()
    code = """
import corewise, os
ask = lambda name, **f: corewise.control(os.getpid(), {"request": name, **f})
print(len(ask("limit", limits={"blas": 1})["outcomes"]))
import numpy as np
a = np.ones((500, 500)); a @ a
print([p["limit"] for p in corewise.sample()["pools"] if p["api"] == "blas"])
"""
    assert run(code).splitlines() == ["0", "[1]"]


def test_pools_without_a_gate_are_set_and_set_back(run: Run) -> None:
    code = """
import corewise, ctypes, os
ctypes.CDLL(f"{NATIVE}/stub/libopenblas_stub.so")
ask = lambda name, **f: corewise.control(os.getpid(), {"request": name, **f})
pool = corewise.pools()[0]
before = pool.threads
(outcome,) = ask("limit", limits={"blas": 3})["outcomes"]
print(outcome["after"], pool.threads, outcome["reach"])
(outcome,) = ask("limit", limits={"blas": 10_000})["outcomes"]
print(outcome["after"] == pool.threads == before)
ask("limit", limits={"blas": 2}); ask("restore")
print(pool.threads == before)
"""
    assert run(code).splitlines() == [
        "3 3 the whole process, until the program sets it",
        "True",
        "True",
    ]


def test_workers_are_told_from_the_programs_threads(run: Run) -> None:
    need_numpy_wheel()
    code = """
import corewise, threading, numpy as np
a = np.ones((600, 600)); a @ a
end = threading.Event()
mine = [threading.Thread(target=end.wait) for _ in range(5)]
for thread in mine: thread.start()
s = corewise.sample(each=True)
print([p["threads"] - p["workers"] for p in s["pools"]], s["program"]["total"],
      s["unknown"]["total"], len(s["each"]) == s["threads"]["total"])
end.set()
"""
    # The caller computes as well. The program's threads: the main thread, five, and the socket's.
    assert run(code).strip() == "[1] 7 0 True"


def test_a_sample_of_ourselves() -> None:
    sample = corewise.sample()
    assert sample["pid"] == os.getpid() and sample["threads"]["total"] >= 1
    assert "each" not in sample and sample["budget"]["threads"] >= 1


def test_a_forked_child_has_a_socket_of_its_own(run: Run) -> None:
    code = """
import corewise, os, sys
mine = corewise.control_path()
if (pid := os.fork()) == 0:
    ok = corewise.control_path() not in (mine, None) and corewise.sample(os.getpid())["pid"]
    corewise.control_stop()
    os._exit(0 if ok else 1)
me = os.getpid()
print(os.waitpid(pid, 0)[1], os.path.exists(mine), corewise.sample(me)["pid"] == me)
"""
    assert run(code).strip() == "0 True True"


def test_off_means_off(run: Run) -> None:
    code = """
import corewise, os, threading
print(corewise.control_path(), len(os.listdir("/proc/self/task")))
try: corewise.control_start()
except corewise.NotAvailable as error: print(error)
try: corewise.control(os.getpid(), {"request": "info"})
except corewise.NotAvailable as error: print("has no control socket" in str(error))
"""
    first, second, third = run(code, env={**os.environ, "COREWISE_CONTROL": "off"}).splitlines()
    assert first == "None 1" and "COREWISE_CONTROL=off" in second and third == "True"


def test_the_end_removes_the_socket(run: Run) -> None:
    path = run("import corewise; print(corewise.control_path())").strip()
    assert path and not Path(path).exists()


IDLE = "import corewise, sys; print(corewise.control_path(), flush=True); sys.stdin.read()"


@pytest.fixture
def idle() -> Iterator[tuple[int, Path]]:
    with started(IDLE) as child:
        assert child.stdout is not None
        yield child.pid, Path(child.stdout.readline().strip())


def test_file_and_folder_are_private(idle: tuple[int, Path]) -> None:
    _, path = idle
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_clients_that_hang_or_talk_endlessly_stall_nobody(idle: tuple[int, Path]) -> None:
    pid, _ = idle
    with contextlib.ExitStack() as stack:
        for start in (b"", b'{"request"', b"\x00\xff" * 1000, b"[" * 3000):
            stack.enter_context(connected(pid)).sendall(start)
        endless = stack.enter_context(connected(pid))
        with contextlib.suppress(OSError):
            endless.sendall(b"x" * 100_000)
        flood = stack.enter_context(connected(pid))
        flood.setblocking(False)
        with contextlib.suppress(OSError):
            for _ in range(10_000):
                flood.send(b'{"request":"info"}\n' * 100)
        # More connections than it serves at once: the silent ones give way.
        for _ in range(20):
            stack.enter_context(connected(pid))
        for _ in range(5):
            assert ask(pid, "info")["pid"] == pid
        endless.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert b"4096 bytes" in endless.recv(65536)
            assert endless.recv(65536) == b""


def test_two_clients_at_once(idle: tuple[int, Path]) -> None:
    pid, _ = idle
    with connected(pid) as one, connected(pid) as two:
        for peer in (one, two, two, one):
            peer.sendall(b'{"request":"info"}\n')
        assert [read_line(peer)["pid"] for peer in (two, one, one, two)] == [pid] * 4


@pytest.mark.parametrize(
    "request_, kind, words",
    [
        ({"request": "limit", "limits": {"blas": 0}}, corewise.BadCount, "1 to 32768"),
        ({"request": "limit", "limits": {"blass": 1}}, corewise.UnknownName, "blass"),
        ({"request": "limit", "pools": {"nothing": 1}}, corewise.UnknownName, "nothing"),
        ({"request": "limit"}, corewise.BadValue, "at least one"),
        ({"request": "stop"}, corewise.BadValue, "sample"),
        ({"request": "info", "blas": 1}, corewise.BadValue, "no key"),
    ],
)
def test_what_makes_no_sense_is_refused(
    idle: tuple[int, Path], request_: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        corewise.control(idle[0], request_)


def test_what_is_no_process_or_no_time_is_said_in_our_words() -> None:
    info = {"request": "info"}
    for pid in ("x", 1.5, None, True):
        with pytest.raises(corewise.BadType, match=f"pid={pid!r} is a .*the number of a process"):
            corewise.control(pid, info)  # type: ignore[arg-type]
    with pytest.raises(corewise.BadType, match="is a Array: give the number of a process"):
        corewise.control(Array(), info)  # type: ignore[arg-type]
    with pytest.raises(corewise.BadType, match="pid='x' is a str"):
        corewise.sample("x")  # type: ignore[arg-type]
    for pid in (0, -1, 2**31, 10**30):
        with pytest.raises(ProcessLookupError, match=f"there is no process {pid}"):
            corewise.control(pid, info)
    for timeout in (0, -1, float("nan")):
        with pytest.raises(corewise.BadValue, match="a number of seconds above 0"):
            corewise.control(os.getpid(), info, timeout=timeout)


def test_no_such_process() -> None:
    with pytest.raises(ProcessLookupError, match="4194304"):
        corewise.control(4194304, {"request": "info"})
    with started("import sys; print(1, flush=True); sys.stdin.read()") as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(corewise.NotAvailable, match="no control socket"):
            corewise.control(child.pid, {"request": "info"})


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")


@as_root
def test_another_user_is_refused(idle: tuple[int, Path]) -> None:
    pid, path = idle
    code = f"""
import socket
peer = socket.socket(socket.AF_UNIX)
try: peer.connect({str(path)!r})
except PermissionError: print("no way in")
"""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable]
    done = subprocess.run([*nobody, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "no way in"
    # Even if the folder is opened by mistake, the server checks who calls.
    path.parent.chmod(0o755)
    path.chmod(0o666)
    try:
        code = f"""
import socket
peer = socket.socket(socket.AF_UNIX)
peer.connect({str(path)!r})
peer.sendall(b'{{"request":"info"}}\\n')
print(peer.recv(4096).decode())
"""
        done = subprocess.run([*nobody, "-c", code], capture_output=True, text=True, check=False)
    finally:
        path.parent.chmod(0o700)
    assert "pools" not in done.stdout
    assert "not permitted" in done.stdout or "Broken" in done.stderr or "reset" in done.stderr
    assert ask(pid, "info")["pid"] == pid


@as_root
@pytest.mark.parametrize("what", ["open", "link", "foreign", "file"])
def test_a_folder_that_is_not_ours_is_not_used(run: Run, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "corewise"
    make: dict[str, Callable[[], object]] = {
        "open": lambda: (folder.mkdir(), folder.chmod(0o777)),
        "link": lambda: folder.symlink_to("/tmp"),
        "foreign": lambda: (folder.mkdir(0o700), os.chown(folder, 65534, 65534)),
        "file": folder.touch,
    }
    make[what]()
    code = "import corewise; print(corewise.control_path())"
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    assert run(code, env=env).startswith(f"/tmp/corewise-{os.geteuid()}/")


def test_the_runtime_folder_is_used(run: Run, tmp_path: Path) -> None:
    code = "import corewise; print(corewise.control_path())"
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    assert run(code, env=env).startswith(f"{tmp_path}/corewise/")


def test_a_socket_left_by_a_killed_process_is_replaced(run: Run, tmp_path: Path) -> None:
    code = """
import corewise, os, sys
if len(sys.argv) > 1: os.kill(os.getpid(), 9)
os.execv(sys.executable, [sys.executable, "-c", "import corewise; print(corewise.control_path())"])
"""
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    # exec keeps the pid, and runs no destructor: the file is still there.
    assert run(code, env=env).startswith(f"{tmp_path}/corewise/")


def test_signals_go_to_the_program(run: Run) -> None:
    code = f"""
import corewise, os, signal, threading
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append(threading.current_thread().name))
os.kill(os.getpid(), {int(signal.SIGUSR1)})
mask = [line for tid in os.listdir("/proc/self/task")
        for line in open(f"/proc/self/task/{{tid}}/status") if line.startswith("SigBlk")]
print(got, sorted(mask)[-1].split()[1] > "f")
"""
    assert run(code).strip() == "['MainThread'] True"


OWN_POOL = """
#include <atomic>
#include <thread>
static std::atomic<bool> done{false};
static std::thread *worker;
extern "C" void start() { worker = new std::thread([] { while (!done) {} }); }
extern "C" void stop() { done = true; worker->join(); delete worker; }
"""


@pytest.mark.parametrize(
    ("name", "library"),
    [("libduckdb.so", "duckdb"), ("_polars_runtime.abi3.so", "polars"), ("libmine.so", None)],
)
def test_a_library_that_is_no_runtime_is_seen_by_its_threads(
    run: Run, tmp_path: Path, name: str, library: str | None
) -> None:
    source, made = tmp_path / "pool.cpp", tmp_path / name
    source.write_text(OWN_POOL)
    # libstdc++ runs the thread's function, as in wheels that do not carry it inside.
    subprocess.run(["g++", "-shared", "-fPIC", "-O1", source, "-o", made, "-pthread"], check=True)
    code = f"""
import corewise, ctypes, json
pool = ctypes.CDLL({str(made)!r})
pool.start()
sample = corewise.sample(each=True)
print(json.dumps([sample["libraries"], [t["module"] for t in sample["each"]]]))
pool.stop()
print(json.dumps(corewise.sample()["libraries"]))
"""
    during, later = (json.loads(line) for line in run(code).splitlines())
    libraries, modules = during
    assert str(made) in modules
    seen = [(one["library"], one["path"], one["workers"], one["running"]) for one in libraries]
    assert seen == ([(library, str(made), 1, 1)] if library else [])
    assert later == []


def test_the_end_calls_no_wrapper_whose_library_has_ended(native: Path) -> None:
    """As under faketime, whose destructor runs before ours."""
    done = subprocess.run(
        [sys.executable, "-c", "import corewise; corewise.info(); print(corewise.control_path())"],
        env={**os.environ, "LD_PRELOAD": str(native / "libends_early.so")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not Path(done.stdout.strip()).exists()
