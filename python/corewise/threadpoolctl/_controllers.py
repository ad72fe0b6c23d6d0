"""Library controllers: those of known libraries, which the core backs, and the base of custom ones.

A custom controller works as in threadpoolctl: by file name prefix and symbols, over ctypes. A
built-in one is a view of a core pool; its `dynlib` is opened when first asked for.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

from .. import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from collections.abc import Callable
    from typing import Any

_HIDDEN = ("dynlib", "parent", "_dynlib", "_symbol_prefix", "_symbol_suffix")


_opened: dict[str, ctypes.CDLL] = {}


def _open(filepath: str) -> ctypes.CDLL:
    """The library as a CDLL, the same one each time; OSError if it is not loaded."""
    if filepath not in _opened:
        import ctypes

        _opened[filepath] = ctypes.CDLL(filepath, mode=os.RTLD_NOLOAD)
    return _opened[filepath]


def _determine_thread_limit_scope(
    get_n_threads: Callable[[], int], set_n_threads: Callable[[int], None]
) -> str:
    """How far a setter reaches: sets another count in a helper thread and looks here.

    "process", "current_thread", or "unknown" if the count did not take. Changes the count for a
    moment, for other threads as well.
    """
    from threading import Thread

    before = get_n_threads()
    other = before - 1 if before > 1 else 2
    seen: list[int] = []

    def probe() -> None:
        set_n_threads(other)
        seen.append(get_n_threads())

    helper = Thread(target=probe)
    try:
        helper.start()
        helper.join()
        if seen != [other]:
            return "unknown"
        return {other: "process", before: "current_thread"}.get(get_n_threads(), "unknown")
    finally:
        set_n_threads(before)


class LibController(ABC):
    """Reads and sets the thread count of one loaded library; subclass it to add a kind.

    Class attributes to define: `user_api`, `internal_api`, `filename_prefixes` (lower case), and if
    a name alone proves nothing `check_symbols`, of which one must be there. Methods to define:
    `get_num_threads`, `set_num_threads`, `get_version`. `set_additional_attributes` may store more,
    and `info` shows everything that is stored on the instance.

    Instances have `prefix`, `filepath`, `parent` (their ThreadpoolController), `dynlib` (a
    ctypes.CDLL) and `version`.
    """

    user_api: str
    internal_api: str
    filename_prefixes: tuple[str, ...]

    def __init__(self, *, filepath: Any = None, prefix: Any = None, parent: Any = None) -> None:
        """Do not override this."""
        self.parent = parent
        self.prefix = prefix
        self.filepath = filepath
        self.dynlib = _open(filepath)
        self._symbol_prefix, self._symbol_suffix = self._find_affixes()
        self.version = self.get_version()
        self.set_additional_attributes()

    def info(self, debugging_info: bool = False) -> dict[str, Any]:
        """What is known of the library, as a dictionary. With debugging_info also
        `thread_limit_scope`, which takes changing its count for a moment."""
        shown = {key: value for key, value in vars(self).items() if key not in _HIDDEN}
        result = {
            "user_api": self.user_api,
            "internal_api": self.internal_api,
            "num_threads": self.num_threads,
            **shown,
        }
        if debugging_info:
            result["thread_limit_scope"] = _determine_thread_limit_scope(
                self.get_num_threads, self.set_num_threads
            )
        return result

    def set_additional_attributes(self) -> None:  # noqa: B027
        """For subclasses: sets further attributes, which info will show."""

    @property
    def num_threads(self) -> Any:
        """The count now. Do not override this."""
        return self.get_num_threads()

    @abstractmethod
    def get_num_threads(self) -> Any:
        """The number of threads that the library may use."""

    @abstractmethod
    def set_num_threads(self, num_threads: int) -> Any:
        """Sets it; for the calling thread alone where the library can."""

    @abstractmethod
    def get_version(self) -> Any:
        """The library's version; None if it does not tell."""

    def _find_affixes(self) -> tuple[str, str]:
        return "", ""

    def _get_symbol(self, name: str) -> Any:
        return getattr(self.dynlib, f"{self._symbol_prefix}{name}{self._symbol_suffix}", None)


