"""The death watch is a guest: programs with handlers of their own end as they do without it."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CLEAN


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    built = tmp_path_factory.mktemp("guest") / "guest"
    source = Path(__file__).with_name("guest.c")
    subprocess.run(["gcc", "-O1", "-w", source, "-o", built, "-ldl", "-pthread"], check=True)
    return built


@pytest.fixture(scope="module")
def guest_throws(tmp_path_factory):
    built = tmp_path_factory.mktemp("guest") / "guest_throws"
    source = Path(__file__).with_name("guest_throws.cpp")
    options = ["-std=c++20", "-O1", "-fnon-call-exceptions"]
    subprocess.run(["g++", *options, source, "-o", built], check=True)
    return built


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def tidy_tmp():
    """Where nothing else will do, reports are left in /tmp."""
    folder = Path(f"/tmp/corewise-{os.geteuid()}")
    before = set(folder.glob("*.json"))
    yield
    for path in set(folder.glob("*.json")) - before:
        if "guest" in path.read_text():
            path.unlink()


def reports(state):
    return [json.loads(path.read_text()) for path in sorted((state / "corewise").glob("*.json"))]


@pytest.fixture
def ends_the_same(corewise, state):
    """Runs it both ways; what it left in reports."""

    def check(*words):
        env = {"XDG_STATE_HOME": str(state)}
        plain = subprocess.run(words, env=CLEAN | env, capture_output=True, text=True, check=False)
        done = corewise("run", "-q", "--", *words, env=env)
        same = (plain.returncode, plain.stdout)
        # `run` is the program: a signal ends it as it ends the program.
        assert (done.returncode, done.stdout) == same, done.stderr
        return plain, reports(state)

    return check


LIVES = [
    ["views"],
    ["views of X/Open"],
    ["views by other names"],
    ["views in a clone"],
    ["reads back"],
    ["is interrupted"],
    ["mends"],
    ["mends", "12288"],
    ["mends", "16384"],
    ["jumps"],
    ["leaves"],
    ["sets errno"],
    ["looks at context"],
    ["ends thread", "raise"],
    ["ends thread", "abort"],
    ["ends thread", "fault"],
    ["ends thread", "cancel"],
]


@pytest.mark.parametrize("words", [*LIVES, ["child of vfork"]], ids=" ".join)
def test_what_the_program_handles_leaves_nothing(ends_the_same, guest, state, words):
    plain, left = ends_the_same(guest, *words)
    assert plain.returncode in (0, 3), plain.stdout
    assert left == [] and not state.exists()


def test_an_exception_may_leave_a_handler(ends_the_same, guest_throws, state):
    plain, left = ends_the_same(guest_throws)
    assert plain.stdout.split("\n")[1::2][:3] == ["11", "6", "11"]
    assert left == [] and not state.exists()


@pytest.mark.parametrize(
    ("words", "signal", "has_address"),
    [
        (["gives up", "8192"], 6, True),
        (["gives up", "16384"], 6, True),
        (["passes on"], 11, True),
        (["overflows", "8192"], 11, True),
        (["aborts"], 6, False),
        (["views with siginfo"], 6, False),
    ],
)
def test_what_ends_it_is_reported(ends_the_same, guest, words, signal, has_address):
    """The place is where the fault was, not where the program's handler gave up."""
    plain, left = ends_the_same(guest, *words)
    assert plain.returncode == -signal
    (report,) = left
    assert report["signal"] == signal
    assert ("address" in report) == has_address
    assert report["module"] == str(guest)


@pytest.mark.parametrize(
    ("words", "signal"),
    [
        (["waits", "ppoll", "6"], 6),
        (["waits", "pselect", "6"], 6),
        (["waits", "epoll_pwait", "11"], 11),
        (["waits", "sigsuspend", "6"], 6),
        (["queues", "11"], 11),
        (["queues", "6"], 6),
        (["tells of input", "6"], 6),
    ],
)
def test_what_others_send_ends_it(ends_the_same, guest, words, signal):
    plain, left = ends_the_same(guest, *words)
    assert plain.returncode == -signal
    assert [report["signal"] for report in left] == [signal]


@pytest.mark.parametrize(("how", "code"), [("faults", -11), ("handles", 3)])
def test_a_fault_under_a_filter(ends_the_same, guest, how, code):
    """No system call of ours: it would kill the program by another signal."""
    plain, left = ends_the_same(guest, "is confined", how)
    assert plain.returncode == code and left == []


@pytest.mark.parametrize("how", ["fault", "kill", "sigqueue"])
def test_a_debugger_sees_where_a_signal_comes_from(ends_the_same, guest, how):
    plain, _ = ends_the_same(guest, "is traced", how)
    assert plain.stdout.endswith("ended by 11\n")


