"""`corewise top` in a real terminal, with a process whose answers never change."""

import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from conftest import CLEAN, need

pytestmark = [
    need("tmux"),
    need("setpriv"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be alone as somebody else"),
]

# A process with a control socket of its own making, of a user who has no other.
SERVER = r"""
import json, os, socket, sys
folder = sys.argv[1] + "/corewise"
os.mkdir(folder, 0o700)
server = socket.socket(socket.AF_UNIX)
server.bind(f"{folder}/{os.getpid()}.sock")
server.listen()
state = {"limit": None, "governed": False}
def pool(id, runtime, path, limit):
    return {"id": id, "api": "blas" if id else "openmp", "runtime": runtime, "path": path,
            "allowed": limit or 4, "limit": limit, "workers": 3, "running": 1, "spinning": None,
            "cpu_s": 5.0, "delay_s": 1.0}
def answer(request):
    name = request["request"]
    if name == "limit":
        if request["limits"].get("blas") == 13:
            return {"error": {"status": 2, "kind": "bad count", "message": "thirteen is bad luck"}}
        if "numba" in request["limits"]:
            return {"outcomes": [{"runtime": "numba", "reason": "it cannot be set from outside"}]}
        if "tbb" in request["limits"]: return {"outcomes": []}
        state["limit"] = request["limits"]["blas"]
        return {"outcomes": [{"runtime": "openblas", "reason": ""}]}
    if name == "restore": state["limit"] = None
    if name in ("govern", "ungovern"): state["governed"] = name == "govern"
    return {"schema_version": 1, "pid": os.getpid(), "governed": state["governed"],
            "outcomes": [], "throttled": None,
            "threads": {"total": 9, "running": 64, "cpu_s": 20.0, "delay_s": 2.0},
            "pools": [pool(0, "libgomp", "/opt/lib/libgomp.so.1", None),
                      pool(1, "openblas", "/opt/lib/libopenblas.so.0", state["limit"])]}
print("ready", flush=True)
while True:
    peer, _ = server.accept()
    with peer, peer.makefile("rw") as lines:
        for line in lines:
            lines.write(json.dumps(answer(json.loads(line))) + "\n")
            lines.flush()
"""
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture
def fake(tmp_path):
    folder = Path("/tmp") / f"corewise-top-{uuid.uuid4().hex[:12]}"
    folder.mkdir(mode=0o755)
    os.chown(folder, 65534, 65534)
    words = [*NOBODY, sys.executable, "-c", SERVER, str(folder)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
        yield child.pid, folder
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        subprocess.run(["rm", "-rf", str(folder)], check=True)


class Terminal:
    def __init__(self, program, folder, columns, rows):
        self.tmux = ["tmux", "-L", f"corewise-{uuid.uuid4().hex[:12]}", "-f", "/dev/null"]
        env = CLEAN | {"XDG_RUNTIME_DIR": str(folder)}
        words = [*self.tmux, "new-session", "-d", "-x", str(columns), "-y", str(rows)]
        line = " ".join([*NOBODY, str(program), "top", "--interval", "0.2"])
        subprocess.run([*words, f"{line}; echo ended $?; sleep 100"], env=env, check=True)

    def keys(self, *keys):
        subprocess.run([*self.tmux, "send-keys", *keys], env=CLEAN, check=True)

    def resize(self, columns, rows):
        size = ["-x", str(columns), "-y", str(rows)]
        subprocess.run([*self.tmux, "resize-window", *size], env=CLEAN, check=True)

    def screen(self, *options):
        words = [*self.tmux, "capture-pane", "-p", *options]
        return subprocess.run(words, capture_output=True, text=True, env=CLEAN).stdout

    def wait(self, *words):
        """The screen once it holds all these words."""
        for _ in range(200):
            seen = self.screen()
            if all(word in seen for word in words):
                return seen
            time.sleep(0.05)
        raise AssertionError(f"{words} never came:\n{seen}")

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], env=CLEAN, capture_output=True)


@pytest.fixture
def open_top(program, fake):
    opened = []

    def open_one(columns=80, rows=24):
        opened.append(Terminal(program, fake[1], columns, rows))
        return opened[-1]

    yield open_one
    for terminal in opened:
        terminal.close()


def stable(screen, pid):
    """Without what differs between machines and moments."""
    screen = screen.replace(f"{pid:>7}", "    PID").replace(f"{pid:<8}", "PID     ")
    screen = re.sub(r"budget [\d.]+ CPUs", "budget N CPUs", screen)
    screen = re.sub(r"\d+ more threads? runs?", "N more threads run", screen)
    return re.sub(r"(?m)^(>.* )/.*$", r"\1COMMAND", screen)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_screen(open_top, fake, golden, columns):
    seen = open_top(columns).wait("OVERSUBSCRIBED", "libopenblas.so.0")
    assert len(seen.splitlines()) == 24
    assert all(len(line) <= columns for line in seen.splitlines())
    golden(f"top-{columns}.txt", stable(seen, fake[0]))


def test_keys(open_top):
    top = open_top()
    top.wait("libopenblas.so.0")
    top.keys("l")
    top.wait("limit", "(blas=N openmp=N): _")
    top.keys("blas=3x", "BSpace", "Enter")
    top.wait("limited", "to blas=3", " blas=3 ")
    top.keys("l", "blas=13", "Enter")
    top.wait("thirteen is bad luck")
    top.keys("l", "tbb=2", "Enter")
    top.wait("tbb=2: no such pool is loaded yet, those to come get it")
    top.keys("l", "numba=2", "Enter")
    top.wait("numba: it cannot be set from outside")
    top.keys("l", "nonsense", "Enter")
    top.wait("'nonsense' is no NAME=N")
    top.keys("l", "blas=1", "Escape")
    top.keys("u")
    assert " blas=" not in top.wait("undid the limits").replace("(blas=", "")
    top.keys("g")
    assert "is governed" in top.wait("is governed")
    top.keys("g")
    top.wait("is not governed")
    top.keys("j", "k", "Up", "Down", "x")
    top.keys("q")
    assert "ended 0" in top.wait("ended 0")
    assert "corewise top" not in top.screen()


def test_another_size(open_top):
    top = open_top()
    top.wait("libopenblas.so.0")
    top.resize(50, 12)
    seen = top.wait("corewise top")
    for _ in range(100):
        seen = top.screen()
        if max(map(len, seen.splitlines())) <= 50 and "q quit" not in seen:
            break
        time.sleep(0.05)
    assert len(seen.splitlines()) == 12 and "PID" in seen


@pytest.mark.parametrize(("columns", "rows"), [(20, 5), (30, 8)])
def test_a_tiny_terminal(open_top, columns, rows):
    top = open_top(columns, rows)
    for _ in range(200):
        seen = top.screen()
        if seen.startswith("core"):
            break
        time.sleep(0.05)
    lines = seen.splitlines()
    assert re.fullmatch("corewise top   budg.*…", lines[0]) and len(lines[0]) == columns
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
    assert "\x1b[1;31mOVERSUBSCRIBED" in coloured
