"""Pools that are larger than the machine, here and in every worker that a test starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

# Read by OpenMP as it loads: the count that new threads and workers begin with.
os.environ["OMP_NUM_THREADS"] = "16"

import corewise
import pytest
from joblib.externals.loky import get_reusable_executor
from joblib.parallel import BACKENDS, LokyBackend, MultiprocessingBackend, ThreadingBackend
from probe import counts

WIDE = (16, 8)


@pytest.fixture
def wide() -> Iterator[tuple[int, int]]:
    """16 OpenMP and 8 BLAS threads; the test has to leave the pools so. Processes that are not
    forked begin with as many BLAS threads as there are CPUs: OpenBLAS takes no more."""
    with corewise.limits(blas=8):
        assert counts() == WIDE
        yield WIDE
        assert counts() == WIDE


@pytest.fixture(autouse=True)
def backends_as_joblib_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What corewise has put in their place lasts as long as the process."""
    for backend in (LokyBackend, ThreadingBackend, MultiprocessingBackend):
        name = backend.__name__.removesuffix("Backend").lower()
        monkeypatch.setitem(BACKENDS, name, backend)


@pytest.fixture(scope="session", autouse=True)
def end_of_loky() -> Iterator[None]:
    """Its workers would stay for minutes."""
    yield
    get_reusable_executor(reuse=True).shutdown(wait=True)


@pytest.fixture
def of_16_cpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Divisions are those of a machine with 16 CPUs, by the real rules."""
    for path, text in {
        "proc/self/status": "Cpus_allowed_list:\t0-15\n",
        "sys/devices/system/cpu/online": "0-15\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    def plan(processes: int, openmp: int | None, blas: int | None) -> SimpleNamespace:
        command = [sys.executable, "-m", "corewise", "plan", "--json", "--recorded", str(tmp_path)]
        asked = {"processes": processes, "openmp": openmp, "blas": blas}
        for name, value in asked.items():
            command += [f"--{name}", str(value)] if value is not None else []
        told = json.loads(subprocess.check_output(command, text=True))
        levels = {level["level"]: level["count"] for level in told["levels"]}
        return SimpleNamespace(floor=told["floor"], **levels)

    monkeypatch.setattr("corewise._share.plan", plan)
    monkeypatch.setattr("joblib._parallel_backends.cpu_count", lambda *_: 16)
