"""Builds under `corewise run`: their jobs take the ledger's tokens by GNU make's jobserver."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from conftest import CLEAN, ready

CPUS = os.cpu_count() or 1
# Others that are to be tried: COREWISE_TEST_MAKE=/path/to/make-4.4/make.
MAKES = [path for path in (shutil.which("make"), os.environ.get("COREWISE_TEST_MAKE")) if path]
NINJA = os.environ.get("COREWISE_TEST_NINJA") or shutil.which("ninja")
CARGO = shutil.which("cargo")
# Says when it runs, and works meanwhile. A line is written at once, so that lines do not mix.
JOB = """
import os, sys, time
log, name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
def say(what):
    line = f"{what} {name} {time.monotonic():.6f}\\n".encode()
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, line)
    os.close(fd)
say("start")
time.sleep(seconds)
say("end")
"""

pytestmark = [
    pytest.mark.skipif(CPUS < 2, reason="two jobs at a time want two CPUs"),
    pytest.mark.skipif(not MAKES, reason="no make"),
]


class Builds:
    """A folder with a job, a Makefile of twelve, and what the jobs said."""

    def __init__(self, folder, program):
        self.folder, self.program = folder, program
        self.log = folder / "log"
        self.group = f"jobs {os.getpid()} {folder.name}"
        (folder / "job.py").write_text(JOB)
        self.job = f"{sys.executable} -S {folder / 'job.py'} {self.log}"
        targets = " ".join(f"t{i}" for i in range(12))
        (folder / "Makefile").write_text(
            f"all: {targets}\n\t@echo done\nt%:\n\t@{self.job} $(N)$@ 0.15\n"
            "fails: t1 t2\n\t@exit 3\n"
            "nested:\n\t@+$(MAKE) --no-print-directory N=a all\n"
            "both: nested t1 t2 t3\n"
        )

    def words(self, *command, budget=2):
        chosen = ["--budget", str(budget), "--group", self.group]
        return [str(self.program), "run", "-q", *chosen, "--", *command]

    def run(self, *command, budget=2, env=None, **options):
        options.setdefault("timeout", 120)
        return subprocess.run(
            self.words(*command, budget=budget), cwd=self.folder, env=CLEAN | (env or {}),
            capture_output=True, text=True, **options,
        )  # fmt: skip

    def start(self, *command, env=None, **options):
        return subprocess.Popen(
            self.words(*command), cwd=self.folder, env=CLEAN | (env or {}),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip

    def spans(self):
        begin, spans = {}, []
        for line in self.log.read_text().splitlines():
            what, name, when = line.split()
            if what == "start":
                begin[name] = float(when)
            else:
                spans.append((begin.pop(name), float(when)))
        assert not begin, f"jobs that did not end: {begin}"
        return spans

    def most_at_once(self, after=0.0):
        spans = [span for span in self.spans() if span[0] >= after]
        return max(sum(a <= start < b for a, b in spans) for start, _ in spans)

    def tokens(self):
        told = subprocess.run(
            [self.program, "budget", "--group", self.group, "--json"],
            env=CLEAN, capture_output=True, text=True,
        )  # fmt: skip
        if told.returncode != 0:
            return 0
        return sum(one["granted"] for one in json.loads(told.stdout)["programs"])

    def keepers(self):
        """The processes beside a build: they are called as `corewise run` was."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if self.group.encode() in words and os.fsencode(self.program) == words[0]:
                found.append(int(path.parent.name))
        return found

    def wait_until_gone(self):
        until = time.monotonic() + 5
        while self.keepers() or self.tokens():
            assert time.monotonic() < until, f"{self.keepers()} {self.tokens()}"
            time.sleep(0.05)


@pytest.fixture
def builds(tmp_path, program):
    return Builds(tmp_path, program)


@pytest.fixture(params=MAKES, ids=lambda path: "" if path == MAKES[0] else "other")
def make(request):
    return request.param


def plainly(builds, *command):
    return subprocess.run(command, cwd=builds.folder, env=CLEAN, capture_output=True, text=True)


@pytest.mark.parametrize("jobs", ["-j", "-j8", "-kj8"])
def test_no_more_jobs_than_the_budget(builds, make, jobs):
    done = builds.run(make, jobs)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert len(builds.spans()) == 12
    assert builds.most_at_once() == 2
    builds.wait_until_gone()
    builds.log.unlink()
    done = builds.run(make, jobs, budget=1)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert builds.most_at_once() == 1 and len(builds.spans()) == 12


def test_the_end_is_makes_own(builds, make):
    for target in ("all", "fails", "nothing"):
        alone = plainly(builds, make, "-j2", target)
        done = builds.run(make, "-j2", target)
        assert (done.returncode, done.stdout) == (alone.returncode, alone.stdout)
        assert done.stderr == alone.stderr


