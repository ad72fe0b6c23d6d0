"""corewise.govern and its kin, in a fresh process each; alone and under `corewise run`."""

import json
import os
import subprocess
import sys

import pytest
from conftest import Run

START = """
import json, os, corewise
group = f"test-{os.getpid()}"
def clean():
    path = corewise.govern_report()["ledger"]["path"]
    if path: os.unlink(path)
import atexit; atexit.register(clean)
def state():
    report = corewise.govern_report()
    return [report["governed"], report["budget"]]
"""


def test_calls_count(run: Run) -> None:
    out = run(
        START
        + """
seen = []
corewise.ungovern()
corewise.govern(2, group); corewise.govern(); corewise.govern(2.5)
for _ in range(4):
    seen.append(state())
    corewise.ungovern()
print(json.dumps(seen))
"""
    )
    assert json.loads(out) == [[True, 2]] * 3 + [[False, 2]]


def test_a_block_a_function_and_a_coroutine(run: Run) -> None:
    out = run(
        START
        + """
import asyncio
seen = []
with corewise.governed(2, group=group) as scope:
    seen.append(state()[0])
    with scope: seen.append(state()[0])
    seen.append(state()[0])
seen.append(state()[0])
@corewise.governed(1, group)
def inside(): return state()
@corewise.governed(1, group)
async def later():
    await asyncio.sleep(0)
    return state()
seen += [inside(), asyncio.run(later()), state()[0], inside.__name__]
try:
    with corewise.governed(1, group): raise KeyError
except KeyError: seen.append(state()[0])
print(json.dumps(seen))
"""
    )
    assert json.loads(out) == [
        True, True, True, False, [True, 1], [True, 1], False, "inside", False,
    ]  # fmt: skip


def test_what_is_governed(run: Run) -> None:
    out = run(
        START
        + """
import ctypes
corewise.govern(1, group)
library = ctypes.CDLL(NATIVE + "/libregions.so")
team = library.team_size()
report = corewise.govern_report()
print(json.dumps([team, [[p["runtime"], p["how"]] for p in report["pools"]], report["widest"]]))
""",
        env=os.environ | {"OMP_NUM_THREADS": "4", "COREWISE_BEND": "libregions"},
    )
    team, pools, widest = json.loads(out)
    assert team == 1 and ["libgomp", "gate"] in pools and widest == 4


def test_what_another_thread_loads_while_we_begin_is_governed(run: Run) -> None:
    """That thread asks dlsym for what it needs while we are busy, and never again."""
    out = run(
        START
        + """
import ctypes, threading, time
slow = ctypes.CDLL(NATIVE + "/libopenblas_waiting.so")
corewise.pools()
slow.arm()
begins = threading.Thread(target=corewise.govern, args=(1, group))
begins.start()
time.sleep(0.3)
team_size = ctypes.CDLL(NATIVE + "/libregions.so").team_size
slow.go()
begins.join()
print(team_size(), slow.has_given_up())
""",
        env=os.environ | {"OMP_NUM_THREADS": "4", "COREWISE_BEND": "libregions"},
    )
    assert out == "1 0\n"


def test_a_child_forked_while_the_first_block_begins_can_govern(run: Run) -> None:
    out = run(
        "import ctypes, signal, threading, time"  # before our library looks for the first time
        + START
        + """
slow = ctypes.CDLL(NATIVE + "/libopenblas_waiting.so")
slow.arm()
threading.Thread(target=corewise.govern, args=(1, group)).start()
threading.Thread(target=slow.go_after, args=(1000,)).start()
time.sleep(0.3)
if (child := os.fork()) == 0:
    signal.alarm(10)
    corewise.govern()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), slow.has_given_up())
"""
    )
    assert out == "7 0\n"


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        ("0", "BadCount", "above 0"),
        ("-1", "BadCount", "above 0"),
        ("float('nan')", "BadCount", "above 0"),
        ("float('inf')", "BadCount", "above 0"),
        ("True", "BadType", "bool"),
        ("10**400", "BadCount", "above 0"),
        ("__import__('decimal').Decimal('sNaN')", "BadCount", "above 0"),
        ("'2'", "BadType", "str"),
        ("__import__('numpy').ones(2)", "BadType", "ndarray"),
        ("group=3", "BadType", "int"),
        ("group=''", "BadValue", "give a name, or None"),
        ("group='a\\0b'", "UnknownName", "NUL"),
        ("group='\\ud800'", "UnknownName", "file name"),
    ],
)
def test_bad_options(run: Run, arguments: str, error: str, word: str) -> None:
    out = run(
        f"""
import corewise
for call in (corewise.govern, corewise.governed):
    try: call({arguments})
    except corewise.Error as error: print(type(error).__name__, error)
print(corewise.govern_report()["governed"])
"""
    )
    lines = out.splitlines()
    assert lines[0] == lines[1] and lines[2] == "False"
    assert lines[0].startswith(error) and word in lines[0]


