"""`corewise top` in a real terminal, with a process whose answers never change."""

import contextlib
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from conftest import CLEAN, need
from terminal import Terminal

pytestmark = [
    need("tmux"),
    need("setpriv"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be alone as somebody else"),
]

# A process with a control socket of its own making, of a user who has no other. It says that it
# used so many CPUs, and that so many threads were delayed, all the time.
SERVER = r"""
import json, os, socket, sys, time
folder, cpu, delay, kind = sys.argv[1] + "/corewise", *map(float, sys.argv[2:4]), sys.argv[4]
os.makedirs(folder, 0o700, exist_ok=True)
server = socket.socket(socket.AF_UNIX)
server.bind(f"{folder}/{os.getpid()}.sock")
server.listen(1 if kind == "silent" else 128)
state = {"limit": None, "governed": False}
def times(now, share=1):
    return {"cpu_s": cpu * share * now, "delay_s": delay * share * now}
def pool(now, id, runtime, path, limit):
    return {"id": id, "api": "blas" if id else "openmp", "runtime": runtime, "path": path,
            "allowed": limit or 4, "limit": limit, "workers": 3, "running": 1, "spinning": None,
            **times(now, 0.5)}
def answer(request):
    name = request["request"]
    if name == "limit":
        if request["limits"].get("blas") == 13:
            return {"error": {"status": 2, "kind": "bad count", "message": "thirteen is bad luck"}}
        if "numba" in request["limits"]:
            return {"outcomes": [{"runtime": "numba", "reason": "it cannot be set from outside"}]}
        absent = [name for name in request["limits"] if name != "blas"]
        if "blas" not in request["limits"]: return {"outcomes": [], "not_loaded": absent}
        state["limit"] = request["limits"]["blas"]
        return {"outcomes": [{"runtime": "openblas", "reason": ""}], "not_loaded": absent}
    if name == "restore": state["limit"] = None
    if name in ("govern", "ungovern"): state["governed"] = name == "govern"
    now = time.monotonic()
    return {"schema_version": 1, "pid": os.getpid(), "governed": state["governed"],
            "time_s": now, "outcomes": [], "throttled": None,
            "threads": {"total": 9, "running": round(cpu + delay), **times(now)},
            "pools": [pool(now, 0, "libgomp", "/opt/lib/libgomp.so.1", None),
                      pool(now, 1, "openblas", "/opt/lib/libopenblas.so.0", state["limit"])]}
print("ready", flush=True)
if kind == "busy":  # and silent
    import hashlib, threading
    work = lambda: hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2**31 - 1)
    for _ in range(2 * os.cpu_count()): threading.Thread(target=work, daemon=True).start()
while kind in ("silent", "busy"): time.sleep(60)
while True:
    peer, _ = server.accept()
    with peer, peer.makefile("rw") as lines:
        for line in lines:
            lines.write(json.dumps(answer(json.loads(line))) + "\n")
            lines.flush()
"""
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture
def folder():
    folder = Path("/tmp") / f"corewise-top-{uuid.uuid4().hex[:12]}"
    folder.mkdir(mode=0o755)
    os.chown(folder, 65534, 65534)
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.fixture
def start(folder):
    """Starts a process, of a script of that name or of `-c`; gives its pid."""
    children = []

    def start_one(cpu=4.0, delay=60.0, *, kind="answers", script="train.py", env=None, more=()):
        if script:
            (folder / script).write_text(SERVER)
        code = [str(folder / script)] if script else ["-c", SERVER]
        words = [*NOBODY, sys.executable, *code, str(folder), str(cpu), str(delay)]
        children.append(
            subprocess.Popen(
                [*words, kind, *more], stdout=subprocess.PIPE, text=True, env=CLEAN | (env or {})
            )
        )
        assert children[-1].stdout.readline() == "ready\n"
        return children[-1].pid

    yield start_one
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.fixture
def fake(start, folder):
    return start(), folder


@pytest.fixture
def open_top(program, folder):
    opened = []

    def open_one(columns=80, rows=24):
        line = " ".join([*NOBODY, str(program), "top", "--interval", "0.2"])
        env = CLEAN | {"XDG_RUNTIME_DIR": str(folder)}
        opened.append(Terminal(f"{line}; echo ended $?", env, columns, rows))
        return opened[-1]

    yield open_one
    for terminal in opened:
        terminal.close()


def stable(screen, pid):
    """Without what differs between machines and moments."""
    screen = screen.replace(f"Pools of {pid:<8}", "Pools of PID     ")
    screen = screen.replace(f"{pid:>7}", "    PID")
    screen = re.sub(r"/tmp/corewise-top-\w+", "/tmp/FOLDER", screen)
    screen = re.sub(r"(?m)^[█·]*┃[█·]*  ", "BAR  ", screen)
    screen = re.sub(rf"\b{pid}\b", "PID", screen)
    return re.sub(r"you have [\d.]+ CPUs?\.", "you have N CPUs.", screen)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_screen(open_top, fake, golden, columns):
    seen = open_top(columns, 20).wait("TOO MANY: 64 threads are", "libop", " 6000 ")
    assert len(seen.splitlines()) == 20
    assert all(len(line) <= columns for line in seen.splitlines())
    golden(f"top-{columns}.txt", stable(seen, fake[0]))


def test_keys(open_top, fake):
    top = open_top()
    top.wait("libopenblas.so.0")
    top.keys("l")
    top.wait("limit", "(blas=N openmp=N): _")
    top.keys("blas=3x", "BSpace", "Enter")
    top.wait("limited", "to blas=3", " blas=3 ")
    top.keys("l", "blas=13", "Enter")
    top.wait("thirteen is bad luck")
    top.keys("l", "tbb=2", "Enter")
    top.wait("tbb: no such pool is loaded now; the limit applies when one loads")
    top.keys("l", "blas=3 arrow=2", "Enter")
    top.wait("arrow: no such pool is loaded now", " blas=3 ")
    top.keys("l", "--tbb 2, --arrow=3", "Enter")
    top.wait("tbb, arrow: no such pool is loaded now")
    top.keys("l", "numba=2", "Enter")
    top.wait("numba: it cannot be set from outside")
    top.keys("l", "nonsense", "Enter")
    top.wait("'nonsense' is not NAME=N")
    top.keys("l", "blas=3x", "Enter")
    top.wait("'blas=3x': blas takes a whole number from 1 to")
    top.keys("l", "blas=1", "Escape")
    top.keys("u")
    assert " blas=" not in top.wait("undid the limits").replace("(blas=", "")
    top.keys("g")
    assert "is governed" in top.wait("is governed")
    top.keys("/", "zzz", "Enter")
    top.wait("No process matches")
    top.keys("l", "g", "u")  # none is shown: nothing to do
    top.keys("Escape")
    top.wait("libopenblas.so.0")
    assert "is not governed" not in top.screen() and "blas=N" not in top.screen()
    top.keys("g")
    top.wait("is not governed")
    top.keys("j", "k", "Up", "Down", "x")
    top.keys("F2")  # ends in a Q
    top.keys("?")
    top.wait("SPIN     workers that run", "Any key goes back")
    top.keys("q")
    top.wait("libopenblas.so.0")
    top.keys("q")
    assert "ended 0" in top.wait("ended 0")
    assert "corewise top" not in top.screen()


@pytest.mark.parametrize("key", ["g", "u"])
def test_a_process_that_nobody_chose_is_not_changed(open_top, fake, key):
    """Which one is first may have changed as the key was pressed."""
    top = open_top()
    top.wait("libopenblas.so.0")
    top.keys(key)
    top.wait(
        f"press again to {'govern' if key == 'g' else 'undo the limits of'} {fake[0]} train.py"
    )
    top.keys(key)
    top.wait("is governed" if key == "g" else "undid the limits")


def test_the_help_scrolls_where_it_has_no_room(open_top, fake):
    top = open_top(40, 16)
    top.wait("libop")
    top.keys("?")
    seen = top.wait("More of this: down, up")
    assert "...\n" not in seen and "…" not in seen
    top.keys("Down")
    top.wait("More of this", "show only some")
    top.keys(*["NPage"] * 8)
    assert "up down, k j" not in top.wait("Any key goes back.")
    top.keys(*["PPage"] * 8)
    top.wait("up down, k j", "More of this")
    top.keys("x")
    top.wait("libop")


def test_ctrl_z_gives_the_terminal_back(open_top, fake):
    top = open_top()
    top.wait("libopenblas.so.0")
    (pid,) = [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit()
        and (folder / "cmdline").read_bytes().endswith(b"corewise\0top\0--interval\x000.2\0")
        and str(fake[1]).encode() in (folder / "environ").read_bytes()
    ]
    top.keys("C-z")
    end = time.monotonic() + 20
    while "corewise top" in top.screen() and time.monotonic() < end:
        time.sleep(0.05)
    assert "corewise top" not in top.screen()
    os.killpg(os.getpgid(pid), signal.SIGCONT)
    top.wait("libopenblas.so.0")
    top.keys("q")
    top.wait("ended 0")


def test_a_stopped_process_holds_nothing_up(open_top, start, corewise, folder):
    """Nor one that runs and does not answer: each was enough to freeze the screen."""
    stopped, silent = start(script="stopped.py"), start(kind="silent", script="silent.py")
    start(script="lively.py")
    os.kill(stopped, signal.SIGSTOP)
    top = open_top(120)
    top.wait("[stopped] stopped.py", "[no answer for ", " s] silent.py", " lively.py")
    top.keys("End", "g")
    top.keys("q")
    top.wait("ended 0")
    env = {"XDG_RUNTIME_DIR": str(folder)}
    for pid, says in ((stopped, f"is stopped. It answers after: kill -CONT {stopped}"),):
        done = corewise("limit", "--pid", str(pid), "--blas", "1", env=env, timeout=20)
        assert done.returncode == 1 and says in done.stderr, done.stderr
        assert corewise("info", "--pid", str(pid), env=env, timeout=20).returncode == 0
    assert corewise("info", "--pid", str(silent), env=env, timeout=20).returncode == 0


@pytest.mark.parametrize("columns", [44, 80])
def test_how_a_stopped_process_goes_on_is_never_cut_off(open_top, start, columns):
    stopped = start(script="stopped.py")
    os.kill(stopped, signal.SIGSTOP)
    seen = open_top(columns).wait("kill -CONT")
    assert f"To go on: kill -CONT {stopped}\n" in seen


def test_a_process_in_a_debugger_is_not_called_stopped(open_top, start, corewise, folder):
    """kill -CONT does not help there."""
    attach, detach = 16, 17
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    pid = start(script="held.py")
    if libc.ptrace(attach, pid, None, None) != 0:
        pytest.skip(f"no ptrace here: {os.strerror(ctypes.get_errno())}")
    os.waitpid(pid, 0)
    try:
        seen = open_top(100).wait("[debugged] held.py", f"A debugger holds process {pid}.")
        assert "CONT" not in seen
        env = {"XDG_RUNTIME_DIR": str(folder)}
        done = corewise("limit", "--pid", str(pid), "--blas", "1", env=env, timeout=20)
        assert f"process {pid} cannot answer while a debugger holds it" in done.stderr
    finally:
        libc.ptrace(detach, pid, None, None)


def test_who_calls_never_waits_at_a_full_queue(start, corewise, folder):
    silent = start(kind="silent")
    path = str(folder / "corewise" / f"{silent}.sock")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(BlockingIOError):
            while True:
                caller = stack.enter_context(socket.socket(socket.AF_UNIX))
                caller.setblocking(False)
                caller.connect(path)
        env = {"XDG_RUNTIME_DIR": str(folder)}
        done = corewise("limit", "--pid", str(silent), "--blas", "1", env=env, timeout=20)
    assert done.returncode == 1 and "does not answer: its queue of callers is full" in done.stderr


def rows_of(screen):
    """The names in the list, in order, and the selected one."""
    rows = re.findall(r"(?m)^([> ]) +\d+ .* (\w+\.py) ", screen)
    return [name for _, name in rows], [name for mark, name in rows if mark == ">"]


def test_the_busiest_comes_first(open_top, start):
    start(0, 0, script="idle.py")
    start(0.5, 0.1, script="calm.py")
    start(0.4, 5, script="busy.py")
    top = open_top(120)
    top.wait("500 ", " 40 ")
    seen = rows_of(top.wait("idle.py"))
    assert seen == (["busy.py", "calm.py", "idle.py"], ["busy.py"])
    top.keys("s")
    top.wait("sorted by CPU time")
    for name, words in (("calm.py", "by CPU time"), ("busy.py", "by name")):
        while f"by {words[3:]}" not in top.screen():
            top.keys("s")
            time.sleep(0.3)
        assert rows_of(top.screen())[0][0] == name


def test_filter_and_scroll(open_top, start):
    for number in range(12):
        start(12 - number, 0, script=f"job{number}.py")
    top = open_top(80, 16)
    top.wait("more below", "job0.py")
    assert "job11.py" not in top.screen()
    top.keys("End")
    assert rows_of(top.wait("more above", "job11.py"))[1] == ["job11.py"]
    top.keys("PgUp")
    top.wait("> ", "more above, ")
    top.keys("Home")
    assert rows_of(top.wait("job0.py"))[1] == ["job0.py"]
    top.keys("/", "JOB11", "Enter")
    seen = top.wait("'JOB11': 1 of 12")
    assert rows_of(seen) == (["job11.py"], ["job11.py"]) and "more below" not in seen
    top.keys("/", "x")
    top.wait("No process matches")
    top.keys("Escape")
    top.wait("more below")


def test_code_of_the_command_line_is_one_line(open_top, start):
    start(script=None)
    open_top(120).wait(f"{Path(sys.executable).name} -c import json, os, socket, sys, time folder,")


def test_notebooks_have_names(open_top, start, folder):
    env = {"JPY_SESSION_NAME": "/home/me/analysis.ipynb"}
    start(script="kernel.py", env=env, more=["-f", str(folder / "kernel-1.json")])
    start(script="child.py", env=env)
    top = open_top(120)
    seen = top.wait("analysis.ipynb\n", "child.py ")
    assert " analysis.ipynb: child.py /tmp" in seen


def test_others_take_the_cpus(open_top, start):
    """One thread that is ready and has no CPU half of the time: too many is what it is not."""
    start(0.5, 0.5)
    work = "while True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", work]) for _ in range(os.cpu_count() + 1)]
    try:
        seen = open_top().wait("Others take the CPUs: they keep", "wait 50 % of the time")
        assert "TOO MANY" not in seen and "All fits" not in seen
    finally:
        for child in busy:
            child.kill()
            child.wait()