class _PoolController(LibController):
    """A pool of the core, seen as a library controller."""

    _extra: tuple[tuple[str, str], ...] = ()  # attribute here, attribute of the pool

    def __init__(self, *, filepath: Any = None, prefix: Any = None, parent: Any = None) -> None:
        for pool in _core.pools():
            if pool.path == filepath:
                self._adopt(pool, parent)
                return
        raise OSError(f"{filepath} is not loaded, or holds no known thread pool")

    def _adopt(self, pool: _core.Pool, parent: Any) -> None:
        self.parent = parent
        self.prefix = pool.prefix
        self.filepath = pool.path
        self.version = pool.version
        for ours, theirs in self._extra:
            setattr(self, ours, getattr(pool, theirs))
        self._pool = pool

    @property
    def dynlib(self) -> ctypes.CDLL:  # type: ignore[override]
        """The library as a ctypes.CDLL, opened when first asked for."""
        if "_dynlib" not in self.__dict__:
            self._dynlib = _open(self.filepath)
        return self._dynlib

    def __getattr__(self, name: str) -> Any:
        if name in ("_symbol_prefix", "_symbol_suffix"):
            self._symbol_prefix, self._symbol_suffix = self._find_affixes()
            return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def info(self, debugging_info: bool = False) -> dict[str, Any]:
        """What is known of the library, as a dictionary. With debugging_info also
        `thread_limit_scope`: "process", "current_thread" or "unknown"; nothing is changed."""
        result = _core.dropin_info_of(self._pool.id)
        if debugging_info:
            result["thread_limit_scope"] = self._scope()
        return result

    def _scope(self) -> str:
        return {"process": "process", "thread": "current_thread"}.get(self._pool.scope, "unknown")

    def get_num_threads(self) -> int:
        """The number of threads that the library may use, as the calling thread sees it."""
        return _core.threads_of(self._pool.id)

    def set_num_threads(self, num_threads: int) -> None:
        """Sets it until it is set again, or until the end of the `with threadpool_limits` around
        it. A count below 1 changes nothing and issues a UserWarning."""
        threads = valid_count(num_threads, self.prefix)
        if threads is not None:
            _core.set_threads(self._pool.id, threads)

    def get_version(self) -> str | None:
        """The library's version; None if it does not tell."""
        return self._pool.version


class OpenBLASController(_PoolController):
    """OpenBLAS. Over pthreads its count is the process's, over OpenMP the calling thread's."""

    user_api = "blas"
    internal_api = "openblas"
    filename_prefixes = ("libopenblas", "libblas", "libscipy_openblas", "openblas")
    check_symbols = tuple(
        f"{prefix}openblas_get_num_threads{suffix}"
        for prefix in ("", "scipy_")
        for suffix in ("", "64_", "_64")
    )
    _extra = (("threading_layer", "layer"), ("architecture", "architecture"))

    def _find_affixes(self) -> tuple[str, str]:
        for symbol in self.check_symbols:
            if hasattr(self.dynlib, symbol):
                prefix, _, suffix = symbol.partition("openblas_get_num_threads")
                return prefix, suffix
        return "", ""

    @classmethod
    def clear_controlling_thread(cls, force: bool = False) -> None:
        """Does nothing: here every thread may limit OpenBLAS, and limits of several compose."""


class BLISController(_PoolController):
    """BLIS."""

    user_api = "blas"
    internal_api = "blis"
    filename_prefixes = ("libblis", "libblas")
    check_symbols = (
        "bli_thread_get_num_threads",
        "bli_thread_set_num_threads",
        "bli_info_get_version_str",
        "bli_info_get_enable_openmp",
        "bli_info_get_enable_pthreads",
        "bli_arch_query_id",
        "bli_arch_string",
    )
    _extra = (("threading_layer", "layer"), ("architecture", "architecture"))


