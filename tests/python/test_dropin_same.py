"""The drop-in does what threadpoolctl 3.8 does, with real libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dropin_scenarios
import pytest
from conftest import OURS, THEIRS, Run

pytest.importorskip("threadpoolctl")
pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def results(native: Path) -> dict[str, dict[str, Any]]:
    def play(implementation: str) -> Any:
        command = [sys.executable, dropin_scenarios.__file__, implementation, str(native)]
        return json.loads(subprocess.check_output(command, timeout=300))

    return {implementation: play(implementation) for implementation in (OURS, THEIRS)}


@pytest.mark.parametrize("name", sorted(dropin_scenarios.SCENARIOS))
def test_scenario(results: dict[str, dict[str, Any]], name: str) -> None:
    ours, theirs = results[OURS][name], results[THEIRS][name]
    assert "returned" in theirs, theirs["failed"]
    assert "returned" in ours, ours["failed"]
    assert ours == theirs


@pytest.mark.parametrize("implementation", [OURS, THEIRS])
def test_warns_of_two_llvm_openmp(run: Run, implementation: str) -> None:
    out = run(
        f"""
import ctypes, warnings
import {implementation} as tp
for name in ("libomp.so", "libiomp5.so"):
    ctypes.CDLL(f"{{NATIVE}}/clash/{{name}}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tp.ThreadpoolController(), tp.threadpool_info()
    print([(w.category.__name__, str(w.message).split("\\n")[1]) for w in caught])
print([e["prefix"] for e in sorted(tp.threadpool_info(), key=lambda e: e["prefix"])])
"""
    )
    before, after, prefixes = map(eval, out.splitlines())
    assert before == []
    message = "Found Intel OpenMP ('libiomp') and LLVM OpenMP ('libomp') loaded at"
    assert after == [("RuntimeWarning", message)] * 2
    assert prefixes == ["libiomp", "libomp"]


@pytest.mark.parametrize("implementation", [OURS, THEIRS])
def test_allows_duplicate_openmp_unless_told(run: Run, implementation: str) -> None:
    code = f"import os, {implementation}; print(os.environ['KMP_DUPLICATE_LIB_OK'])"
    assert run(code, env={}) == "True\n"
    assert run(code, env={"KMP_DUPLICATE_LIB_OK": "no"}) == "no\n"


def command_line(implementation: str, *args: str) -> tuple[Any, str]:
    done = subprocess.run(
        [sys.executable, "-m", implementation, *args], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("args", [(), ("-i", "numpy", "no_such_module"), ("-c", "import numpy")])
def test_command_line(args: tuple[str, ...]) -> None:
    ours, theirs = command_line(OURS, *args), command_line(THEIRS, *args)
    assert ours == theirs
    assert [list(entry) for entry in ours[0]] == [list(entry) for entry in theirs[0]]
    assert (ours[1] == "WARNING: could not import no_such_module\n") is ("-i" in args)


@pytest.mark.parametrize("implementation", [OURS, THEIRS])
def test_command_line_refuses_unknown_options(implementation: str) -> None:
    done = subprocess.run([sys.executable, "-m", implementation, "--frobnicate"], check=False)
    assert done.returncode == 2