def test_the_picture_names_cause_and_cure(program, start, folder):
    pids = [start(0.5, 3.5) for _ in range(os.cpu_count() + 1)]
    words = [*NOBODY, program, "top", "--once"]
    env = CLEAN | {"XDG_RUNTIME_DIR": str(folder)}
    seen = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60).stdout
    count = len(pids)
    says = rf"{count} processes . 4 Open(MP|BLAS) threads = {4 * count} threads for"
    assert re.search(says, seen), seen
    cure = (
        f"What to do: corewise govern --pid {pids[0]}; do so for each, or start them with "
        "corewise run"
    )
    assert cure in " ".join(seen.split())
    # A letter for each thread, and the line of the CPUs among them.
    each = 2 * count
    assert re.search(rf"(?m)^[BO]*┃[BO]*  B BLAS {each}.0  O OpenMP {each}.0$", seen), seen
    env = env | {"LC_ALL": "C"}
    plain = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60).stdout
    assert plain.isascii() and f"{count} processes x 4 Open" in plain


def test_what_does_not_answer_gets_no_advice(program, start, folder):
    words = [*NOBODY, program, "top", "--once"]
    env = CLEAN | {"XDG_RUNTIME_DIR": str(folder)}

    def seen():
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60)
        return " ".join(done.stdout.split())

    start(kind="busy", script="silent.py")
    assert "TOO MANY" in (alone := seen()) and "silent.py" in alone
    assert "What to do" not in alone
    pid = start(0.5, 2, script="lively.py")
    assert f"What to do: corewise govern --pid {pid}; do so for each" in seen()


