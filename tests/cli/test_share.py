"""Users who share the machine: what opts in, and two real users side by side."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from conftest import CLEAN, need

PYTHON = "/usr/bin/python3"  # one that every user may run
USERS = (54321, 54322)

# Teams that sleep: no other hint than the page says that somebody else asks.
TEAMS = """
#include <omp.h>
#include <unistd.h>
int team(int threads, int ms) {
  int size = 0;
#pragma omp parallel num_threads(threads)
  {
#pragma omp single nowait
    size = omp_get_num_threads();
    usleep(1000 * ms);
  }
  return size;
}
"""
DRIVER = """
import ctypes, sys, time
team = ctypes.CDLL(sys.argv[1]).team
while True:
    print(time.monotonic(), team(2, int(sys.argv[2])), flush=True)
    time.sleep(0.01)
"""

only_two_users = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become two users"),
    pytest.mark.skipif((os.cpu_count() or 1) != 2, reason="the numbers are those of two CPUs"),
    need("setpriv"),
    need("gcc"),
]


def share(corewise, *words, env=None, cwd=None):
    done = corewise("run", "-q", *words, "--", "sh", "-c", "echo $COREWISE_SHARE", env=env, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def pages():
    return {path.name for path in Path("/dev/shm").glob("corewise-machine-*")}


def test_the_closer_one_wins(corewise, tmp_path):
    (tmp_path / "corewise.toml").write_text('[govern]\nshare = "machine"\n')
    assert share(corewise, cwd=tmp_path) == "machine"
    assert share(corewise, cwd=tmp_path, env={"COREWISE_SHARE": "user"}) == "user"
    both = {"COREWISE_SHARE": "user"}
    assert share(corewise, "--share", "machine", cwd=tmp_path, env=both) == "machine"
    assert share(corewise, "--share", "user", cwd=tmp_path) == "user"
    assert share(corewise) == ""


@pytest.mark.parametrize("bad", ["", "all", "Machine"])
def test_bad_words_are_refused(corewise, bad):
    done = corewise("run", f"--share={bad}" if bad else "--share", *([] if bad else [""]), "true")
    assert done.returncode == 2 and "--share" in done.stderr


def test_it_is_about_governing(corewise):
    done = corewise("run", "--no-govern", "--share", "machine", "--", "true")
    assert done.returncode == 2 and "--share" in done.stderr


def test_a_bad_variable_is_a_finding(corewise):
    done = corewise("run", "--report=json", "--", "true", env={"COREWISE_SHARE": "all"})
    (finding,) = json.loads(done.stderr.splitlines()[-1])["findings"]
    assert "COREWISE_SHARE" in finding and "'all'" in finding and "ignored" in finding


@pytest.fixture
def teams(program):
    """Starts a governed program as some user; gives the sizes of its teams, with their times."""
    folder = Path("/var/tmp") / f"corewise-share-{os.getpid()}"
    folder.mkdir(mode=0o755)
    source, library = folder / "teams.c", folder / "libshareteams.so"
    source.write_text(TEAMS)
    words = ["gcc", "-fopenmp", "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(words, check=True)
    children = []

    def start(user, env, *options, ms=80):
        words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", program, "run"]
        words += ["-q", "--budget", "2", *options, "--", PYTHON, "-c", DRIVER, library, str(ms)]
        log = folder / f"{user}.log"
        more = {"COREWISE_BEND": "libshareteams", "HOME": str(folder)} | env
        with log.open("w") as out:
            children.append(subprocess.Popen(words, stdout=out, env=CLEAN | more))

        def sizes(since):
            rows = [line.split() for line in log.read_text().splitlines()[:-1]]
            return [int(size) for began, size in rows if float(began) > since]

        wait_until(lambda: len(sizes(0)) > 2)
        return children[-1], sizes

    before = pages()
    yield start
    for child in children:
        child.kill()
        child.wait()
    shutil.rmtree(folder)
    for user in USERS:
        for path in Path("/dev/shm").glob(f"corewise-{user}-*"):
            path.unlink()
    for name in pages() - before:
        (Path("/dev/shm") / name).unlink()


def wait_until(holds):
    late = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < late
        time.sleep(0.05)


def pause(seconds):
    """The time at its end."""
    time.sleep(seconds)
    return time.monotonic()


def wait_for_teams(size, *users):
    """On a busy machine a look at the others takes long, and looks are then further apart."""
    since = time.monotonic()

    def settled(sizes):
        return len(sizes) > 4 and set(sizes[-5:]) == {size}

    wait_until(lambda: all(settled(user(since)) for user in users))


class TestUsers:
    pytestmark = only_two_users

    def test_they_divide_the_machine(self, corewise, teams):
        machine = {"COREWISE_SHARE": "machine"}
        _, one = teams(USERS[0], machine)
        wait_for_teams(2, one)  # alone
        other, two = teams(USERS[1], {}, "--share", "machine")
        wait_for_teams(1, one, two)
        shown = corewise("budget", "--cap", "2", env=machine).stdout
        assert "share       1  of the machine's 2 CPUs: 2 other users ask" in shown
        told = json.loads(corewise("budget", "--json", env=machine).stdout)
        assert told["machine"] == {"cpus": 2, "share": 1, "others": 2}
        other.kill()
        other.wait()
        wait_for_teams(2, one)  # it has the machine back

    def test_who_does_not_opt_in_is_not_seen(self, teams):
        _, one = teams(USERS[0], {"COREWISE_SHARE": "machine"})
        _, two = teams(USERS[1], {})
        since = pause(0.5)
        wait_until(lambda: len(one(since)) > 4 and len(two(since)) > 4)
        assert set(one(since)) == set(two(since)) == {2}


def test_not_opted_in_nothing_is_published(corewise, numpy_python):
    before = pages()
    product = "import numpy as np; np.ones((300, 300)) @ np.ones((300, 300))"
    words = ("run", "--", numpy_python, "-c", product)
    for env in ({}, {"COREWISE_SHARE": "user"}):
        assert corewise(*words, env=env).returncode == 0
    assert pages() == before
