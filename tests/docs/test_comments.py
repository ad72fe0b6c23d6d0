"""The examples in docstrings, in the C++ header and in the commands' help run as they stand."""

import importlib
import inspect
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runners import environment, run_cpp, shell

# The site's reader of docstrings needs it. `make test` alone does not install the site's wheels.
pytest.importorskip("docutils")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
docstrings = importlib.import_module("docstrings")
commands = importlib.import_module("commands")

# What the examples take for granted.
NAMES = """
import corewise, corewise.dask, corewise.sklearn
from corewise import *
from corewise.sklearn import Limited
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
model, grid = LogisticRegression(), {"C": [1, 10]}
"""


class Client:
    """A Dask client takes plugins; tests/estimators has real ones."""

    def register_plugin(self, plugin: Any) -> None:
        assert plugin.name == "corewise"


def documented() -> Iterator[tuple[str, str]]:
    import corewise

    for name in corewise.__all__:
        thing = getattr(corewise, name)
        if isinstance(thing, types.ModuleType):
            for inner in getattr(thing, "__all__", ()):
                yield f"{name}.{inner}", getattr(thing, inner).__doc__ or ""
        elif not isinstance(thing, str):
            yield name, thing.__doc__ or ""


def examples() -> list:
    found = []
    for name, text in documented():
        lines = inspect.cleandoc(text).splitlines()
        for paragraph in docstrings.paragraphs(lines):
            table = docstrings.rows(paragraph)
            if table and not docstrings.are_parameters(table):
                found += [pytest.param(row.left, id=f"{name}: {row.left}") for row in table]
    return found


@pytest.mark.parametrize("code", examples())
def test_docstring(code: str) -> None:
    names: dict[str, Any] = {"client": Client()}
    exec(NAMES, names)
    if code.startswith("@"):
        code += "\ndef function(): return 1\nfunction()"
    exec(code, names)
    for value in names.values():
        if isinstance(value, names["limits"]):
            value.restore()


def test_the_header_of_cpp(tmp_path: Path) -> None:
    header = (ROOT / "include" / "corewise.hpp").read_text()
    lines = re.findall(r"^///     (.+)$", header, re.M)
    assert len(lines) == 3
    body = "\n".join(lines)
    run_cpp(f"#include <corewise.hpp>\n#include <cstdio>\nint main() {{\n{body}\n}}\n", tmp_path)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A folder with all files that the examples name, and a process that can be asked."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "train.py").write_text("import numpy")
    (folder / "simulation").write_text("#!/bin/sh\ntrue\n")
    (folder / "simulation").chmod(0o755)
    (folder / "Makefile").write_text("all:\n")
    for made in (".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions"):
        (folder / made).mkdir(parents=True)
    program = "import corewise, numpy, sys; corewise.info(); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield folder, other.pid
        other.kill()


def of_commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```", commands.manual(), re.M | re.S)
    # fish is not there, and `top` without a word more is for a terminal (tests/cli/test_top.py).
    return [
        line
        for line in "".join(blocks).splitlines()
        if "| source" not in line and line != "corewise top"
    ]


def test_the_examples_of_the_commands(running: tuple[Path, int]) -> None:
    folder, pid = running
    # Small machines have no budget of 8, and big libraries take seconds to load.
    stand_ins = {"4711": str(pid), "--budget 8": "--budget 1", "--seconds 10": "--seconds 0.2"}
    stand_ins |= {"torch": "numpy", "numpy scipy sklearn": "numpy", "-i sklearn": "-i numpy"}
    stand_ins |= {"~": str(folder), "--set 8": "--set 1", "sudo ": ""}
    for line in of_commands():
        command = line
        for shown, used in stand_ins.items():
            command = command.replace(shown, used)
        done = shell(f"set -o pipefail; {command}", folder)
        # 1: the doctor found something; 11: there is no such library to try; 13: nobody is in the
        # group.
        may_end = {"doctor": 1, "--try-bend": 11, "budget --group": 13}
        allowed = (0, *(code for words, code in may_end.items() if words in line))
        assert done.returncode in allowed, f"$ {line}\n{done.stdout}{done.stderr}"
    assert os.listdir(folder / ".zfunc") == ["_corewise"]