def test_the_last_minute_is_drawn(open_top, start):
    start(0.5, 7.5)
    top = open_top(100, 40)
    for _ in range(100):
        seen = top.wait("a minute ago", "now")
        bottom = re.search(r"(?m)^ *(?:\d+ CPUs? )?([ ▁-█┄]*)\n *a minute ago", seen).group(1)
        if bottom.endswith("███"):
            break
        time.sleep(0.1)
    assert bottom.endswith("███") and re.search(r"(?m)^\d+ CPUs? +[┄▁-█]", seen)


def test_json_names_and_marks(program, start, folder):
    pid = start(kind="silent")
    words = [*NOBODY, program, "top", "--json"]
    env = CLEAN | {"XDG_RUNTIME_DIR": str(folder)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60)
    view = json.loads(done.stdout)
    (one,) = view["processes"]
    assert (one["pid"], one["answers"], one["stopped"]) == (pid, False, False)
    assert one["name"].startswith("train.py /tmp") and one["silent_s"] > 0.4
    assert view["others_ready"] >= 0 and view["ready"] < 1


def test_another_size(open_top, fake):
    top = open_top()
    top.wait("libopenblas.so.0")
    top.resize(50, 12)
    for _ in range(100):
        seen = top.screen()
        if max(map(len, seen.splitlines())) <= 50 and "up/down" not in seen:
            break
        time.sleep(0.05)
    assert len(seen.splitlines()) == 12 and "PID" in seen and "q quit" in seen


