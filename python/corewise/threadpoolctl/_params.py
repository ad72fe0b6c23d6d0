"""What the arguments `limits` and `user_api` mean, and which errors they raise."""

from __future__ import annotations

from operator import index

from ._controllers import _ALL_USER_APIS, LibController, valid_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._custom import CustomLimit

# cw_api of the APIs that the core limits by name; -1 in a rule stands for one pool by id.
_API = {"openmp": 0, "blas": 1}


def check(controller: Any, limits: Any, user_api: Any) -> tuple[dict[str, Any] | None, list[str]]:
    """Limits as a dictionary (None: leave all alone), and the APIs that they speak of.

    Raises ValueError for an unknown API, TypeError for limits of another kind.
    """
    from ._limiter import ThreadpoolController

    if isinstance(limits, str) and limits == "sequential_blas_under_openmp":
        params = controller._get_params_for_sequential_blas_under_openmp()
        limits, user_api = params["limits"], params["user_api"]
    if limits is None or isinstance(limits, int):
        if user_api is not None and user_api not in _ALL_USER_APIS:
            raise ValueError(
                f"user_api must be either in {_ALL_USER_APIS} or None. Got {user_api} instead."
            )
        apis = list(_ALL_USER_APIS) if user_api is None else [user_api]
        return (None if limits is None else dict.fromkeys(apis, limits)), apis
    if isinstance(limits, list):
        limits = {
            (entry["filepath"] if "filepath" in entry else entry["prefix"]): entry["num_threads"]
            for entry in limits
        }
    elif isinstance(limits, ThreadpoolController):
        limits = {library.filepath: library.num_threads for library in limits.lib_controllers}
    if not isinstance(limits, dict):
        raise TypeError(
            "limits must either be an int, a list, a dict, or 'sequential_blas_under_openmp'. "
            f"Got {type(limits)} instead"
        )
    return limits, [api for api in limits if api in _ALL_USER_APIS]


def resolve(
    controller: Any, limits: Any, user_api: Any
) -> tuple[list[tuple[int, int, int]], list[str], Any]:
    """What a limiter has to open: rules for the core as (API or -1, pool id, threads), the APIs
    spoken of, and a function that limits custom controllers (None if there are none)."""
    from ._limiter import ThreadpoolController

    if controller is None:
        controller = ThreadpoolController()
    limits, apis = check(controller, limits, user_api)
    if limits is None:
        return [], apis, None
    counts = {
        key: None if value is None else valid_count(index(value), repr(key))
        for key, value in limits.items()
    }
    rules: list[tuple[int, int, int]] = []
    custom: list[tuple[LibController, int]] = []
    for library in controller.lib_controllers:
        names = (library.filepath, library.prefix, library.user_api)
        threads = next((counts[name] for name in names if name in counts), None)
        if threads is None:
            continue
        pool = getattr(library, "_pool", None)
        if pool is None:
            custom.append((library, threads))
        else:
            rules.append((-1, pool.id, threads))
    # For libraries still to come, unless a key leaves a library alone: it might be one of them.
    if controller._reach is None and None not in counts.values():
        rules += [(_API[api], 0, counts[api]) for api in apis if api in _API]  # type: ignore[misc]

    def limit_custom() -> CustomLimit:
        from ._custom import CustomLimit

        return CustomLimit(custom)

    return rules, apis, limit_custom if custom else None