class MKLController(_PoolController):
    """Intel MKL, also where it is linked into another library."""

    user_api = "blas"
    internal_api = "mkl"
    filename_prefixes = ("libmkl_rt", "mkl_rt", "libblas")
    check_symbols = (
        "MKL_Get_Max_Threads",
        "MKL_Set_Num_Threads_Local",
        "MKL_Get_Version_String",
        "MKL_Set_Threading_Layer",
    )
    _extra = (("threading_layer", "layer"),)


class OpenMPController(_PoolController):
    """libgomp, libomp or libiomp5. The count is the calling thread's."""

    user_api = "openmp"
    internal_api = "openmp"
    filename_prefixes = ("libiomp", "libgomp", "libomp", "vcomp")
    check_symbols = ("omp_get_max_threads", "omp_get_num_threads")

    def get_version(self) -> None:
        """None: OpenMP libraries do not tell."""
        return None


class FlexiBLASController(_PoolController):
    """FlexiBLAS, which passes calls on to a backend that can be switched."""

    user_api = "blas"
    internal_api = "flexiblas"
    filename_prefixes = ("libflexiblas",)
    check_symbols = (
        "flexiblas_get_num_threads",
        "flexiblas_set_num_threads",
        "flexiblas_get_version",
        "flexiblas_list",
        "flexiblas_list_loaded",
        "flexiblas_current_backend",
    )

    @property
    def available_backends(self) -> list[str]:
        """Names in FlexiBLAS's configuration."""
        return self._list("flexiblas_list")

    @property
    def loaded_backends(self) -> list[str]:
        """Those of them that are loaded, in FlexiBLAS's order."""
        return self._list("flexiblas_list_loaded")

    @property
    def current_backend(self) -> str:
        """The one that calls go to."""
        name = self._buffer()
        self.dynlib.flexiblas_current_backend(name, len(name))
        return name.value.decode()

    @staticmethod
    def _buffer() -> ctypes.Array[ctypes.c_char]:
        import ctypes

        return ctypes.create_string_buffer(1024)

    def _list(self, function: str) -> list[str]:
        ask = getattr(self.dynlib, function)
        names = []
        for i in range(ask(None, 0, 0)):
            name = self._buffer()
            ask(name, len(name), i)
            # FlexiBLAS's own last resort, which its command line does not list either.
            if name.value != b"__FALLBACK__":
                names.append(name.value.decode())
        return names

    def switch_backend(self, backend: str) -> None:
        """Sends calls to another backend from now on, for the whole process.

        backend: a configured name, or the path of a library, which is loaded if need be. Raises
        RuntimeError if it cannot be loaded or switched to.
        """
        if backend not in self.loaded_backends:
            known = backend in self.available_backends
            load = "flexiblas_load_backend" if known else "flexiblas_load_backend_library"
            if getattr(self.dynlib, load)(str(backend).encode()) == -1:
                raise RuntimeError(
                    f"Failed to load backend {backend!r}. It must either be the name of a backend "
                    f"available in the FlexiBLAS configuration {self.available_backends} or the "
                    "path to a valid shared library."
                )
            self.parent._load_libraries()
        if self.dynlib.flexiblas_switch(self.loaded_backends.index(backend)) == -1:
            raise RuntimeError(f"Failed to switch to backend {backend!r}.")


def add_backends(info: dict[str, Any]) -> None:
    """Completes the dictionary of a FlexiBLAS pool; called by the extension module."""
    library = FlexiBLASController(filepath=info["filepath"])
    for key in ("available_backends", "loaded_backends", "current_backend"):
        info[key] = getattr(library, key)


def valid_count(num_threads: Any, what: str) -> int | None:
    """The count to set, at most the largest there is; None, with a warning, below 1."""
    if num_threads >= 1:
        return min(int(num_threads), _core.MAX_THREADS)
    import warnings

    warnings.warn(
        f"A limit of {num_threads} threads for {what} was ignored: ask for 1 or more.",
        UserWarning,
        stacklevel=3,
    )
    return None