def test_another_budget_meanwhile_is_refused(run: Run) -> None:
    out = run(
        START
        + """
corewise.govern(2, group)
for options in ({"budget": 1}, {"group": "other"}):
    try: corewise.govern(**options)
    except corewise.Error as error: print(error)
print(state())
"""
    )
    assert out.count("governed already") == 2 and "[True, 2]" in out


def test_ctrl_c_while_a_block_begins_or_ends_leaves_nothing(run: Run) -> None:
    """Ctrl-C during the native call raises as the call returns."""
    out = run(
        START
        + """
import signal, types
from corewise import _govern
core = _govern._core
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
def interrupted(call):
    def called(*words):
        call(*words)
        signal.raise_signal(signal.SIGINT)
    return called
def attempt():
    try:
        with corewise.governed(group=group): pass
    except KeyboardInterrupt: print(state()[0], os.environ.get("COREWISE_INHERIT"))
begin, end = interrupted(core.govern), interrupted(core.ungovern)
_govern._core = types.SimpleNamespace(**vars(core) | {"govern": begin})
attempt()
_govern._core = types.SimpleNamespace(**vars(core) | {"ungovern": end})
attempt()
"""
    )
    assert out == "False None\n" * 2


def test_a_signal_handler_may_govern_while_a_block_begins(run: Run) -> None:
    out = run(
        START
        + """
import signal, types
from corewise import _govern
core = _govern._core
inside = []
def handler(*_):
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    with corewise.governed(group=group): inside.append(state()[0])
signal.signal(signal.SIGALRM, handler)
def govern(*words):
    core.govern(*words)
    signal.raise_signal(signal.SIGALRM)
_govern._core = types.SimpleNamespace(**vars(core) | {"govern": govern})
with corewise.governed(group=group): inside.append(state()[0])
print(inside, state()[0], os.environ.get("COREWISE_INHERIT"))
""",
        timeout=20,
    )
    assert out == "[True, True] False None\n"


def under_run(code: str, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "corewise", "run", "-q", *options, "--", sys.executable, "-c"]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "COREWISE"))}
    return subprocess.run([*command, code], capture_output=True, text=True, env=env, timeout=120)


needs_tool = pytest.mark.skipif(
    subprocess.run([sys.executable, "-m", "corewise", "--version"], capture_output=True).returncode
    != 0,
    reason="the wheel was built without the command line tool",
)


@needs_tool
def test_under_run_there_is_one_copy_and_it_stays() -> None:
    done = under_run(
        """
import json, corewise
corewise.govern(); corewise.govern(1)
for _ in range(4): corewise.ungovern()
report = corewise.govern_report()
copies = {line.split()[-1] for line in open("/proc/self/maps") if "libcorewise" in line}
try: corewise.govern(2)
except corewise.Error as error: refused = str(error)
print(json.dumps([report["governed"], report["budget"], len(copies), refused]))
""",
        "--budget",
        "1",
    )
    assert done.returncode == 0, done.stderr
    governed, budget, copies, refused = json.loads(done.stdout)
    assert (governed, budget, copies) == (True, 1, 1)
    assert "budget of 1" in refused and "ungovern" not in refused


@needs_tool
def test_another_copy_is_refused_while_one_governs(tmp_path: "os.PathLike[str]") -> None:
    done = under_run(
        f"""
import corewise, ctypes, os, shutil
corewise.pools()
own = next(l.split()[-1] for l in open("/proc/self/maps") if "libcorewise" in l)
copy = ctypes.CDLL(shutil.copy(own, {str(tmp_path)!r} + "/libother.so"))
copy.cw_last_error.restype = ctypes.c_char_p
print(copy.cw_govern(None), copy.cw_last_error().decode())
print(corewise.govern_report()["governed"])
"""
    )
    status, _, sentence = done.stdout.partition(" ")
    assert status == "11", done.stderr
    assert "another copy of corewise" in sentence and "libcorewise" in sentence
    assert sentence.endswith("True\n")
