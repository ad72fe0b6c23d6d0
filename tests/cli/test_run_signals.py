"""With --report corewise waits for the program, as if it were not in between."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time

import pytest
from conftest import CLEAN

# Sleeps are short, for a signal between Python's last look and the system call waits for their end.
LISTENER = """
import os, signal, sys, time
def told(number, frame):
    # print() fails if the next signal comes while it still flushes.
    os.write(1, signal.Signals(number).name.encode() + b"\\n")
    if number in (signal.SIGTERM, signal.SIGINT): sys.exit(9)
for name in ("INT", "TERM", "HUP", "QUIT", "USR1", "USR2"):
    signal.signal(getattr(signal, "SIG" + name), told)
print("ready", flush=True)
while True: time.sleep(0.05)
"""


@pytest.fixture
def started(program):
    """A listener below `run --report`, ready; in a job of its own, as a shell would have it."""
    child = subprocess.Popen(
        [program, "run", "-q", "--report", "--", sys.executable, "-c", LISTENER],
        env=CLEAN, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=os.setpgrp,  # noqa: PLW1509
    )  # fmt: skip
    assert child.stdout.readline() == "ready\n"
    yield child
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def state_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def wait_for(pid, state):
    for _ in range(500):
        if state_of(pid) == state:
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} is {state_of(pid)}, not {state}")


def child_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return int(children.read().split()[0])


def test_signals_reach_the_program(started):
    for name in ("HUP", "QUIT", "USR1", "USR2"):
        started.send_signal(getattr(signal, "SIG" + name))
        assert started.stdout.readline() == f"SIG{name}\n"
    started.terminate()
    out, err = started.communicate(timeout=30)
    assert out == "SIGTERM\n" and started.returncode == 9
    assert err.startswith("corewise: report:") and "exit code 9" in err


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV"])
def test_it_ends_as_the_program_did(corewise, name):
    done = corewise("run", "-q", "--report", "--", "sh", "-c", f"kill -{name[3:]} $$")
    assert done.returncode == -getattr(signal, name)
    assert f"killed by signal {int(getattr(signal, name))}" in done.stderr


def test_stopped_and_continued(started):
    program = child_of(started.pid)
    started.send_signal(signal.SIGTSTP)
    wait_for(program, "T")
    wait_for(started.pid, "T")
    started.send_signal(signal.SIGCONT)
    wait_for(started.pid, "S")
    wait_for(program, "S")
    started.send_signal(signal.SIGUSR1)
    assert started.stdout.readline() == "SIGUSR1\n"


def test_killed_it_leaves_no_program_behind(started):
    program = child_of(started.pid)
    started.kill()
    assert started.wait(timeout=30) == -signal.SIGKILL
    for _ in range(500):
        # Whoever is its new parent may not have fetched its status yet.
        if not os.path.exists(f"/proc/{program}") or state_of(program) == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"{program} runs on")


def test_whoever_stops_the_program_alone_continues_it_alone(started):
    program = child_of(started.pid)
    os.kill(program, signal.SIGSTOP)
    wait_for(program, "T")
    time.sleep(0.1)
    wait_for(started.pid, "S")
    os.kill(program, signal.SIGCONT)
    started.terminate()
    assert started.communicate(timeout=30)[0] == "SIGTERM\n" and started.returncode == 9


def test_ignored_signals_stay_ignored(program):
    child = subprocess.Popen(
        ["sh", "-c", f"trap '' HUP CHLD; exec {program} run -q --report -- sh -c "
         "'echo ready; sleep 0.3; kill -HUP $$; exit 4'"],
        env=CLEAN, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    child.stdout.readline()
    child.send_signal(signal.SIGHUP)
    child.communicate(timeout=30)
    assert child.returncode == 4


def test_the_terminals_interrupt_comes_once_and_the_terminal_stays(program):
    code = LISTENER.replace("sys.exit(9)", "print(input()); sys.exit(9)")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(
            program, ["corewise", "run", "-q", "--report", "--", sys.executable, "-c", code], CLEAN
        )
    seen = b""

    def until(word):
        nonlocal seen
        while word not in seen:
            seen += os.read(terminal, 1000)

    until(b"ready")
    os.write(terminal, b"\x03")
    until(b"SIGINT")
    time.sleep(0.2)
    os.write(terminal, b"typed\n")
    until(b"exit code 9")
    status = os.waitpid(pid, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 9
    seen = seen.partition(b"corewise: report")[0]
    assert seen.count(b"SIGINT") == 1 and b"typed\r\ntyped" in seen
    os.close(terminal)


def test_bytes_that_are_no_text(program):
    done = subprocess.run(
        [program, "run", "-q", "--report=json", "--", "sh", "-c", "true", b"\xff\xfe"],
        env=CLEAN, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0 and rb"\udcff\udcfe" in done.stderr


@pytest.mark.parametrize("report", ["--report", "--report=json"])
def test_the_exit_code_is_passed_on_though_nobody_can_read_the_report(program, report):
    command = [program, "run", report, "--", "sh", "-c", "exit 7"]
    with open("/dev/full", "w") as full:
        assert subprocess.run(command, env=CLEAN, stderr=full).returncode == 7
    reads, writes = os.pipe()
    os.close(reads)
    with open(writes, "w") as broken:
        quiet = [program, "run", "-q", *command[2:]]
        assert subprocess.run(quiet, env=CLEAN, stderr=broken).returncode == 7


def test_the_program_starts_though_nobody_can_read_what_was_set(program):
    command = [program, "run", "--json", "--", "sh", "-c", "exit 7"]
    with open("/dev/full", "w") as full:
        assert subprocess.run(command, env=CLEAN, stderr=full).returncode == 7