def test_a_make_in_a_make_shares_its_tokens(builds, make):
    done = builds.run(make, "-j", "both")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert len(builds.spans()) == 15
    assert builds.most_at_once() == 2


def test_who_gets_a_jobserver(builds, make):
    """One sentence in docs/jobserver.md."""
    see = "import os; print(os.environ.get('MAKEFLAGS', 'none'))"
    (builds.folder / "see").write_text(f'all:\n\t@{sys.executable} -S -c "{see}"\n')
    path = {"PATH": f"{Path(make).parent}:{CLEAN['PATH']}"}
    python = [sys.executable, "-S", "-c", see]
    assert builds.run(*python, env=path).stdout == "none\n"
    assert "jobserver" not in builds.run(make, "-f", "see", env=path).stdout
    assert "jobserver" not in builds.run(make, "-j1", "-f", "see", env=path).stdout
    assert "--jobserver-auth=" in builds.run(make, "-j2", "-f", "see", env=path).stdout
    assert (
        "--jobserver-auth=" in builds.run(make, "-f", "see", env=path | {"MAKEFLAGS": "-j4"}).stdout
    )
    asked = subprocess.run(
        [builds.program, "run", "-q", "--jobserver", "--", *python],
        env=CLEAN | path, capture_output=True, text=True,
    )  # fmt: skip
    assert "-j" in asked.stdout and "--jobserver-auth=" in asked.stdout
    refused = subprocess.run(
        [builds.program, "run", "-q", "--no-jobserver", "--", make, "-j", "-f", "see"],
        env=CLEAN | path, cwd=builds.folder, capture_output=True, text=True,
    )  # fmt: skip
    assert "jobserver" not in refused.stdout


