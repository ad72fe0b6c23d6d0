"""`corewise top --all`: who overthreads on this machine, whoever it is."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import CLEAN, need

USER, OTHER = 54321, 54322
THREADS = 24
KERNEL = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
BUSY = f"""
#include <omp.h>
#include <stdio.h>
int main(void) {{
#pragma omp parallel num_threads({THREADS})
  {{
#pragma omp barrier
#pragma omp single
    {{
      puts("ready");
      fflush(stdout);
    }}
    for (volatile int on = 1; on;) {{
    }}
  }}
  return 0;
}}
"""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become two users"),
    need("setpriv"),
    need("gcc"),
]


def as_user(user):
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


@pytest.fixture(scope="module")
def busy():
    folder = Path("/var/tmp") / f"corewise-all-{os.getpid()}"
    folder.mkdir(mode=0o755)
    (folder / "busy.c").write_text(BUSY)
    words = ["gcc", "-fopenmp", "-o", folder / "overthreads", folder / "busy.c"]
    subprocess.run(words, check=True)
    words = ["nice", "-n", "19", *as_user(USER), folder / "overthreads"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=CLEAN)
    assert child.stdout.readline() == "ready\n"
    yield child.pid
    child.kill()
    child.communicate()
    shutil.rmtree(folder)


@pytest.mark.parametrize("columns", [40, 80])
def test_the_screen(corewise, busy, columns):
    done = corewise("top", "--all", env={"COLUMNS": str(columns)})
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert all(len(line) <= columns for line in shown.splitlines())
    words = " ".join(shown.split())
    assert re.match(
        r"TOO MANY: [\d.]+ threads are ready to run on this machine, which has \d+", words
    )
    seen = rf"{busy} +{THREADS} +[\d.]+ +no +{USER} " if columns == 80 else rf"{busy} .*{USER} "
    assert re.search(seen + r"+overthreads", shown)
    assert "only root" not in words


def test_the_json(corewise, busy):
    told = json.loads(corewise("top", "--all", "--json").stdout)
    assert told["cpus"] == os.cpu_count() and not told["hidden"]
    (user,) = (one for one in told["users"] if one["user"] == USER)
    (process,) = user["processes"]
    assert (process["pid"], process["threads"], process["governed"]) == (busy, THREADS, False)
    assert process["cpus_used"] + process["threads_delayed"] > THREADS / 2
    assert told["ready"] >= user["threads_delayed"]


IMPORTS = """
import corewise
print("ready", flush=True)
while True: pass
"""


@pytest.mark.parametrize("governs", [False, True])
def test_who_only_imports_corewise_is_not_governed(corewise, program, numpy_with_corewise, governs):
    words = [numpy_with_corewise, "-c", IMPORTS]
    if governs:
        words = [program, "run", "-q", "--", *words]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=CLEAN)
    try:
        assert child.stdout.readline() == "ready\n"
        told = json.loads(corewise("top", "--all", "--json").stdout)
        (found,) = [p for u in told["users"] for p in u["processes"] if p["pid"] == child.pid]
        assert found["governed"] is governs
    finally:
        child.kill()
        child.communicate()


def test_what_others_than_root_see(program, busy):
    words = [*as_user(OTHER), program, "top", "--all"]
    done = subprocess.run(words, env=CLEAN, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"\b{busy}\b +{THREADS} +[\d.]+ +\?", done.stdout)
    assert "only root can see" in done.stdout.splitlines()[-1]


# Before Linux 5.8 all mounts of /proc had the same options.
@pytest.mark.skipif(KERNEL < (5, 8), reason="would hide processes on the whole machine")
def test_other_processes_are_hidden(program, busy):
    hidden = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    words = ["unshare", "-m", "sh", "-c", hidden, "sh"]
    words += [*as_user(OTHER), program, "top", "--all"]
    done = subprocess.run(words, env=CLEAN, capture_output=True, text=True, timeout=60)
    if done.returncode != 0 and "mount" in done.stderr:
        pytest.skip("/proc cannot be mounted here")
    assert done.returncode == 0, done.stderr
    assert str(busy) not in done.stdout and "hides other users' processes" in done.stdout
