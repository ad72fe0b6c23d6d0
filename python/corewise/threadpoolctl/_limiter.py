"""threadpool_info, threadpool_limits and ThreadpoolController."""

from __future__ import annotations

from _thread import _local

from .. import _arrival, _core
from . import _controllers
from ._controllers import _ALL_CONTROLLERS, _ALL_USER_APIS, LibController

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

_BUILT_IN_KINDS = len(_ALL_CONTROLLERS)

_INCOMPATIBLE_OPENMP_MESSAGE = """
Found Intel OpenMP ('libiomp') and LLVM OpenMP ('libomp') loaded at
the same time. Both libraries are known to be incompatible and this
can cause random crashes or deadlocks on Linux when loaded in the
same Python program.
Using threadpoolctl may cause crashes or deadlocks. For more
information and possible workarounds, please see
    https://github.com/joblib/threadpoolctl/blob/master/multiple_openmp.md
"""


def threadpool_info(debugging_info: bool = False) -> list[dict[str, Any]]:
    """One dictionary for each BLAS and OpenMP library loaded now, in the order of loading.

    Keys: user_api ("blas", "openmp"), internal_api, num_threads, prefix, filepath, version (None
    if not told); threading_layer and architecture where there are several. With debugging_info
    also thread_limit_scope. Counts are those of the calling thread.
    """
    return ThreadpoolController().info(debugging_info)


class _ThreadpoolLimiter(_core.Limiter):
    """Open limits: made by ThreadpoolController.limit; ends with `with` or when restored."""

    @classmethod
    def wrap(
        cls, controller: Any, *, limits: Any = None, user_api: Any = None
    ) -> _ThreadpoolLimiterDecorator:
        """A decorator that limits each call."""
        return _ThreadpoolLimiterDecorator(controller, limits=limits, user_api=user_api)

    @property
    def _controller(self) -> ThreadpoolController:
        if self._held is None:
            self._held = ThreadpoolController()
        return self._held  # type: ignore[return-value]

    @property
    def _user_api(self) -> list[str]:
        asked = self._asked_api
        if asked is None:
            return list(_ALL_USER_APIS)
        return [asked] if isinstance(asked, str) else asked  # type: ignore[return-value]

    @property
    def _original_info(self) -> list[dict[str, Any]]:
        counts = self._original_counts
        custom: dict[str, Any] = getattr(self._custom, "original", {})
        infos = []
        for library in self._controller.lib_controllers:
            entry = library.info()
            pool = getattr(library, "_pool", None)
            if pool is None:
                entry["num_threads"] = custom.get(library.filepath, entry["num_threads"])
            elif pool.id < len(counts):
                entry["num_threads"] = counts[pool.id]
            infos.append(entry)
        return infos

    def get_original_num_threads(self) -> dict[str, int | None]:
        """For each API limited, the count before; None where no library is loaded. Where several
        libraries had different counts, the least, with a warning."""
        before = self._original_info
        result: dict[str, int | None] = {}
        several = []
        for api in self._user_api:
            counts = {entry["num_threads"] for entry in before if entry["user_api"] == api}
            result[api] = min(counts) if counts else None
            if len(counts) > 1:
                several.append(api)
        if several:
            import warnings

            warnings.warn(
                f"Multiple values possible for following user apis: {', '.join(several)}. "
                "Returning the minimum.",
                stacklevel=2,
            )
        return result


class _ThreadpoolLimiterDecorator:
    """Limits each call of a function, or a `with` block; usable from any number of threads."""

    def __init__(self, controller: Any, *, limits: Any = None, user_api: Any = None) -> None:
        from ._params import check

        check(controller or get_cached_controller(), limits, user_api)
        self._controller = controller
        self._limits = limits
        self._user_api = user_api
        self._here = _local()

    def _limiter(self) -> _ThreadpoolLimiter:
        return _ThreadpoolLimiter(self._controller, limits=self._limits, user_api=self._user_api)

    def __call__(self, function: Function) -> Function:
        from .._decorate import decorate

        return decorate(function, self._limiter)

    def __enter__(self) -> _ThreadpoolLimiterDecorator:
        limiter = self._limiter()
        limiter.__enter__()
        self._here.__dict__.setdefault("stack", []).append(limiter)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._here.stack.pop().__exit__(kind, error, trace)


class threadpool_limits(_ThreadpoolLimiter):
    """Limits BLAS and OpenMP thread pools, at once.

    limits      threads, 1 or more (an int), a dictionary by file path, prefix or API, a list as
                threadpool_info returns, a ThreadpoolController, "sequential_blas_under_openmp", or
                None for no limit
    user_api    "blas", "openmp" or None for both; only with an int

    With `with`, limits end with the block; else with `restore_original_limits()`. `wrap` makes a
    decorator. OpenMP, and OpenBLAS over OpenMP, are limited for the calling thread, other BLAS
    for the process. Raises ValueError for an unknown API, TypeError for limits of another kind.
    """

    def __init__(self, limits: Any = None, user_api: Any = None) -> None:
        super().__init__(None, limits=limits, user_api=user_api)

    @classmethod
    def wrap(cls, limits: Any = None, user_api: Any = None) -> Any:  # type: ignore[override]
        """A decorator that limits each call."""
        return super().wrap(None, limits=limits, user_api=user_api)


