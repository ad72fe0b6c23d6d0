"""Where threadpoolctl 3.8.0 is wrong the drop-in is right. Each defect twice: once as it should be,
once as threadpoolctl shows it (so that the difference is known to exist)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import OURS, THEIRS, Run, need_numpy_wheel

pytest.importorskip("threadpoolctl")

# A process-wide and a thread-wide pool, and their counts now.
SETUP = """
import ctypes, os, sys, threading, warnings
ctypes.CDLL(f"{NATIVE}/stub/libopenblas_stub.so")
regions = ctypes.CDLL(f"{NATIVE}/libregions.so")
tp = __import__("importlib").import_module(sys.argv[1])
tp.threadpool_limits(4)
def now():
    return {e["user_api"]: e["num_threads"] for e in tp.threadpool_info()}
"""

OVERLAPPING_THREADS = """
tp.OpenBLASController.clear_controlling_thread()  # else the defect below hides this one
first_in, second_in, first_out = (threading.Event() for _ in range(3))
def first():
    with tp.threadpool_limits(1):
        first_in.set(); second_in.wait()
    first_out.set()
def second():
    first_in.wait()
    with tp.threadpool_limits(1):
        second_in.set(); first_out.wait()
threads = [threading.Thread(target=f) for f in (first, second)]
[t.start() for t in threads]; [t.join() for t in threads]
print(now()["blas"])
"""


def test_overlapping_threads_end_where_they_began(run: Run) -> None:
    assert run(SETUP + OVERLAPPING_THREADS, OURS) == "4\n"


def test_overlapping_threads_in_threadpoolctl(run: Run) -> None:
    assert run(SETUP + OVERLAPPING_THREADS, THEIRS) == "1\n"


OVERLAPPING_TASKS = """
import asyncio
async def main():
    first_in, second_in, first_out = (asyncio.Event() for _ in range(3))
    async def first():
        with tp.threadpool_limits(1):
            first_in.set(); await second_in.wait()
        first_out.set()
    async def second():
        await first_in.wait()
        with tp.threadpool_limits(1):
            second_in.set(); await first_out.wait()
    await asyncio.gather(first(), second())
asyncio.run(main())
print(now())
"""


def test_overlapping_tasks_end_where_they_began(run: Run) -> None:
    assert run(SETUP + OVERLAPPING_TASKS, OURS) == "{'blas': 4, 'openmp': 4}\n"


def test_overlapping_tasks_in_threadpoolctl(run: Run) -> None:
    assert eval(run(SETUP + OVERLAPPING_TASKS, THEIRS)) == {"blas": 1, "openmp": 1}


LIMIT_IN_A_WORKER = """
def work():
    with tp.threadpool_limits(1):
        print(now()["blas"])
thread = threading.Thread(target=work)
thread.start(); thread.join()
print(now()["blas"])
"""


def test_worker_may_limit_after_main_did(run: Run) -> None:
    assert run(SETUP + LIMIT_IN_A_WORKER, OURS) == "1\n4\n"


def test_worker_is_ignored_by_threadpoolctl(run: Run) -> None:
    assert run(SETUP + LIMIT_IN_A_WORKER, THEIRS) == "4\n4\n"


ODD_NAMES = """
import ctypes, os, shutil, sys, tempfile
kind = sys.argv[2]
stub = f"{NATIVE}/stub/libopenblas_stub.so"
folder = tempfile.mkdtemp()
path = f"{folder}/libopenblas_copy.so"
if kind == "non-UTF-8":
    folder = os.fsencode(folder) + b"/\\xff\\xfe"
    os.mkdir(folder)
    path = os.fsdecode(folder + b"/libopenblas_copy.so")
elif kind == "renamed":
    path = f"{folder}/blas-for-us.bin"
if kind == "memfd":
    fd = os.memfd_create("libopenblas")
    os.write(fd, open(stub, "rb").read())
    path = f"/proc/self/fd/{fd}"
else:
    shutil.copy(stub, path)
ctypes.CDLL(path)
if kind == "deleted":
    os.unlink(path)
elif kind == "replaced":
    shutil.copy(stub, path + "~")
    os.replace(path + "~", path)
tp = __import__("importlib").import_module(sys.argv[1])
try:
    found = [e["filepath"] for e in tp.threadpool_info()]
    with tp.threadpool_limits(3):
        print(len(found), [e["num_threads"] for e in tp.threadpool_info()])
except UnicodeDecodeError:
    print("UnicodeDecodeError")