def test_a_jobserver_that_is_there_stays(builds):
    see = [sys.executable, "-S", "-c", "import os; print(os.environ['MAKEFLAGS'])"]
    own = " -j5 --jobserver-auth=-2,-2"
    done = subprocess.run(
        [builds.program, "run", "-q", "--jobserver", "--", *see],
        env=CLEAN | {"MAKEFLAGS": own}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == own + "\n"


def test_asking_for_one_asks_for_governing(builds):
    """As --budget and the others do, where the project's file turns governing off."""
    (builds.folder / "corewise.toml").write_text("[govern]\non = false\n")
    done = subprocess.run(
        [builds.program, "run", "-q", "--jobserver", "--", "sh", "-c", "echo $MAKEFLAGS"],
        cwd=builds.folder, env=CLEAN, capture_output=True, text=True,
    )  # fmt: skip
    assert "--jobserver-auth=" in done.stdout


def test_a_script_with_a_build_in_it(builds, make):
    (builds.folder / "build.sh").write_text(f'"{make}" && "{make}" N=b\n')
    words = builds.words("sh", "build.sh")
    words.insert(3, "--jobserver")
    env = CLEAN | {"PATH": f"{Path(make).parent}:{CLEAN['PATH']}"}
    done = subprocess.run(words, cwd=builds.folder, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\ndone\n", "")
    assert builds.most_at_once() == 2 and len(builds.spans()) == 24


def test_two_builds_share_one_budget(builds, make):
    first = builds.start(make, "-j", "N=a")
    second = builds.start(make, "-j", "N=b")
    ends = [one.communicate(timeout=120) for one in (first, second)]
    assert [out for out, _ in ends] == ["done\n"] * 2 and [err for _, err in ends] == [""] * 2
    spans = builds.spans()
    assert len(spans) == 24
    # Each may run its one job from the start on; a token that the first has taken by then comes
    # back when its job ends.
    settled = min(start for start, _ in spans) + 0.8
    assert builds.most_at_once(after=settled) <= 2
    builds.wait_until_gone()


def test_a_lone_build_gets_the_budget_back(builds, make):
    first = builds.start(make, "-j", "N=a", "t1", "t2")
    second = builds.start(make, "-j", "N=b")
    for one in (first, second):
        one.communicate(timeout=120)
    spans = sorted(builds.spans())
    assert builds.most_at_once(after=spans[-6][0]) == 2


CLIENT = """
import os, re, signal, sys, time
auth = re.search(r"--jobserver-auth=(\\S+)", os.environ["MAKEFLAGS"])[1]
if auth.startswith("fifo:"):
    read = os.open(auth[5:], os.O_RDWR)
else:
    read = int(auth.split(",")[0])
assert len(os.read(read, 1)) == 1
if sys.argv[1] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
print("ready", flush=True)
time.sleep(float(sys.argv[2]))
"""


def test_a_client_that_never_returns_its_token(builds, make):
    (builds.folder / "client.py").write_text(CLIENT)
    client = f"{sys.executable} -S {builds.folder / 'client.py'}"
    (builds.folder / "build.sh").write_text(f'{client} die\n"{make}"\n')
    words = builds.words("sh", "build.sh")
    words.insert(3, "--jobserver")
    env = CLEAN | {"PATH": f"{Path(make).parent}:{CLEAN['PATH']}"}
    # The build has its implicit token left: it goes on, one job at a time.
    done = subprocess.run(
        words, cwd=builds.folder, env=env, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert builds.most_at_once() == 1 and len(builds.spans()) == 12
    builds.wait_until_gone()
    builds.log.unlink()
    # Nor does it hang another build meanwhile, which has the whole budget after it.
    (builds.folder / "build.sh").write_text(f"{client} keep 1\n")
    with ready(words, cwd=builds.folder, env=env):
        done = builds.run(make, "-j")
    assert (done.returncode, done.stdout) == (0, "done\n")
    spans = sorted(builds.spans())
    assert len(spans) == 12 and builds.most_at_once(after=spans[-4][0]) == 2
    builds.wait_until_gone()


def test_who_kills_the_keeper_has_a_slow_build(builds, make):
    child = builds.start(make, "-j")
    while not builds.log.exists():
        time.sleep(0.02)
    keepers = builds.keepers()
    assert len(keepers) == 1
    os.kill(keepers[0], signal.SIGKILL)
    out, err = child.communicate(timeout=120)
    assert (child.returncode, out, err) == (0, "done\n", "")
    assert len(builds.spans()) == 12 and builds.most_at_once() <= 2
    builds.wait_until_gone()
    # A fifo that it left goes when the next build begins.
    assert builds.run(make, "-j", "t1").returncode == 0
    builds.wait_until_gone()
    assert list(left()) == []


def left():
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    for folder in (Path(f"/tmp/corewise-{os.geteuid()}"), Path(runtime or "/nowhere") / "corewise"):
        yield from (path for path in folder.glob("*.jobs"))


def test_a_killed_make_leaves_nothing(builds, make):
    child = builds.start(make, "-j", start_new_session=True)
    while not builds.log.exists():
        time.sleep(0.02)
    assert child.pid not in builds.keepers(), "make took the place of corewise"
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    builds.wait_until_gone()
    assert list(left()) == []


def test_the_keeper_holds_nothing_of_the_program(builds, make):
    """Who reads the build's output sees its end when it ends, and make has no strange child."""
    children = "ps -o comm= --ppid $$PPID"
    (builds.folder / "see").write_text(f"all:\n\t@{children}\n")
    alone = plainly(builds, make, "-j2", "-f", "see")
    done = builds.run(make, "-j2", "-f", "see")
    assert done.stdout == alone.stdout
    with open(builds.folder / "lock", "w") as lock:
        child = builds.start(make, "-j", "t1", pass_fds=[lock.fileno()])
        while not builds.log.exists():
            time.sleep(0.02)
        (keeper,) = builds.keepers()
        opened = [os.readlink(path) for path in Path(f"/proc/{keeper}/fd").iterdir()]
        assert not [path for path in opened if path.endswith("/lock")]
        assert opened.count("/dev/null") == 3
        child.communicate()


def ledgers(pid):
    maps = Path(f"/proc/{pid}/maps").read_text()
    return set(re.findall(r"/dev/shm/corewise-\S+", maps))


@pytest.mark.parametrize("options", [[], ["--budget", "1"], ["--budget", "2"], ["--group", "g"]])
def test_the_jobs_are_in_the_ledger_of_the_programs(builds, make, options):
    words = [builds.program, "run", "-q", *options, "--", make, "-j", f"M={builds.group}", "t1"]
    child = subprocess.Popen(words, cwd=builds.folder, env=CLEAN)
    while not builds.log.exists():
        time.sleep(0.02)
    time.sleep(0.05)
    (keeper,) = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.read_bytes().startswith(os.fsencode(builds.program) + b"\0run")
        and f"M={builds.group}".encode() in path.read_bytes()
    ]
    assert ledgers(keeper) == ledgers(child.pid) != set()
    assert child.wait() == 0


BLAS = """
import numpy as np, time
a = np.ones((600, 600))
print("ready", flush=True)
while True:
    a @ a
"""


def test_a_build_beside_a_program_that_computes(builds, make, numpy_python):
    with ready(builds.words(numpy_python, "-c", BLAS), env=CLEAN):
        time.sleep(0.3)
        done = builds.run(make, "-j")
        assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
        # One CPU is the program's, whose calls come one after the other.
        assert builds.most_at_once(after=sorted(builds.spans())[2][0]) <= 2
        assert len(builds.spans()) == 12
        until = time.monotonic() + 5
        while builds.keepers():
            assert time.monotonic() < until


def ninja_file(builds):
    rules = f"rule job\n  command = {builds.job} $out 0.15\n"
    (builds.folder / "build.ninja").write_text(
        rules + "".join(f"build n{i}: job\n" for i in range(12))
    )


@pytest.mark.skipif(NINJA is None, reason="no ninja")
def test_ninja(builds, make):
    ninja_file(builds)
    path = {"PATH": f"{Path(make).parent}:{CLEAN['PATH']}"}
    version = subprocess.run([NINJA, "--version"], capture_output=True, text=True).stdout
    if tuple(map(int, version.split(".")[:2])) < (1, 13):
        done = builds.run(NINJA, env=path)
        assert done.returncode == 0
        return
    for words in ([NINJA], [NINJA, "-j", "7"]):
        done = builds.run(*words, env=path)
        assert done.returncode == 0, done.stdout + done.stderr
        # Kitware's ninja beside a make that cannot read a fifo.
        said = done.stderr.replace("ninja: warning: Jobserver 'pipe' mode detected", "")
        assert "arning" not in done.stdout + said
        assert builds.most_at_once() == 2 and len(builds.spans()) == 12
        builds.log.unlink()
    builds.wait_until_gone()


def test_a_tool_that_knows_no_jobserver(builds):
    tool = builds.folder / "ninja"
    tool.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 1.11.1 || echo "built $1"\n')
    tool.chmod(0o755)
    done = subprocess.run(
        [builds.program, "run", "--", str(tool), "-j8"], env=CLEAN, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "built -j8\n")
    assert "no jobserver" in done.stderr and "1.13" in done.stderr
    done = subprocess.run(
        [builds.program, "run", "--json", "--", str(tool), "-j8"],
        env=CLEAN, capture_output=True, text=True,
    )  # fmt: skip
    said = json.loads(done.stderr)
    assert "no jobserver" in said["notes"][0] and "MAKEFLAGS" not in said["set"]


@pytest.fixture
def blank():
    """A folder that MAKEFLAGS cannot name, with a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="a ") as folder:
        yield folder


def test_the_report_says_that_the_jobserver_cannot_start(builds, blank):
    for name, version in (("make", "GNU Make 4.4.1"), ("ninja", "1.13.0")):
        tool = builds.folder / name
        tool.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo {version} || echo "built $1"\n')
        tool.chmod(0o755)
    path = f"{builds.folder}:{os.environ['PATH']}"
    environment = CLEAN | {"XDG_RUNTIME_DIR": blank, "PATH": path}
    words = [builds.program, "run", "--report=json"]

    def said(*options):
        done = subprocess.run(
            [*words, *options, "--", str(tool), "-j8"],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "built -j8\n")
        return [json.loads(line)["notes"] for line in done.stderr.splitlines()]

    for notes in said() + said("-q", "--json"):
        (note,) = notes
        assert note.startswith("no jobserver: ") and note.endswith("a path with a blank")
    at_start, at_end = said("--json")
    assert len(at_start) == 1 and at_end == []


def test_json_names_the_variable(builds, make):
    (builds.folder / "see").write_text("all:\n\t@echo $$MAKEFLAGS\n")
    done = subprocess.run(
        [builds.program, "run", "--json", "--", make, "-j2", "-f", "see"],
        cwd=builds.folder, env=CLEAN, capture_output=True, text=True,
    )  # fmt: skip
    auth = json.loads(done.stderr)["set"]["MAKEFLAGS"].split("--jobserver-auth=")[1]
    assert f"--jobserver-auth={auth}" in done.stdout


@pytest.mark.skipif(CARGO is None, reason="no cargo")
def test_cargo(builds, make):
    """A build script is a job: it holds a token, and sees the jobserver."""
    root = builds.folder / "cargo"
    names = [f"c{i}" for i in range(6)]
    for name in names:
        (root / name / "src").mkdir(parents=True)
        (root / name / "src" / "lib.rs").write_text("")
        (root / name / "Cargo.toml").write_text(
            f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\nbuild = "build.rs"\n'
        )
        (root / name / "build.rs").write_text(
            'fn main() { assert!(std::process::Command::new("sh").arg("-c")'
            f'.arg("{builds.job} {name} 0.3").status().unwrap().success()); }}\n'
        )
    members = ", ".join(f'"{name}"' for name in names)
    (root / "Cargo.toml").write_text(f'[workspace]\nresolver = "2"\nmembers = [{members}]\n')
    env = {"CARGO_NET_OFFLINE": "true", "PATH": f"{Path(make).parent}:{CLEAN['PATH']}"}
    done = builds.run(
        CARGO, "build", "-q", "--manifest-path", str(root / "Cargo.toml"), "-j6", env=env
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(builds.spans()) == 6 and builds.most_at_once() <= 2
    builds.wait_until_gone()
