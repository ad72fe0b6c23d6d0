"""corewise.doctor."""

from __future__ import annotations

import json
import os
import pickle
import re
import sys
from types import SimpleNamespace

import corewise
import pytest
from conftest import Run
from corewise import Finding, Findings

CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("OMP_", "OPENBLAS_", "MKL_", "BLIS_", "NUMBA_", "GOTO_"))
}

LIBRARIES = """
import ctypes, json, os, corewise
def ids():
    return sorted(finding.id for finding in corewise.doctor())
blas = ctypes.CDLL(f"{NATIVE}/stub/libopenblas_stub.so")
"""


def test_a_healthy_process(run: Run) -> None:
    code = "import corewise; found = corewise.doctor(); print(len(found), bool(found), found)"
    expected = "0 False nothing wrong with the thread pools of this process\n"
    assert run(code, env=CLEAN) == expected


def test_more_threads_than_the_budget(run: Run) -> None:
    code = LIBRARIES + "blas.openblas_set_num_threads(60); print(ids())"
    assert run(code, env=CLEAN) == "['above-budget']\n"


def test_a_leaked_limit_and_ours(run: Run) -> None:
    if corewise.budget().floor < 2:
        pytest.skip("one CPU: one thread is no leak")
    code = (
        LIBRARIES
        + """
blas.openblas_set_num_threads(1); print(ids())
with corewise.limits(blas=1): print(ids())
print(ids())
receipt = corewise.limits(blas=1); del receipt; print(ids())
"""
    )
    leaked = "['limit-leaked']\n"
    assert run(code, env=CLEAN) == leaked + "[]\n" + leaked + "[]\n"


def test_variables_set_before_and_after_the_library_was_loaded(run: Run) -> None:
    code = (
        """
import os
os.environ["OPENBLAS_NUM_THREADS"] = "1"
"""
        + LIBRARIES
        + """
blas.openblas_set_num_threads(1); print(ids())
os.environ["OPENBLAS_NUM_THREADS"] = "2"; print(ids())
os.environ["OPENBLAS_NUM_THREADS"] = "two"; print(ids())
"""
    )
    expected = ["[]", "['variable-without-effect']", "['variable-not-a-count']"]
    assert run(code, env=CLEAN).splitlines() == expected


def test_what_the_program_removed_still_explains_a_count(run: Run) -> None:
    code = (
        LIBRARIES
        + """
blas.openblas_set_num_threads(1)
del os.environ["OPENBLAS_NUM_THREADS"]
print(ids())
"""
    )
    assert run(code, env=CLEAN | {"OPENBLAS_NUM_THREADS": "1"}) == "[]\n"


def test_callers_that_can_exhaust_the_slots(run: Run) -> None:
    code = """
import ctypes, corewise
blas = ctypes.CDLL(f"{NATIVE}/stub/libopenblas_stub.so"); blas.openblas_set_num_threads(2)
regions = ctypes.CDLL(f"{NATIVE}/libregions.so")
first = corewise.doctor()[0]
print(first.id, first.severity, first.pools); print(first.what); print(first.why)
"""
    for threads in (200, 900):
        told = run(code, env=CLEAN | {"OMP_NUM_THREADS": str(threads)}).splitlines()
        assert re.fullmatch(r"openblas-slots danger \['/.*/libopenblas_stub.so'\]", told[0])
        assert told[1].startswith(f"{threads} threads may call OpenBLAS at once, which has room")
        assert f"{threads} calls + 1 worker = {threads + 1} slots" in told[2]


def test_two_copies_of_openblas_that_spin(run: Run) -> None:
    code = (
        LIBRARIES
        + """
second = ctypes.CDLL(f"{NATIVE}/second/libopenblas_stub.so")
blas.openblas_set_num_threads(2); second.openblas_set_num_threads(2)
print("openblas-spinning" in ids())
os.environ["OPENBLAS_THREAD_TIMEOUT"] = "16"
print("openblas-spinning" in ids())
"""
    )
    assert run(code, env=CLEAN) == "True\nFalse\n"


def test_a_core_type_below_the_cpus(run: Run) -> None:
    told = run(LIBRARIES + "print(ids())", env=CLEAN | {"OPENBLAS_CORETYPE": "Katmai"})
    assert "openblas-coretype" in told