_BUILT_IN: dict[str, type[_PoolController]] = {
    "openblas": OpenBLASController,
    "blis": BLISController,
    "mkl": MKLController,
    "libgomp": OpenMPController,
    "libomp": OpenMPController,
    "libiomp": OpenMPController,
    "flexiblas": FlexiBLASController,
}

_ALL_CONTROLLERS: list[type[LibController]] = list(dict.fromkeys(_BUILT_IN.values()))
_ALL_USER_APIS = ["blas", "openmp"]
_ALL_INTERNAL_APIS = [controller.internal_api for controller in _ALL_CONTROLLERS]
_ALL_PREFIXES = list(
    dict.fromkeys(prefix for kind in _ALL_CONTROLLERS for prefix in kind.filename_prefixes)
)
_ALL_BLAS_LIBRARIES = [kind.internal_api for kind in _ALL_CONTROLLERS if kind.user_api == "blas"]
_ALL_OPENMP_LIBRARIES = OpenMPController.filename_prefixes


def register(controller: type[LibController]) -> None:
    """Adds a kind of library: from now on loaded libraries are also matched to it."""
    _ALL_CONTROLLERS.append(controller)
    _ALL_USER_APIS.append(controller.user_api)
    _ALL_INTERNAL_APIS.append(controller.internal_api)
    _ALL_PREFIXES.extend(controller.filename_prefixes)
    _core.use_custom_controllers()


def pool_controllers(parent: Any, count: int) -> list[LibController]:
    """A new controller for each of the first `count` pools that threadpoolctl has a kind for."""
    found: list[LibController] = []
    for pool in _core.pools()[:count]:
        kind = _BUILT_IN.get(pool.runtime)
        if kind is not None:
            controller = kind.__new__(kind)
            controller._adopt(pool, parent)
            found.append(controller)
    return found


_Match = tuple[type[LibController], str, str]
_matched: tuple[tuple[int, int], list[_Match]] = ((0, 0), [])


def custom_controllers(parent: Any, taken: set[Any]) -> list[LibController]:
    """Controllers of registered kinds for loaded libraries whose paths are not taken."""
    global _matched
    now = (_core.generation(), len(_ALL_CONTROLLERS))
    if _matched[0] != now:
        kinds = [kind for kind in _ALL_CONTROLLERS if kind not in _BUILT_IN.values()]
        paths = dict.fromkeys(map(os.path.realpath, _core.module_paths() if kinds else ()))
        matches = (_match(kinds, path) for path in paths)
        _matched = (now, [match for match in matches if match])
    return [
        kind(filepath=path, prefix=prefix, parent=parent)
        for kind, path, prefix in _matched[1]
        if path not in taken
    ]


def _match(kinds: list[type[LibController]], path: str) -> _Match | None:
    name = os.path.basename(path).lower()
    for kind in kinds:
        prefix = next(filter(name.startswith, kind.filename_prefixes), None)
        if prefix is None:
            continue
        symbols = getattr(kind, "check_symbols", None)
        try:
            library = _open(path)
        except OSError:
            continue
        if symbols is None or any(hasattr(library, symbol) for symbol in symbols):
            return kind, path, prefix
    return None


def controller_for(path: str, parent: Any) -> LibController | None:
    """A controller for one loaded library; None if it is of no known kind."""
    real = os.path.realpath(path)
    found = pool_controllers(parent, _core.pool_count()) + custom_controllers(parent, set())
    return next((library for library in found if library.filepath == real), None)


class _ControllingThreadOwnership:
    """threadpoolctl's count of limits that hold OpenBLAS; kept for programs that name it."""

    def increment(self) -> None:
        """Does nothing: no thread owns OpenBLAS here."""

    def decrement(self) -> None:
        """Does nothing: no thread owns OpenBLAS here."""


CONTROLLING_THREAD_OWNERSHIP = _ControllingThreadOwnership()
