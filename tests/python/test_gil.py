"""Nothing that calls into a library holds the GIL: the library may wait for another thread."""

from __future__ import annotations

import sysconfig

import pytest
from conftest import Run

CALLS = {
    "open": ("", "corewise.limits(2)"),
    "close": ("receipt = corewise.limits(2)", "receipt.restore()"),
    "info": ("", "corewise.info()"),
    "pools": ("", "corewise.pools()"),
    "threads": ("pool = corewise.pools()[0]", "pool.threads"),
    "outcomes": ("receipt = corewise.limits(2)", "receipt.outcomes"),
    "drop": ("receipt = corewise.limits(2)", "globals().pop('receipt')"),
    "drop-in info": ("tp.threadpool_info()", "tp.threadpool_info()"),
    "drop-in open": ("", "tp.threadpool_limits(2)"),
    "drop-in close": ("scope = tp.threadpool_limits(2)", "scope.restore_original_limits()"),
    "drop-in drop": ("scope = tp.threadpool_limits(2)", "globals().pop('scope')"),
    "drop-in get": ("lib, = tp.ThreadpoolController().lib_controllers", "lib.num_threads"),
    "drop-in set": ("lib, = tp.ThreadpoolController().lib_controllers", "lib.set_num_threads(2)"),
}


# There the thread that made an object releases it, here the thread that waits.
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.mark.parametrize("name", [n for n in CALLS if not (FREE_THREADED and n.endswith("drop"))])
def test_other_threads_run_meanwhile(run: Run, name: str) -> None:
    before, call = CALLS[name]
    code = f"""
import ctypes, threading, time, corewise
import corewise.threadpoolctl as tp
library = ctypes.CDLL(f"{{NATIVE}}/libopenblas_waiting.so")
corewise.pools()
{before}
library.arm()
thread = threading.Thread(target=lambda: {call})
thread.start()
time.sleep(0.02)
library.go()
thread.join()
print(library.has_given_up())
"""
    assert run(code) == "0\n"