def test_blas_limited_while_openmp_is_not(run: Run) -> None:
    if corewise.budget().floor < 2:
        pytest.skip("one CPU: BLAS cannot be lower")
    code = (
        LIBRARIES
        + """
regions = ctypes.CDLL(f"{NATIVE}/libregions.so")
with corewise.limits(blas=1): print("blas-limited-alone" in ids())
with corewise.limits(blas=1, openmp=1): print("blas-limited-alone" in ids())
"""
    )
    assert run(code, env=CLEAN | {"OMP_NUM_THREADS": "100"}) == "True\nFalse\n"


def test_mkl_that_uses_fewer_than_it_was_told(run: Run) -> None:
    code = (
        LIBRARIES
        + """
mkl = ctypes.CDLL(f"{NATIVE}/libmkl_rt.so"); print("mkl-dynamic" in ids())
with corewise.limits(blas=1): print("mkl-dynamic" in ids())
"""
    )
    assert run(code, env=CLEAN | {"MKL_NUM_THREADS": "8"}) == "True\nFalse\n"
    assert run(code, env=CLEAN | {"MKL_NUM_THREADS": "2"}) == "False\nFalse\n"


def test_libomp_beside_libiomp(run: Run) -> None:
    code = """
import ctypes, corewise
ctypes.CDLL(f"{NATIVE}/clash/libomp.so"); ctypes.CDLL(f"{NATIVE}/clash/libiomp5.so")
print(corewise.doctor()[0].id)
"""
    assert run(code, env=CLEAN) == "libomp-and-libiomp\n"


@pytest.mark.parametrize("used", [True, False])
def test_a_fork_after_openmp(run: Run, used: bool) -> None:
    if not os.path.exists("/proc/self/syscall"):
        pytest.skip("this kernel does not tell where threads wait")
    code = (
        LIBRARIES
        + f"""
import time
regions = ctypes.CDLL(f"{{NATIVE}}/libregions.so")
if {used}:
    regions.team_size()
    time.sleep(0.5)  # its workers spin before they sleep
assert "fork-after-openmp" not in ids()
if os.fork() == 0:
    print("fork-after-openmp" in ids(), flush=True)
    os._exit(0)
os.wait()
"""
    )
    assert run(code, env=CLEAN | {"OMP_NUM_THREADS": "2"}) == f"{used}\n"


def test_findings_are_a_value_that_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = Findings([Finding("an-id", "danger", "what <b>", "why it is so " * 9, "do this")])
    assert pickle.loads(pickle.dumps(findings)) == findings
    monkeypatch.setenv("COLUMNS", "50")
    text = repr(findings)
    assert text.startswith("danger   what <b>\n  why    why it")
    assert max(map(len, text.splitlines())) <= 50
    assert "<b>" not in findings._repr_html_() and "&lt;b&gt;" in findings._repr_html_()
    assert "<p>nothing wrong" in Findings()._repr_html_()
    assert json.loads(findings.to_json())["findings"] == [findings[0]._asdict()]


def test_the_cure_is_said_in_the_words_of_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    cures = {"shell": "corewise run", "notebook": "%govern on", "python": "corewise.govern()"}
    finding = Finding("an-id", "danger", "what", "why", "everywhere", cures)
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert finding.cure() == "corewise.govern()"
    assert finding._replace(cures={}).cure() == "everywhere"
    for shell, cure in (
        (SimpleNamespace(), "corewise.govern()"),  # IPython in a terminal
        (SimpleNamespace(kernel=1), "%load_ext corewise, then %govern on"),
    ):
        ipython = SimpleNamespace(get_ipython=lambda shell=shell: shell)
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        assert finding.cure() == cure and cure in repr(Findings([finding]))
    loaded = SimpleNamespace(loaded=lambda: True)
    monkeypatch.setitem(sys.modules, "corewise.jupyter", loaded)
    assert finding.cure() == "%govern on"
    assert "What to do: %govern on" in Findings([finding])._repr_html_()


def test_json_is_the_document_of_the_core(run: Run) -> None:
    code = """
import corewise
from corewise import _core
print(corewise.doctor().to_json() == _core.doctor_json())
"""
    assert run(code, env=CLEAN | {"OMP_NUM_THREADS": "many"}) == "True\n"
