"""A governed program cannot be told from an ungoverned one: real programs, what they print and how
they end, with small budgets, beside others, and with a budget that comes and goes. `make test-same`
runs all; `--quick` runs what needs no environment of its own, in the modes that find the most."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import (
    HANGS_UNGOVERNED,
    MODES,
    QUICK,
    QUICK_PACKAGES,
    Mode,
    Program,
    difference,
    forget_group,
    idiom,
    idioms,
    packages,
    run,
)


@pytest.fixture(scope="module", autouse=True)
def end_of_group() -> Iterator[None]:
    yield
    forget_group()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    quick = metafunc.config.getoption("--quick")
    if "how" in metafunc.fixturenames:
        forks = metafunc.function is test_forked_child
        found = [pair for pair in idioms() if (pair[0] in HANGS_UNGOVERNED) == forks]
        found = [pair for pair in found if not (quick and pair[1].startswith("intel"))]
        metafunc.parametrize(("name", "how"), found, ids=["-".join(pair) for pair in found])
    elif "program" in metafunc.fixturenames:
        found = [program for program in packages() if not quick or program.name in QUICK_PACKAGES]
        metafunc.parametrize("program", found, ids=str)
    modes = [mode for mode in MODES if not quick or mode.name in QUICK]
    metafunc.parametrize("mode", modes, ids=str)


def test_idiom(name: str, how: str, mode: Mode) -> None:
    found = difference(Program(name, (str(idiom(name, how)),)), mode)
    assert not found, found


def test_package(program: Program, mode: Mode) -> None:
    found = difference(program, mode)
    assert not found, found


def test_forked_child(name: str, how: str, mode: Mode) -> None:
    """The ungoverned program cannot be the judge here: with gcc's runtime it hangs."""
    for copy in run(Program(name, (str(idiom(name, how)),)), mode):
        assert (copy.code, copy.out) == (0, "children 5, parent 1\n" * 2), copy