def test_a_child_forked_while_its_parent_dies_is_reported_too(corewise, guest, state):
    """The thread that writes the parent's report is none of the child's."""
    done = corewise("run", "-q", "--", guest, "forks beside a death", env={"XDG_STATE_HOME": state})
    children = {int(line) for line in done.stdout.split()}
    assert children and done.returncode == -6
    left = {report["pid"] for report in reports(state)}
    assert children - left == set()


def test_where_no_file_may_grow(corewise, guest, state):
    """The signal of that limit would take the place of the program's own."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    env = {"XDG_STATE_HOME": str(state)}
    done = corewise("run", "-q", "--", guest, "aborts", env=env, preexec_fn=limit)
    assert done.returncode == -6
    assert not state.exists()


@pytest.mark.parametrize("size", ["4096", "8192", "16384"])
def test_a_watch_that_comes_late(corewise, guest, state, size):
    library = corewise("run", "-q", "--", "sh", "-c", "echo $LD_PRELOAD").stdout.split(":")[0]
    env = CLEAN | {"XDG_STATE_HOME": str(state), "WATCH_LATE": library.strip()}
    done = subprocess.run([guest, "", size], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "lives\n")


def test_ignored_signals_stay_ignored_over_exec(ends_the_same):
    script = "trap '' ABRT SEGV; exec grep SigIgn /proc/self/status"
    plain, _ = ends_the_same("bash", "-c", script)
    assert int(plain.stdout.split()[1], 16) & 1 << 5


@pytest.mark.skipif(shutil.which("rustc") is None, reason="needs rustc")
def test_rust_tells_of_a_full_stack(corewise, state, tmp_path):
    source = tmp_path / "deep.rs"
    source.write_text(
        "fn f(n: u64) -> u64 { let a = [n; 100]; if n == u64::MAX { return 0 }"
        " std::hint::black_box(&a); f(n + 1) + a[3] }\n"
        'fn main() { println!("{}", f(0)); }\n'
    )
    subprocess.run(["rustc", "-O", source, "-o", tmp_path / "deep"], check=True)
    env = {"XDG_STATE_HOME": str(state)}
    done = corewise("run", "-q", "--", tmp_path / "deep", env=env)
    assert done.returncode == -6 and "has overflowed its stack" in done.stderr
    (report,) = reports(state)
    assert report["module"] == str(tmp_path / "deep")


def test_no_home_is_made(corewise, tmp_path):
    """HOME=/nonexistent is Debian's word for none."""
    home = tmp_path / "nonexistent"
    env = {"HOME": str(home), "XDG_STATE_HOME": ""}
    assert corewise("run", "-q", "--", "true", env=env).returncode == 0
    assert not home.exists()


def test_nothing_is_made_before_something_dies(corewise, guest, tmp_path):
    env = {"HOME": str(tmp_path), "XDG_STATE_HOME": ""}
    assert corewise("run", "-q", "--", sys.executable, "-c", "pass", env=env).returncode == 0
    assert list(tmp_path.iterdir()) == []
    corewise("run", "-q", "--", guest, "aborts", env=env)
    assert len(list((tmp_path / ".local/state/corewise").glob("*.json"))) == 1
    assert (tmp_path / ".local").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has somebody else's HOME")
@pytest.mark.parametrize("link", [None, ".local", ".local/state", ".local/state/corewise"])
def test_root_leaves_the_home_of_others_alone(corewise, guest, tmp_path, link):
    """sudo -E: whatever lies there, its owner chose it."""
    home, trap = tmp_path / "home", tmp_path / "trap"
    home.mkdir(), trap.mkdir(mode=0o700)
    os.chown(home, 12345, 12345)
    if link:
        (home / link).parent.mkdir(parents=True, exist_ok=True)
        (home / link).symlink_to(trap)
        os.chown(home / link, 12345, 12345, follow_symlinks=False)
    before = sorted(home.rglob("*"))
    for env in ({"HOME": str(home), "XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": str(home)}):
        assert corewise("run", "-q", "--", guest, "aborts", env=env).returncode == -6
        assert list(trap.iterdir()) == [] and sorted(home.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has links of others in its folders")
def test_a_link_of_others_on_the_way_is_not_followed(corewise, guest, tmp_path):
    trap = tmp_path / "trap"
    trap.mkdir(mode=0o700)
    (tmp_path / ".local").symlink_to(trap)
    os.chown(tmp_path / ".local", 12345, 12345, follow_symlinks=False)
    env = {"HOME": str(tmp_path), "XDG_STATE_HOME": ""}
    assert corewise("run", "-q", "--", guest, "aborts", env=env).returncode == -6
    assert list(trap.iterdir()) == []
