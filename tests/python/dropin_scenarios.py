"""What users of threadpoolctl rely on, run against an implementation with real libraries.

python dropin_scenarios.py IMPLEMENTATION NATIVE_FOLDER
prints a JSON object: what each scenario returned, or how it failed. test_dropin_same.py requires
that no scenario fails and that both implementations return the same.
"""

from __future__ import annotations

import ctypes
import importlib
import inspect
import json
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from typing import Any

SCENARIOS: dict[str, Callable[[Any], Any]] = {}
REGIONS: Any = None
NATIVE = ""


def scenario(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    SCENARIOS[function.__name__] = function
    return function


def counts(tp: Any) -> dict[str, int]:
    return {entry["filepath"]: entry["num_threads"] for entry in tp.threadpool_info()}


def by_api(tp: Any) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {"blas": [], "openmp": []}
    for entry in sorted(tp.threadpool_info(), key=lambda entry: entry["filepath"]):
        found.setdefault(entry["user_api"], []).append(entry["num_threads"])
    return found


def failure(call: Callable[[], Any]) -> list[str]:
    try:
        call()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["no error"]


@scenario
def info_entries(tp: Any) -> Any:
    entries = sorted(tp.threadpool_info(), key=lambda entry: entry["filepath"])
    assert {entry["user_api"] for entry in entries} == {"blas", "openmp"}
    return [list(entry.items()) for entry in entries]


@scenario
def info_is_new_each_time(tp: Any) -> Any:
    first = tp.threadpool_info()
    first[0]["num_threads"] = "changed"
    del first[0]["prefix"]
    return tp.threadpool_info()[0]["prefix"] != "" and "changed" not in str(tp.threadpool_info())


@scenario
def debugging_info(tp: Any) -> Any:
    entries = sorted(tp.threadpool_info(debugging_info=True), key=lambda e: e["filepath"])
    assert [list(entry)[-1] for entry in entries] == ["thread_limit_scope"] * len(entries)
    return [entry["thread_limit_scope"] for entry in entries]


@scenario
def public_surface(tp: Any) -> Any:
    def shape(call: Any) -> list[list[str]]:
        parameters = inspect.signature(call).parameters.values()
        return [[p.name, str(p.kind), repr(p.default)] for p in parameters]

    return [
        sorted(tp.__all__),
        tp.__version__.split(".")[:2],
        *(
            shape(call)
            for call in (
                tp.threadpool_info,
                tp.threadpool_limits,
                tp.threadpool_limits.wrap,
                tp.ThreadpoolController,
                tp.ThreadpoolController.info,
                tp.ThreadpoolController.limit,
                tp.ThreadpoolController.wrap,
                tp.ThreadpoolController.select,
                tp.get_cached_controller,
                tp.reset_cached_controller,
                tp.register,
                tp.OpenBLASController.clear_controlling_thread,
                tp.LibController.set_num_threads,
            )
        ),
    ]


@scenario
def kinds_of_controllers(tp: Any) -> Any:
    rows: list[Any] = [
        [kind.__name__, kind.user_api, kind.internal_api, list(map(sorted, names))]
        for kind in tp._ALL_CONTROLLERS[:5]
        for names in [(kind.filename_prefixes, kind.check_symbols)]
    ]
    return [*rows, sorted(tp._ALL_USER_APIS), tp._ALL_INTERNAL_APIS, sorted(tp._ALL_PREFIXES)]


@scenario
def library_objects(tp: Any) -> Any:
    controller = tp.ThreadpoolController()
    rows = []
    for library in sorted(controller.lib_controllers, key=lambda lib: lib.filepath):
        assert isinstance(library, tp.LibController)
        assert isinstance(library.dynlib, ctypes.CDLL)
        assert library.parent is controller
        assert library.info() in controller.info()
        assert library.num_threads == library.get_num_threads()
        rows.append(
            [type(library).__name__, library.prefix, library.filepath, library.version]
            + [library.get_version(), library._symbol_prefix, library._symbol_suffix]
            + [getattr(library, name, None) for name in ("threading_layer", "architecture")]
        )
    return rows


@scenario
def library_setter_inside_scope(tp: Any) -> Any:
    seen = []
    for library in sorted(tp.ThreadpoolController().lib_controllers, key=lambda lib: lib.filepath):
        with tp.threadpool_limits():
            library.set_num_threads(1)
            seen.append(library.num_threads)
    return seen


@scenario
def limit_everything(tp: Any) -> Any:
    with tp.threadpool_limits(limits=1) as limiter:
        inside = by_api(tp)
        assert limiter.get_original_num_threads() == {"blas": 2, "openmp": 2}
    assert set(inside["blas"]) == {1}
    return inside


@scenario
def limit_one_api(tp: Any) -> Any:
    seen = []
    for api in ("blas", "openmp"):
        with tp.threadpool_limits(1, user_api=api) as limiter:
            seen.append([by_api(tp), limiter.get_original_num_threads()])
    return seen


@scenario
def limit_nothing(tp: Any) -> Any:
    with tp.threadpool_limits(limits=None, user_api="blas") as limiter:
        return [by_api(tp), limiter.get_original_num_threads()]


@scenario
def limit_by_dictionary(tp: Any) -> Any:
    entries = sorted(tp.threadpool_info(), key=lambda entry: entry["filepath"])
    blas = [entry for entry in entries if entry["user_api"] == "blas"]
    path, prefix = blas[0]["filepath"], blas[0]["prefix"]
    seen = []
    for limits in (
        {"blas": 1},
        {prefix: 1, "blas": 2},
        {path: 1, prefix: 2},
        {path: 2, "blas": 1},
        {path: None, "blas": 1},
        {"openmp": None},
        {"no such thing": 1},
        {},
    ):
        with tp.threadpool_limits(limits) as limiter:
            seen.append([counts(tp), sorted(limiter.get_original_num_threads())])
    return seen


@scenario
def api_is_ignored_for_dictionaries(tp: Any) -> Any:
    with tp.threadpool_limits({"blas": 1}, user_api="nonsense"):
        return by_api(tp)


@scenario
def limit_by_list(tp: Any) -> Any:
    wanted = tp.threadpool_info()
    for entry in wanted:
        entry["num_threads"] = 1
    with tp.threadpool_limits(wanted):
        by_path = counts(tp)
    for entry in wanted:
        del entry["filepath"]
    with tp.threadpool_limits(wanted):
        by_prefix = counts(tp)
    return [by_path, by_prefix, failure(lambda: tp.threadpool_limits([{"num_threads": 1}]))]


@scenario
def limit_by_controller(tp: Any) -> Any:
    controller = tp.ThreadpoolController()
    with tp.threadpool_limits(1), tp.threadpool_limits(controller):
        same = by_api(tp)
    return same


@scenario
def sequential_blas(tp: Any) -> Any:
    params = tp.ThreadpoolController()._get_params_for_sequential_blas_under_openmp()
    with tp.threadpool_limits("sequential_blas_under_openmp", user_api="openmp") as limiter:
        return [params, by_api(tp), limiter.get_original_num_threads()]


@scenario
def truth_values_count(tp: Any) -> Any:
    with tp.threadpool_limits(True):
        return by_api(tp)


@scenario
def huge_counts_are_lowered(tp: Any) -> Any:
    with tp.threadpool_limits(1_000_000, user_api="blas"):
        return by_api(tp)


@scenario
def refused_arguments(tp: Any) -> Any:
    apis = str(tp._ALL_USER_APIS)
    seen = [failure(lambda: tp.threadpool_limits(1, user_api="gpu"))]
    assert apis in seen[0][1]
    seen[0][1] = seen[0][1].replace(apis, "APIS")
    for bad in (1.0, (1,), "four", {1}, object):
        seen.append(failure(lambda bad=bad: tp.threadpool_limits(bad)))
        seen.append(failure(lambda bad=bad: tp.threadpool_limits.wrap(bad)))
        seen.append(failure(lambda bad=bad: tp.ThreadpoolController().limit(limits=bad)))
    import numpy

    return [*seen, failure(lambda: tp.threadpool_limits(numpy.int64(1)))]


@scenario
def keyword_only(tp: Any) -> Any:
    controller = tp.ThreadpoolController()
    return [failure(lambda: controller.limit(1))[0], failure(lambda: controller.wrap(1))[0]]


@scenario
def select(tp: Any) -> Any:
    controller = tp.ThreadpoolController()

    def paths(**wanted: Any) -> list[str]:
        return sorted(entry["filepath"] for entry in controller.select(**wanted).info())

    either = paths(user_api="openmp", internal_api="openblas")
    assert len(either) == len(controller)
    both = controller.select(user_api="blas").select(internal_api="openmp")
    assert not both and both.info() == []
    return [
        paths(user_api="blas"),
        paths(internal_api=["openmp", "mkl"]),
        paths(prefix="libgomp"),
        paths(threading_layer="pthreads"),
        paths(no_such_attribute=1),
        paths(num_threads=2),
        len(controller.select()),
        type(both).__name__,
    ]


@scenario
def limit_a_selection(tp: Any) -> Any:
    controller = tp.ThreadpoolController().select(user_api="openmp")
    with controller.limit(limits=1) as limiter:
        return [by_api(tp), limiter.get_original_num_threads(), type(limiter).__name__]


@scenario
def controllers_from_a_list(tp: Any) -> Any:
    some = [lib for lib in tp.ThreadpoolController().lib_controllers if lib.user_api == "blas"]
    with tp.ThreadpoolController._from_controllers(some).limit(limits=1):
        return by_api(tp)


@scenario
def controller_shows_the_present(tp: Any) -> Any:
    controller = tp.ThreadpoolController()
    before = controller.info()
    with controller.limit(limits=1):
        inside = sorted(lib.num_threads for lib in controller.lib_controllers)
        assert [e["num_threads"] for e in controller.info()] == [1] * len(inside)
    assert controller.info() == before
    return inside


@scenario
def restore_by_hand(tp: Any) -> Any:
    limiter = tp.threadpool_limits(1)
    seen = [by_api(tp)]
    limiter.restore_original_limits()
    seen.append(by_api(tp))
    other = tp.ThreadpoolController().limit(limits=1)
    seen.append(by_api(tp))
    other.unregister()
    other.unregister()
    return [*seen, by_api(tp)]


@scenario
def nested(tp: Any) -> Any:
    seen = []
    with tp.threadpool_limits(1):
        seen.append(by_api(tp))
        with tp.threadpool_limits(2):
            seen.append(by_api(tp))
            with tp.threadpool_limits(1, user_api="openmp"):
                seen.append(by_api(tp))
            seen.append(by_api(tp))
        seen.append(by_api(tp))
    return seen


@scenario
def ends_with_an_exception(tp: Any) -> Any:
    def fail() -> None:
        with tp.threadpool_limits(1):
            raise KeyError("inside")

    return [failure(fail), by_api(tp)]


@scenario
def plain_call_ends_with_the_block_around_it(tp: Any) -> Any:
    seen = []
    with tp.threadpool_limits(2):
        tp.threadpool_limits(1)
        seen.append(by_api(tp))
        held = tp.threadpool_limits(1, user_api="blas")
        for _ in range(20):
            tp.threadpool_limits(1)
    seen.append(by_api(tp))
    del held
    return [*seen, by_api(tp)]


@scenario
def plain_call_stays(tp: Any) -> Any:
    before = tp.threadpool_info()
    tp.threadpool_limits(1)
    seen = [by_api(tp)]
    with tp.threadpool_limits(2):
        seen.append(by_api(tp))
    seen.append(by_api(tp))
    tp.threadpool_limits(before)
    return [*seen, by_api(tp)]


@scenario
def setting_a_library_stays(tp: Any) -> Any:
    libraries = tp.ThreadpoolController().lib_controllers
    for library in libraries:
        library.set_num_threads(1)
    seen = [by_api(tp)]
    for library in libraries:
        library.set_num_threads(2)
    return [*seen, by_api(tp)]


@scenario
def decorator(tp: Any) -> Any:
    @tp.threadpool_limits.wrap(limits=1)
    def one(depth: int = 0) -> Any:
        """Documented."""
        inside = by_api(tp)
        if depth:
            one(depth - 1)
            two()
        assert by_api(tp) == inside
        return inside

    @tp.ThreadpoolController().wrap(limits=2, user_api="blas")
    def two() -> Any:
        return by_api(tp)

    @tp.threadpool_limits.wrap(limits=1)
    def fail() -> None:
        raise LookupError(str(by_api(tp)))

    applied_when_decorating = by_api(tp)
    seen = [one(2), two(), failure(fail), one.__name__, one.__doc__]
    return [applied_when_decorating, seen, by_api(tp)]


@scenario
def decorator_as_block(tp: Any) -> Any:
    block = tp.threadpool_limits.wrap(limits=1)
    seen = []
    with block:
        seen.append(by_api(tp))
        with block:
            seen.append(by_api(tp))
        seen.append(by_api(tp))
    return [*seen, by_api(tp)]


@scenario
def decorated_method_in_threads(tp: Any) -> Any:
    class Model:
        @tp.threadpool_limits.wrap(limits=1, user_api="openmp")
        def fit(self) -> Any:
            return by_api(tp)["openmp"]

    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(Model().fit())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


@scenario
def refused_when_decorating(tp: Any) -> Any:
    return [
        failure(lambda: tp.threadpool_limits.wrap(limits=1, user_api="gpu"))[0],
        failure(lambda: tp.ThreadpoolController().wrap(limits="four"))[0],
    ]


@scenario
def several_original_counts(tp: Any) -> Any:
    one = tp.ThreadpoolController().select(user_api="blas").lib_controllers[:1]
    with tp.ThreadpoolController._from_controllers(one).limit(limits=1):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with tp.threadpool_limits(2) as limiter:
                before = limiter.get_original_num_threads()
        return [before, [[w.category.__name__, str(w.message)] for w in caught]]


@scenario
def no_library_of_an_api(tp: Any) -> Any:
    nothing = tp.ThreadpoolController().select(user_api="none")
    return nothing.limit(limits=1).get_original_num_threads()


@scenario
def cached_controller(tp: Any) -> Any:
    first = tp.get_cached_controller()
    same = tp.get_cached_controller() is first
    tp.reset_cached_controller()
    return [same, tp.get_cached_controller() is first, len(first)]


@scenario
def openmp_regions(tp: Any) -> Any:
    seen = [REGIONS.team_size()]
    with tp.threadpool_limits(1, user_api="openmp"):
        seen.append(REGIONS.team_size())
    with tp.threadpool_limits(3):
        seen.append(REGIONS.team_size())
        with tp.threadpool_limits({"libgomp": 2}):
            seen.append(REGIONS.team_size())
    return [*seen, REGIONS.team_size()]


@scenario
def openmp_regions_of_other_threads(tp: Any) -> Any:
    seen: list[int] = []
    with tp.threadpool_limits(1):
        thread = threading.Thread(target=lambda: seen.append(REGIONS.team_size()))
        thread.start()
        thread.join()
    return seen


@scenario
def nested_regions(tp: Any) -> Any:
    seen = []
    for limit in (1, 2):
        with tp.threadpool_limits(limit, user_api="openmp"):
            teams = (ctypes.c_int * 4)()
            REGIONS.nested_team_sizes(2, teams)
            seen.append(list(teams))
    return seen


@scenario
def measured_scope(tp: Any) -> Any:
    class Fake:
        def __init__(self, count: int, ignores: bool = False) -> None:
            self.count, self.ignores = count, ignores
            self.here = threading.local()

        def shared(self) -> list[Any]:
            return [lambda: self.count, self.set_shared]

        def set_shared(self, count: int) -> None:
            if not self.ignores:
                self.count = count

        def local(self) -> list[Any]:
            return [
                lambda: getattr(self.here, "count", self.count),
                lambda count: setattr(self.here, "count", count),
            ]

    return [
        tp._determine_thread_limit_scope(*Fake(4).shared()),
        tp._determine_thread_limit_scope(*Fake(1).shared()),
        tp._determine_thread_limit_scope(*Fake(4).local()),
        tp._determine_thread_limit_scope(*Fake(4, ignores=True).shared()),
    ]


@scenario
def failing_list_of_libraries(tp: Any) -> Any:
    def fail() -> list[str]:
        raise OSError("no list")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        controller = tp.ThreadpoolController._from_controllers([])
        controller._find_libraries_with_python(fail)
    paths = [entry["filepath"] for entry in tp.threadpool_info()]
    controller._find_libraries_with_python(lambda: [*paths, *paths])
    return [[w.category.__name__ for w in caught], len(controller)]


@scenario
def zz_custom_controller(tp: Any) -> Any:
    """Runs last: what is registered stays."""
    ctypes.CDLL(f"{NATIVE}/libcustom_pool.so")

    class Custom(tp.LibController):
        user_api = "custom"
        internal_api = "mypool"
        filename_prefixes = ("libcustom",)
        check_symbols = ("custom_get_num_threads",)

        def get_num_threads(self) -> int:
            return self._get_symbol("custom_get_num_threads")()

        def set_num_threads(self, num_threads: int) -> None:
            self._get_symbol("custom_set_num_threads")(num_threads)

        def get_version(self) -> str:
            return "1.0"

        def set_additional_attributes(self) -> None:
            self.flavour = "plain"

    class Mismatch(Custom):
        internal_api = "never"
        filename_prefixes = ("libregions",)
        check_symbols = ("no_such_symbol",)

    cached = tp.get_cached_controller()
    tp.register(Custom)
    tp.register(Mismatch)
    assert tp.get_cached_controller() is not cached
    assert tp._ALL_USER_APIS[-2:] == ["custom", "custom"] and "libcustom" in tp._ALL_PREFIXES
    entries = [list(e.items()) for e in tp.threadpool_info() if e["user_api"] == "custom"]
    selected = tp.ThreadpoolController().select(internal_api="mypool")

    def count() -> int:
        return selected.lib_controllers[0].num_threads

    seen = [count()]
    with tp.threadpool_limits(1) as limiter:
        seen.append([count(), limiter.get_original_num_threads()])
        with selected.limit(limits=3):
            seen.append(count())
        with tp.threadpool_limits(4, user_api="custom"):
            seen.append([count(), by_api(tp)])
        with tp.threadpool_limits({"libcustom": 2, "custom": 7}):
            seen.append(count())
    debugging = [e["thread_limit_scope"] for e in selected.info(debugging_info=True)]
    return [entries, seen, count(), debugging]


def main() -> None:
    global REGIONS, NATIVE
    implementation, NATIVE = sys.argv[1:]
    import scipy.linalg  # noqa: F401
    import sklearn.cluster  # noqa: F401

    REGIONS = ctypes.CDLL(f"{NATIVE}/libregions.so")
    tp = importlib.import_module(implementation)
    tp.threadpool_limits(2)
    start = counts(tp)
    results = {}
    for name in sorted(SCENARIOS):
        try:
            results[name] = {"returned": SCENARIOS[name](tp)}
            now = {path: n for path, n in counts(tp).items() if path in start}
            assert now == start, f"left behind {now}"
        except Exception:
            results[name] = {"failed": traceback.format_exc()}
            tp.threadpool_limits(2)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