"""
KINDS = {
    "non-UTF-8": "UnicodeDecodeError\n",
    "deleted": "0 []\n",
    "replaced": "0 []\n",
    "memfd": "0 []\n",
    "renamed": "0 []\n",
}


@pytest.mark.parametrize("kind", KINDS)
def test_odd_files_are_found_and_limited(run: Run, kind: str) -> None:
    assert run(ODD_NAMES, OURS, kind) == "1 [3]\n"


@pytest.mark.parametrize("kind", KINDS)
def test_odd_files_in_threadpoolctl(run: Run, kind: str) -> None:
    assert run(ODD_NAMES, THEIRS, kind) == KINDS[kind]


ORDER = """
import ctypes, os, shutil, sys, tempfile
folder = tempfile.mkdtemp()
for name in "cabed":
    path = shutil.copy(f"{NATIVE}/stub/libopenblas_stub.so", f"{folder}/libopenblas_{name}.so")
    ctypes.CDLL(path)
tp = __import__("importlib").import_module(sys.argv[1])
print("".join(e["filepath"][-4] for e in tp.threadpool_info()))
"""


def orders(run: Run, implementation: str) -> set[str]:
    return {
        run(ORDER, implementation, env={"PYTHONHASHSEED": str(seed)}).strip() for seed in range(5)
    }


def test_order_is_that_of_loading(run: Run) -> None:
    assert orders(run, OURS) == {"cabed"}


def test_order_is_random_in_threadpoolctl(run: Run) -> None:
    assert len(orders(run, THEIRS)) > 1


FORK = """
import signal
stop = False
def churn():
    while not stop:
        tp.reset_cached_controller()
        tp.get_cached_controller()
thread = threading.Thread(target=churn)
thread.start()
hung = 0
for _ in range(20):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        signal.alarm(int(sys.argv[2]))
        tp.get_cached_controller()
        os._exit(0)
    hung += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    if hung:
        break
stop = True
thread.join()
print(hung)
"""


def test_fork_while_the_cache_is_rebuilt(run: Run) -> None:
    assert run(SETUP + FORK, OURS, "60") == "0\n"


def test_fork_deadlocks_threadpoolctl(run: Run) -> None:
    assert run(SETUP + FORK, THEIRS, "5") == "1\n"


CUSTOM_MODULE = """
import ctypes, os, threadpoolctl
ctypes.CDLL(os.environ["POOL"])
class Custom(threadpoolctl.LibController):
    user_api = internal_api = "custom"
    filename_prefixes = ("libcustom",)
    def get_num_threads(self): return self.dynlib.custom_get_num_threads()
    def set_num_threads(self, n): self.dynlib.custom_set_num_threads(n)
    def get_version(self): return len
threadpoolctl.register(Custom)
"""


def command_line(native: Path, folder: Path, drop_in: str) -> list[dict[str, object]]:
    (folder / "my_pool.py").write_text(CUSTOM_MODULE)
    environment = {
        "POOL": str(native / "libcustom_pool.so"),
        "PYTHONPATH": str(folder),
        "COREWISE_THREADPOOLCTL": drop_in,
    }
    command = [sys.executable, "-m", "threadpoolctl", "-i", "my_pool"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    entries: list[dict[str, object]] = json.loads(done.stdout)
    return [entry for entry in entries if entry["user_api"] == "custom"]


def test_command_line_shows_custom_controllers(native: Path, tmp_path: Path) -> None:
    (entry,) = command_line(native, tmp_path, "1")
    assert entry["num_threads"] == 5
    assert entry["version"] == str(len)  # JSON has no form for it, so text


def test_command_line_of_threadpoolctl_hides_them(native: Path, tmp_path: Path) -> None:
    assert command_line(native, tmp_path, "0") == []


# Setters of two libraries, which refuse the counts in `refuses`.
REFUSING = """
import shutil
for name in ("one", "two"):
    copy = f"{sys.argv[2]}/libcustom_{name}.so"
    ctypes.CDLL(shutil.copy(f"{NATIVE}/libcustom_pool.so", copy))
class Custom(tp.LibController):
    user_api = internal_api = "custom"
    filename_prefixes = ("libcustom",)
    refuses = ()
    def get_num_threads(self): return self.dynlib.custom_get_num_threads()
    def set_num_threads(self, n):
        if (self.filepath[-6:-3], n) in Custom.refuses: raise RuntimeError(f"no {n}")
        self.dynlib.custom_set_num_threads(n)
    def get_version(self): return None
