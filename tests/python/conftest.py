"""Helpers of all Python tests: small native libraries, and programs run in fresh processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pools import Pools

HERE = Path(__file__).parent
OURS = "corewise.threadpoolctl"
THEIRS = "threadpoolctl"

_BUILDS = {
    "stub/libopenblas_stub.so": ("stub_openblas.c", ()),
    "second/libopenblas_stub.so": ("stub_openblas.c", ()),
    "libmkl_rt.so": ("stub_mkl.c", ()),
    "libopenblas_stubborn.so": ("stub_stubborn.c", ()),
    "libopenblas_waiting.so": ("stub_waiting.c", ()),
    "clash/libomp.so": ("stub_llvm_openmp.c", ()),
    "clash/libiomp5.so": ("stub_llvm_openmp.c", ("-Wl,-soname,libiomp5.so",)),
    "libregions.so": ("regions.c", ("-fopenmp",)),
    "libcustom_pool.so": ("custom.c", ()),
    "libends_early.so": ("ends_early.c", ()),
    "libdie_together.so": ("die_together.c", ("-pthread",)),
}


def need_numpy_wheel() -> None:
    """Skips unless importing numpy loads an OpenBLAS of its own."""
    numpy = pytest.importorskip("numpy")
    if not Path(numpy.__file__).parents[1].joinpath("numpy.libs").exists():
        pytest.skip("needs numpy's own wheel")


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the libraries of native/, compiled."""
    folder = tmp_path_factory.mktemp("native")
    for name, (source, flags) in _BUILDS.items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        command = ["cc", "-shared", "-fPIC", "-O1", *flags, "-o", target, HERE / "native" / source]
        subprocess.run(command, check=True)
    return folder


class Array:
    """Has the methods of a number, as NumPy's arrays do, and is none."""

    def __index__(self) -> int:
        raise TypeError("only integer scalar arrays can be converted to a scalar index")

    def __float__(self) -> float:
        raise TypeError("only 0-dimensional arrays can be converted to Python scalars")


Run = Callable[..., str]


@pytest.fixture
def run(native: Path) -> Run:
    """Runs a program in a fresh interpreter and returns what it prints.

    The program finds the compiled libraries in NATIVE. A program that fails, or does not end in
    time, fails the test.
    """

    def run(code: str, *args: str, env: dict[str, str] | None = None, timeout: float = 120) -> str:
        done = subprocess.run(
            [sys.executable, "-c", f"NATIVE = {str(native)!r}\n{code}", *args],
            capture_output=True,
            check=False,
            text=True,
            timeout=timeout,
            env=env,
        )
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def pools(native: Path) -> Iterator[Pools]:
    """Both pools at 16 threads; the test must leave them as it found them."""
    both = Pools(native)
    assert both.now() == (16, 16)
    yield both
    assert both.now() == (16, 16)
