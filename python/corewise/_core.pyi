"""The extension module: corewise.hpp in Python. Private; use the names of `corewise`."""

from collections.abc import Sequence

MATCH_ALL: int
MATCH_API: int
MATCH_PATH: int
MATCH_NAME: int
MATCH_ID: int
MAX_THREADS: int

class Pool:
    """One thread pool: a runtime found in one loaded library. Equal and hashed by `id`.

    Safe from any thread. Handles never become stale: a recognised library is kept loaded.
    """

    @property
    def id(self) -> int:
        """Index from 0, stable for the life of the process."""
    @property
    def api(self) -> str:
        """What user code asks for: openmp, blas, tbb, arrow or numba."""
    @property
    def runtime(self) -> str:
        """The kind of library: openblas, mkl, blis, flexiblas, libgomp, libomp, tbb..."""
    @property
    def threads(self) -> int | None:
        """Threads that the next region or call of the calling thread may use, read now; None
        where the library does not tell. Raises LibraryLied if its answer is nonsense."""
    @property
    def scope(self) -> str:
        """Whom setting the count reaches: process, thread (the calling one) or none (cannot)."""
    @property
    def ceiling(self) -> int | None:
        """The most threads it can be set to; None when there is no fixed ceiling."""
    @property
    def caller_slots(self) -> int | None:
        """Concurrent calls that it can hold; None when unbounded or unknown."""
    @property
    def prefix(self) -> str:
        """The start of the file name, by which limits may name it: libgomp."""
    @property
    def path(self) -> str:
        """The library file, links resolved; as loaded if it is gone."""
    @property
    def version(self) -> str | None:
        """None where the library does not tell."""
    @property
    def layer(self) -> str | None:
        """Threading layer: pthreads, openmp, disabled, intel... None where there is one only."""
    @property
    def architecture(self) -> str | None:
        """The kernels in use: SkylakeX... None where the library does not tell."""
    @property
    def detail(self) -> str | None:
        """One clause worth knowing; None if there is none."""
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

class Receipt:
    def __init__(self, rules: list[tuple[int, bytes, int, int]]) -> None: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def missed(self) -> bool: ...
    def close(self) -> int: ...
    def outcomes(self) -> list[tuple[int, int | None, int, int | None, str]]: ...

class Limiter:
    def __init__(
        self, controller: object, *, limits: object = None, user_api: object = None
    ) -> None: ...
    def __enter__(self) -> Limiter: ...
    def __exit__(self, kind: object, error: object, trace: object, /) -> None: ...
    def restore_original_limits(self) -> None: ...
    def unregister(self) -> None: ...
    _held: object
    @property
    def _limits(self) -> object: ...
    @property
    def _asked_api(self) -> object: ...
    @property
    def _original_counts(self) -> Sequence[int]: ...
    @property
    def _custom(self) -> object: ...

def pools() -> list[Pool]: ...
def records() -> list[tuple[object, ...]]: ...
def pool_count() -> int: ...
def refresh() -> bool: ...
def generation() -> int: ...
def module_paths() -> list[str]: ...
def version() -> str: ...
def dropin_info(count: int = -1) -> list[dict[str, object]]: ...
def dropin_info_of(id: int) -> dict[str, object]: ...
def threads_of(id: int) -> int: ...
def set_threads(id: int, threads: int) -> None: ...
def use_custom_controllers() -> None: ...