tp.register(Custom)
def counts(): return [(e["filepath"][-6:-3], e["num_threads"]) for e in tp.threadpool_info()]
before = counts()
limits = {"blas": 2, "openmp": 2, "custom": 3}
Custom.refuses = [("two", 3)]
try: tp.threadpool_limits(limits)
except RuntimeError as error: print(error, counts() == before)
Custom.refuses = [("two", 3), ("two", 5)]
try: tp.threadpool_limits(limits)
except RuntimeError as error: print(error, counts() == before)
# At the end: the others are restored, and so are the pools that corewise knows.
for other in ("one", "two"):
    Custom.refuses = []
    open = tp.threadpool_limits(limits)
    Custom.refuses = [(other, 5)]
    try: open.restore_original_limits()
    except RuntimeError as error: print(error, [c for c in counts() if c not in before])
    Custom.refuses = []
    tp.threadpool_limits({"custom": 5})
"""


def test_a_custom_controller_that_fails_leaves_nothing_limited(run: Run, tmp_path: Path) -> None:
    assert run(SETUP + REFUSING, OURS, str(tmp_path)) == (
        "no 3 True\nno 3 True\nno 5 [('one', 3)]\nno 5 [('two', 3)]\n"
    )


LOADED_BY_CTYPES = """
controller = tp.get_cached_controller()
import shutil, tempfile
folder = tempfile.mkdtemp()
ctypes.CDLL(shutil.copy(f"{NATIVE}/stub/libopenblas_stub.so", f"{folder}/libopenblas_late.so"))
print(len(tp.get_cached_controller()))
"""


def test_cached_controller_sees_ctypes(run: Run) -> None:
    assert run(SETUP + LOADED_BY_CTYPES, OURS).split() == ["3"]


def test_cached_controller_of_threadpoolctl_misses_ctypes(run: Run) -> None:
    assert run(SETUP + "import shutil, tempfile" + LOADED_BY_CTYPES, THEIRS).split() == ["2"]


IMPORTED_INSIDE = """
controller = tp.ThreadpoolController()
for scope in (tp.threadpool_limits(1), controller.limit(limits=1)):
    with scope:
        import numpy
        print([e["num_threads"] for e in tp.threadpool_info() if "numpy" in e["filepath"]])
print([e["num_threads"] > 1 for e in tp.threadpool_info() if "numpy" in e["filepath"]])
"""


def test_import_inside_a_block_is_limited(run: Run) -> None:
    need_numpy_wheel()
    env = {"OPENBLAS_NUM_THREADS": "2"}
    assert run(SETUP + IMPORTED_INSIDE, OURS, env=env) == "[1]\n[1]\n[True]\n"


def test_import_inside_a_block_of_threadpoolctl(run: Run) -> None:
    need_numpy_wheel()
    env = {"OPENBLAS_NUM_THREADS": "2"}
    assert run(SETUP + IMPORTED_INSIDE, THEIRS, env=env) == "[2]\n[2]\n[True]\n"


TBB = Path("/usr/lib/x86_64-linux-gnu/libtbb.so.12")


@pytest.mark.skipif(not TBB.exists(), reason="needs libtbb12")
def test_tbb_is_seen(run: Run) -> None:
    code = f"""
import corewise, ctypes
ctypes.CDLL({str(TBB)!r})
print([p.api for p in corewise.info()])
with corewise.limits(tbb=1):
    print([p.threads for p in corewise.info()])
"""
    assert run(code) == "['tbb']\n[1]\n"


@pytest.mark.skipif(not TBB.exists(), reason="needs libtbb12")
def test_tbb_is_not_seen_by_threadpoolctl(run: Run) -> None:
    code = f"import ctypes, threadpoolctl; ctypes.CDLL({str(TBB)!r})\n"
    assert run(code + "print(threadpoolctl.threadpool_info())") == "[]\n"


NOT_POSITIVE = """
for bad in (0, -1, False, {"openmp": 0}):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with tp.threadpool_limits(bad):
            changed = now() != {"blas": 4, "openmp": 4}
    print(changed, [w.category.__name__ for w in caught] != [])
"""


def test_counts_below_one_change_nothing_and_say_so(run: Run) -> None:
    assert run(SETUP + NOT_POSITIVE, OURS) == "False True\n" * 4


def test_counts_below_one_reach_the_library_in_threadpoolctl(run: Run) -> None:
    assert run(SETUP + NOT_POSITIVE, THEIRS) == "True False\n" * 4
