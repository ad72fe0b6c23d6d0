"""The tutorial in a fresh virtual environment that has what it names, and what that needs.

The files of these packages are those of the environment that runs the tests: nothing is fetched.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from test_code_blocks import ROOT, Block, blocks_of, run_block

PAGE = ROOT / "docs/tutorial.md"
# A notebook is there already, and has it.
OF_THE_NOTEBOOK = ["ipykernel"]


def named() -> list[str]:
    """What the page says that one needs."""
    said = re.search(r"You need ([^.]+)\.", PAGE.read_text())
    assert said is not None
    without_reasons = re.sub(r"\([^)]*\)", "", said[1])
    return re.split(r",\s+|\s+and\s+", " ".join(without_reasons.split()))


def with_what_they_need(names: list[str]) -> set[str]:
    found: set[str] = set()
    left = [name.lower() for name in names]
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        needed = (Requirement(line) for line in distribution(name).requires or ())
        left += [each.name.lower() for each in needed if not each.marker or each.marker.evaluate()]
    return found


def put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def install(name: str, venv: Path) -> None:
    """Its files, at the same places below the environment; scripts start with its Python."""
    for file in distribution(name).files or ():
        source = Path(distribution(name).locate_file(file)).resolve()
        if not source.exists() or source.suffix == ".pyc":
            continue
        target = venv / source.relative_to(sys.prefix)
        if target.parent == venv / "bin" and source.read_bytes().startswith(b"#!"):
            _, _, rest = source.read_text().partition("\n")
            target.write_text(f"#!{venv}/bin/python\n{rest}")
            target.chmod(0o755)
        else:
            put(source, target)


@pytest.fixture(scope="module")
def fresh() -> Iterator[Path]:
    # pytest's own folders are so deep that paths of libraries would be shortened in tables.
    with tempfile.TemporaryDirectory() as folder:
        venv = Path(folder).resolve() / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        for name in with_what_they_need(named()):
            install(name, venv)
        yield venv


def test_it_names_what_it_needs() -> None:
    assert named() == ["corewise", "scikit-learn", "Pillow", "mdtraj"]
    assert "numpy" in with_what_they_need(named()) and "pytest" not in with_what_they_need(named())


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=place) for block, place in blocks_of(PAGE)]
)
def test_in_a_fresh_environment(
    block: Block, fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if block.kind == "ipython":
        for name in with_what_they_need(OF_THE_NOTEBOOK) - with_what_they_need(named()):
            if not list(fresh.glob(f"lib/*/site-packages/{name.replace('-', '_')}-*.dist-info")):
                install(name, fresh)
    for variable in ("PYTHONPATH", "VIRTUAL_ENV", "COREWISE_PYTHON"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "executable", str(fresh / "bin/python"))
    run_block(block, tmp_path)
