"""The example notebooks, run as a person would with "Run All Cells"."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import ENVIRONMENT
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples" / "notebooks"


def run(name: str) -> list[str]:
    """What each of its code cells shows, as text. A cell that fails, fails."""
    notebook: Any = nbformat.read(EXAMPLES / name, as_version=4)
    for cell in notebook.cells:
        assert not cell.get("outputs"), f"{name} is kept without outputs"
    path = f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}"
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(
        env=ENVIRONMENT | {"PATH": path}
    )
    return [
        "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_the_seeds_story() -> None:
    crash, pools, danger, limited, one, cure, report, off = run("seed_story.ipynb")
    assert "SIG" in crash or "exit code" in crash
    assert "libgomp" in pools and "2 copies of OpenBLAS" in pools
    assert "danger: 1,000 threads may call OpenBLAS at once" in danger
    assert "openmp=8 blas=4 for every cell" in limited
    assert "('blas', 1)" in one and "('openmp', 1)" in one
    assert "lives, inertia" in cure and "exit code 0" in cure
    assert "Governed, budget" in report and "regions and BLAS calls" in report
    assert "not governed any more" in off


@pytest.mark.skipif(
    not Path(sys.prefix, "share", "adk").exists(),
    reason="needs the trajectory: tools/setup.sh large",
)
def test_the_trajectory() -> None:
    loaded, _, shape, stages, distances = run("trajectory.ipynb")
    assert "98 frames" in loaded and "(98, 642)" in shape
    # The enzyme closes step by step: each stage is one stretch of the way.
    letters = stages.strip()
    assert len(letters) == 98 and sorted(letters) == list(letters) and set(letters) == set("ABCD")
    away = [float(line.split()[-5]) for line in distances.splitlines()]
    assert away == sorted(away)