class ThreadpoolController:
    """The BLAS and OpenMP libraries that were loaded when it was made.

    Limits made from it, if nothing was selected, also reach libraries loaded later.
    """

    def __init__(self) -> None:
        self._load_libraries()
        self._warn_if_incompatible_openmp()

    @classmethod
    def _from_controllers(cls, lib_controllers: list[LibController]) -> ThreadpoolController:
        made = cls.__new__(cls)
        made.lib_controllers = lib_controllers
        return made

    def _load_libraries(self) -> None:
        # None: all that the core knows. Else the controllers that limits reach.
        self._reach: list[LibController] | None = None
        self._count = _core.pool_count()
        self._libraries: list[LibController] | None = None

    @property
    def lib_controllers(self) -> list[LibController]:
        """A LibController for each library."""
        if self._libraries is None:
            self._libraries = _controllers.pool_controllers(self, self._count)
            self._libraries += _controllers.custom_controllers(
                self, {library.filepath for library in self._libraries}
            )
        return self._libraries

    @lib_controllers.setter
    def lib_controllers(self, libraries: list[LibController]) -> None:
        self._libraries = self._reach = libraries

    def info(self, debugging_info: bool = False) -> list[dict[str, Any]]:
        """A dictionary for each library, as threadpool_info gives them."""
        if self._reach is None and not debugging_info and len(_ALL_CONTROLLERS) == _BUILT_IN_KINDS:
            return _core.dropin_info(self._count)
        if debugging_info:
            return [library.info(debugging_info=True) for library in self.lib_controllers]
        return [library.info() for library in self.lib_controllers]

    def select(self, **kwargs: Any) -> ThreadpoolController:
        """A controller of those libraries that match any of the keywords: attributes of the
        library, each a value or a list of values. Chain calls to require several."""
        wanted = {key: v if isinstance(v, list) else [v] for key, v in kwargs.items()}
        return self._from_controllers(
            [
                library
                for library in self.lib_controllers
                if any(getattr(library, key, None) in values for key, values in wanted.items())
            ]
        )

    def _get_params_for_sequential_blas_under_openmp(self) -> dict[str, Any]:
        # OpenBLAS over OpenMP is already sequential inside a region, and it shares its count with
        # the regions, which must stay parallel.
        shared = self.select(internal_api="openblas").select(threading_layer="openmp")
        if shared:
            return {"limits": None, "user_api": None}
        return {"limits": 1, "user_api": "blas"}

    def limit(self, *, limits: Any = None, user_api: Any = None) -> _ThreadpoolLimiter:
        """Limits these libraries, at once; arguments and use as of threadpool_limits."""
        return _ThreadpoolLimiter(self, limits=limits, user_api=user_api)

    def wrap(self, *, limits: Any = None, user_api: Any = None) -> _ThreadpoolLimiterDecorator:
        """A decorator that limits these libraries in each call."""
        return _ThreadpoolLimiter.wrap(self, limits=limits, user_api=user_api)

    def __len__(self) -> int:
        return len(self.lib_controllers)

    def _find_libraries_with_python(self, dllist: Callable[[], list[str]]) -> None:
        """Adds the libraries that a function like ctypes.util.dllist lists."""
        try:
            paths = dllist()
        except OSError as error:
            import warnings

            warnings.warn(
                f"ctypes.util.dllist failed to list loaded libraries ({error!r}). Native thread "
                "pools will not be inspected for this ThreadpoolController.",
                RuntimeWarning,
                stacklevel=2,
            )
            return
        for path in paths:
            self._make_controller_from_path(path)

    def _make_controller_from_path(self, filepath: str) -> None:
        library = _controllers.controller_for(filepath, self)
        if library and library.filepath not in {known.filepath for known in self.lib_controllers}:
            self.lib_controllers.append(library)

    def _warn_if_incompatible_openmp(self) -> None:
        if _has_incompatible_openmp(self._count):
            import warnings

            warnings.warn(_INCOMPATIBLE_OPENMP_MESSAGE, RuntimeWarning, stacklevel=3)


_openmp_seen: tuple[int, bool] = (0, False)


def _has_incompatible_openmp(count: int) -> bool:
    global _openmp_seen
    if _openmp_seen[0] != count:
        both = {"libomp", "libiomp"} <= {pool.prefix for pool in _core.pools()}
        _openmp_seen = (count, both)
    return _openmp_seen[1]


_CACHED_CONTROLLER: tuple[tuple[int, int], ThreadpoolController] | None = None


def get_cached_controller() -> ThreadpoolController:
    """A shared controller, made anew if any library was loaded or unloaded meanwhile."""
    global _CACHED_CONTROLLER
    now = (_core.generation(), len(_ALL_CONTROLLERS))
    cached = _CACHED_CONTROLLER
    if cached is None or cached[0] != now:
        cached = _CACHED_CONTROLLER = (now, ThreadpoolController())
    return cached[1]


def reset_cached_controller() -> None:
    """Lets the next get_cached_controller make a new one."""
    global _CACHED_CONTROLLER
    _CACHED_CONTROLLER = None


_arrival.watch()
