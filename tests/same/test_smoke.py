"""Popular wheels, imported and used once: they print the same and end the same plain, with `import
corewise` before and after, and under `corewise run`. `make test-smoke`.

Also uses the environments of `make test-same`, if they are installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness import SMOKE, Mode, Program, difference, forget_group, packages


@pytest.fixture(scope="module", autouse=True)
def end_of_group() -> Iterator[None]:
    yield
    forget_group()


ADDED = [(program, mode) for program in packages(smoke=True) for mode in SMOKE]
# The other suite runs these under `corewise run`, in more ways.
OTHERS = [(program, mode) for program in packages() for mode in SMOKE if mode.imports]


@pytest.mark.parametrize(("program", "mode"), ADDED + OTHERS, ids=str)
def test_smoke(program: Program, mode: Mode) -> None:
    found = difference(program, mode)
    assert not found, found