def test_the_help_is_folded_where_there_are_rows_for_it(open_top, fake):
    top = open_top(40, 42)
    top.wait("TOO MANY")
    top.keys("?")
    seen = " ".join(top.wait("RUN      threads that run now, or would", "Any key goes").split())
    assert "or would if there were a free CPU" in seen


@pytest.mark.parametrize(("columns", "rows"), [(20, 5), (30, 8)])
def test_a_tiny_terminal(open_top, fake, columns, rows):
    top = open_top(columns, rows)
    for _ in range(200):
        seen = top.screen()
        if seen.startswith("TOO MANY"):
            break
        time.sleep(0.05)
    lines = seen.splitlines()
    assert lines[0].startswith("TOO MANY: 64 thread") and len(lines[0]) <= columns
    assert "q quit" in lines[-1]
    assert len(lines) == rows
    top.keys("l", "q")  # typed, as a limit
    top.wait("limit ")


def test_a_terminal_that_cannot_be_drawn_on(program, fake):
    for kind in ("dumb", ""):
        line = f"TERM={kind} {program} top"
        words = ["script", "-qec", line, "/dev/null"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and "cannot be drawn on (TERM)" in done.stdout
        assert "\x1b" not in done.stdout


def test_no_colour_where_it_is_not_wanted(program, fake):
    env = CLEAN | {"XDG_RUNTIME_DIR": str(fake[1])}
    words = [*NOBODY, program, "top", "--once"]
    plain = subprocess.run(words, env=env, capture_output=True, text=True).stdout
    assert "\x1b" not in plain and str(fake[0]) in plain
    coloured = subprocess.run(
        [*words, "--color=always"], env=env, capture_output=True, text=True
    ).stdout
    assert "\x1b[1;31mTOO MANY" in coloured
