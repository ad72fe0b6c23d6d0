"""The two pools that in-process tests limit: a stub of process scope, and system libgomp."""

from __future__ import annotations

import ctypes
from pathlib import Path

import corewise


class Pools:
    """Loads them once and sets both to `start` threads."""

    start = 16

    def __init__(self, native: Path) -> None:
        self._stub = ctypes.CDLL(str(native / "stub/libopenblas_stub.so"))
        self._regions = ctypes.CDLL(str(native / "libregions.so"))
        paths = {pool.path: pool for pool in corewise.pools()}
        self.blas = paths[str(native.resolve() / "stub/libopenblas_stub.so")]
        self.openmp = next(pool for pool in paths.values() if pool.runtime == "libgomp")
        corewise.limits({self.blas: self.start, self.openmp: self.start})

    def now(self) -> tuple[int | None, int | None]:
        """Threads of the BLAS and the OpenMP pool, as the calling thread sees them."""
        return self.blas.threads, self.openmp.threads

    def team_size(self) -> int:
        """Threads that a region of the calling thread really gets."""
        return int(self._regions.team_size())

    def set_blas_behind_our_back(self, threads: int) -> None:
        self._stub.openblas_set_num_threads(threads)
