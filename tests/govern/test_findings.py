"""What the doctor says of real libraries, asked in the process itself, each time a fresh one."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

VENV = pathlib.Path(os.environ.get("COREWISE_REAL_VENV") or "/nowhere")
LIBRARY = os.environ["COREWISE_LIBRARY"]
MKL = next(VENV.glob("lib/libmkl_rt.so.*"), None)
INTEL = VENV / "lib/libiomp5.so"
VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_THREADING_LAYER", "LD_PRELOAD")
RUN = {"LD_PRELOAD": LIBRARY, "COREWISE_GOVERN": "1"}

ASK = """
import ctypes, os
cw = ctypes.CDLL(os.environ["COREWISE_LIBRARY"])
def ask():
    cw.cw_refresh(None)
    text, needed = ctypes.create_string_buffer(1 << 20), ctypes.c_size_t()
    cw.cw_doctor_json(text, len(text), ctypes.byref(needed))
    print(text.value.decode(), flush=True)
"""


def findings(code, **variables):
    """The findings of each call of ask(), by id."""
    environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", ASK + code],
        env=environment | {"COREWISE_GROUP": f"findings{os.getpid()}"} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [
        {finding["id"]: finding for finding in json.loads(line)["findings"]}
        for line in done.stdout.splitlines()
    ]


@pytest.mark.skipif(MKL is None, reason="needs mkl's wheel")
@pytest.mark.parametrize("layer", ["INTEL", "GNU", "SEQUENTIAL"])
def test_mkls_intel_layer_beside_libgomp(layer):
    use = f"mkl = ctypes.CDLL({str(MKL)!r})\nmkl.MKL_Get_Max_Threads()\nask()\n"
    gomp = "ctypes.CDLL('libgomp.so.1')\nask()\n"
    alone, both = findings(use + gomp, MKL_THREADING_LAYER=layer)
    assert "mkl-intel-beside-libgomp" not in alone
    assert ("mkl-intel-beside-libgomp" in both) == (layer == "INTEL")
    # If libgomp came first, MKL takes the layer over it, whatever the variable says.
    first, switched = findings(gomp + use, MKL_THREADING_LAYER=layer)
    assert "mkl-intel-beside-libgomp" not in first and "mkl-intel-beside-libgomp" not in switched


@pytest.mark.parametrize("library", ["libgomp.so.1", INTEL])
@pytest.mark.parametrize("how", [{}, RUN])
def test_teams_made_dynamic(library, how):
    if library == INTEL and not INTEL.exists():
        pytest.skip("needs the wheel of Intel's OpenMP")
    code = f"""
runtime = ctypes.CDLL({str(library)!r})
ask()
runtime.omp_set_dynamic(1)
ask()
runtime.omp_set_dynamic(0)
ask()
"""
    idle, on, off = findings(code, **how)
    assert "openmp-dynamic" not in idle and "openmp-dynamic" not in off
    assert "A library or the program called omp_set_dynamic" in on["openmp-dynamic"]["why"]


def test_who_made_teams_dynamic(tmp_path):
    """OpenCV's core does this: in a constructor, while it loads."""
    source = tmp_path / "core.c"
    source.write_text(
        "#include <omp.h>\n__attribute__((constructor)) void set(void) { omp_set_dynamic(1); }\n"
    )
    library = tmp_path / "libopencv_core.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-fopenmp", source, "-o", library], check=True)
    [found] = findings(f"ctypes.CDLL({str(library)!r})\nask()")
    why = found["openmp-dynamic"]["why"]
    assert "omp_set_dynamic is called by libopencv_core.so" in why and "since 3.4.4" in why
    [found] = findings("ctypes.CDLL('libgomp.so.1')\nask()", OMP_DYNAMIC="true")
    assert found["openmp-dynamic"]["severity"] == "note"


TEAM = r"""
#include <omp.h>
void work(void) {
#pragma omp parallel num_threads(2)
  {}
}
"""


@pytest.mark.skipif(os.cpu_count() < 2, reason="libgomp does not spin with more threads than CPUs")
def test_workers_that_spin(tmp_path):
    (tmp_path / "team.c").write_text(TEAM)
    library = tmp_path / "libteam.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-fopenmp", tmp_path / "team.c", "-o", library], check=True
    )
    code = f"ctypes.CDLL({str(library)!r}).work()\nask()"
    [active] = findings(code, OMP_WAIT_POLICY="active", **RUN)
    assert active["workers-spin"]["what"] == "1 idle worker of libgomp.so.1.0.0 spins"
    assert "OMP_WAIT_POLICY=active" in active["wait-policy-active"]["what"]
    [plain] = findings(code + "\nimport time; time.sleep(0.5)", **RUN)
    assert "workers-spin" not in plain and "wait-policy-active" not in plain


def test_who_holds_the_ledger():
    """The doctor names a process that is stopped inside a region, until another comes out short."""
    group = {"COREWISE_GROUP": f"held{os.getpid()}", **RUN}
    hold = "import ctypes, numpy as np; a = np.ones((3000, 3000))\nwhile True: a @ a"
    environment = os.environ | group
    with subprocess.Popen([sys.executable, "-c", hold], env=environment) as holder:
        try:
            for _ in range(100):
                os.kill(holder.pid, 19)
                [found] = findings(
                    "ctypes.CDLL('libgomp.so.1')\ncw.cw_govern(None)\nask()", **group
                )
                if "ledger-stopped" in found:
                    break
                os.kill(holder.pid, 18)
                time.sleep(0.1)
            assert f"process {holder.pid} (" in found["ledger-stopped"]["what"]
        finally:
            holder.kill()
