"""Looking changes nothing: real runtimes that a program has loaded and not used, or not yet, behave
governed and watched as they do alone. Each case in a fresh process."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

VENV = pathlib.Path(os.environ.get("COREWISE_REAL_VENV") or "/nowhere")
LIBRARY = os.environ["COREWISE_LIBRARY"]
PROBES = pathlib.Path(os.environ["COREWISE_PROBES"])
INTEL = VENV / "lib/libiomp5.so"
LLVM = [VENV / "libomp-14/libomp.so.5", pathlib.Path("/usr/lib/x86_64-linux-gnu/libomp.so.5")]
NUMBA = list(VENV.glob("lib/python3*/site-packages/numba"))
VARIABLES = ("OMP_NUM_THREADS", "LD_PRELOAD", "COREWISE_POSTMORTEM", "KMP_DUPLICATE_LIB_OK")

# As `corewise run` starts a program; and as `import corewise` looks at one, time and again.
RUN = {"LD_PRELOAD": LIBRARY, "COREWISE_GOVERN": "1"}
LOOK = """
import ctypes, os
def look(cw=ctypes.CDLL(os.environ["COREWISE_LIBRARY"])):
    cw.cw_watch_death(); cw.cw_refresh(None); cw.cw_info_json(None, 0)
    needed = ctypes.c_size_t()
    cw.cw_doctor_json(None, 0, ctypes.byref(needed))
    cw.cw_sample_json(0, None, 0, ctypes.byref(needed))
    cw.cw_govern(None)
"""
PLAIN = """
def look(): pass
"""


def outcome(python, code, prelude=PLAIN, **variables):
    """What it printed and how it ended."""
    environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    done = subprocess.run(
        [str(python), "-c", prelude + code],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def same_in_all_ways(code, python=sys.executable):
    """What it comes to alone; the other ways must come to the same."""
    alone = outcome(python, code)
    assert outcome(python, code, **RUN) == alone
    assert outcome(python, code, LOOK) == alone
    assert outcome(python, code, LOOK, **RUN) == alone
    return alone


@pytest.mark.skipif(not INTEL.exists(), reason="needs the wheel of Intel's OpenMP")
@pytest.mark.parametrize("llvm", [path for path in LLVM if path.exists()])
@pytest.mark.parametrize("intel_first", [True, False])
def test_two_runtimes_one_used(llvm, intel_first):
    """OMP: Error #15 ends a program that sets up a second runtime."""
    used, idle = (INTEL, llvm) if intel_first else (llvm, INTEL)
    code = f"""
import ctypes
look()
used = ctypes.CDLL({str(used)!r})
look()
idle = ctypes.CDLL({str(idle)!r})
look()
print(used.omp_get_max_threads() > 0)
import sqlite3, decimal
look()
print("alive", flush=True)
"""
    assert same_in_all_ways(code)[:2] == (0, "True\nalive\n")


@pytest.mark.parametrize("library", [path for path in [INTEL, *LLVM] if path.exists()])
def test_variables_set_after_the_load_count(library):
    code = f"""
import ctypes, os
runtime = ctypes.CDLL({str(library)!r})
look()
import sqlite3, decimal
os.environ["OMP_NUM_THREADS"] = "5"
look()
print(runtime.omp_get_max_threads())
"""
    assert same_in_all_ways(code) == (0, "5\n", "")


@pytest.mark.skipif(not list(VENV.glob("lib/libmkl_rt.so.*")), reason="needs mkl's wheel")
def test_mkl_reads_its_variables_when_the_program_uses_it():
    code = f"""
import ctypes, os
mkl = ctypes.CDLL({str(next(VENV.glob("lib/libmkl_rt.so.*"), ""))!r})
look()
import sqlite3, decimal
os.environ["MKL_NUM_THREADS"] = "1"
look()
print(mkl.MKL_Get_Max_Threads())
look()
"""
    assert same_in_all_ways(code) == (0, "1\n", "")


@pytest.mark.skipif(not NUMBA, reason="needs numba")
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_numba(layer):
    code = f"""
import numba, numpy as np
numba.config.THREADING_LAYER = {layer!r}
look()
print(numba.get_num_threads() > 0)
look()
@numba.njit(parallel=True)
def total(x):
    s = 0.0
    for i in numba.prange(x.size): s += x[i]
    return s
print(total(np.ones(1000)), numba.threading_layer())
look()
"""
    expected = (0, f"True\n1000.0 {layer}\n")
    assert same_in_all_ways(code, VENV / "bin/python")[:2] == expected


@pytest.mark.skipif(not INTEL.exists(), reason="needs the wheel of Intel's OpenMP")
def test_an_idle_runtime_is_governed_once_it_is_used():
    code = f"""
import ctypes, json, os
cw = ctypes.CDLL(os.environ["COREWISE_LIBRARY"])
cw.cw_info_json.restype = ctypes.c_size_t
def shown():
    text = ctypes.create_string_buffer(65536)
    cw.cw_info_json(text, 65536)
    return [[p["threads"], p["detail"]] for p in json.loads(text.value)["pools"] if p["runtime"] == "libiomp"]
runtime = ctypes.CDLL({str(INTEL)!r})
seen = [shown()]
runtime.omp_get_max_threads()
seen.append(shown())
print(json.dumps(seen))
"""
    status, told, _ = outcome(sys.executable, code, OMP_NUM_THREADS="3")
    assert status == 0
    assert json.loads(told) == [[[None, "not used yet"]], [[3, None]]]


ASKED = """
import ctypes, json, os, sys, threading, cw
# Its own file's name decides which runtime the probe gets.
ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)
p = cw.probe("omp")
teams = [p.probe_team_clause(4)]
for request in (
    {"request": "info"},
    {"request": "sample", "each": True},
    {"request": "limit", "limits": {"openmp": 3, "blas": 1}, "dry_run": True},
    {"request": "limit", "limits": {"openmp": 9, "blas": 9}},
    {"request": "info"},
    {"request": "restore"},
    {"request": "govern"},
    {"request": "report"},
    {"request": "ungovern"},
) * 3:
    answer = cw.ask(request)
    assert "error" not in answer, answer
    teams.append(p.probe_team_clause(4))
needed, end = ctypes.c_size_t(), threading.Event()
def sample():
    cw.LIBRARY.cw_sample_json(0, None, 0, ctypes.byref(needed))
    sampled.set(); end.wait(60)
sampled = threading.Event()
sampler = threading.Thread(target=sample); sampler.start()
sampled.wait(60)
teams.append(p.probe_team_clause(4))
end.set(); sampler.join()
print(json.dumps(sorted(set(teams))))
"""


@pytest.mark.skipif(not (PROBES / "libprobe_omp.so").exists(), reason="needs clang's OpenMP")
@pytest.mark.parametrize("library", [path for path in [INTEL, *LLVM] if path.exists()])
@pytest.mark.parametrize("way", ["run", "import"])
def test_no_thread_of_ours_takes_a_place_in_the_runtime(tmp_path, library, way):
    """Each thread that calls LLVM's runtime or Intel's counts against the limit on all threads."""
    (tmp_path / "libomp.so.5").symlink_to(library)
    variables = {"LD_LIBRARY_PATH": str(tmp_path), "KMP_DEVICE_THREAD_LIMIT": "4"}
    if way == "run":
        variables |= RUN | {"COREWISE_GROUP": "test-observing"}
    environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", ASKED, str(tmp_path / "libomp.so.5")],
        env=environment | variables | {"PYTHONPATH": str(pathlib.Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [4]
