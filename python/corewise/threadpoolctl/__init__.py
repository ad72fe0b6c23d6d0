"""threadpoolctl 3.8 over corewise: the same names, keys, errors and warnings, but fast, and exact
where limits of several threads or asyncio tasks overlap.

Differences, each on purpose:
- overlapping limits of different threads and tasks compose: the tightest is in force, and after
  the last one every pool has what it had before the first. In one thread or task an inner limit
  may raise what an outer one lowered, as in threadpoolctl;
- any thread may limit OpenBLAS over pthreads, so there is no controlling thread;
- libraries that are loaded while a limit is open are limited too, and the cached controller sees
  libraries that were loaded without an import;
- a limit below 1 changes nothing and issues a UserWarning, instead of being passed on;
- runtimes are recognised by symbols: names without `.so`, deleted, replaced and in-memory files,
  and paths that are no UTF-8 are found. The order is that of loading, always;
- the thread limit scope is known, not measured by changing limits.

Thread-safety: everything here may be used from any thread, and across fork.
"""

import os

from ._controllers import (
    _ALL_BLAS_LIBRARIES,
    _ALL_CONTROLLERS,
    _ALL_INTERNAL_APIS,
    _ALL_OPENMP_LIBRARIES,
    _ALL_PREFIXES,
    _ALL_USER_APIS,
    CONTROLLING_THREAD_OWNERSHIP,
    BLISController,
    FlexiBLASController,
    LibController,
    MKLController,
    OpenBLASController,
    OpenMPController,
    _determine_thread_limit_scope,
    register,
)
from ._limiter import (
    _INCOMPATIBLE_OPENMP_MESSAGE,
    ThreadpoolController,
    _ThreadpoolLimiter,
    _ThreadpoolLimiterDecorator,
    get_cached_controller,
    reset_cached_controller,
    threadpool_info,
    threadpool_limits,
)

__version__ = "3.8.0"
__all__ = [
    "LibController",
    "ThreadpoolController",
    "get_cached_controller",
    "register",
    "reset_cached_controller",
    "threadpool_info",
    "threadpool_limits",
]

# Otherwise two copies of Intel's or LLVM's OpenMP end the process; users of threadpoolctl rely on
# its import setting this.
os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "True")

_WINDOWS_MAX_LIBRARY_PATH_LENGTH = 2600


def _main() -> None:
    from ._cli import main

    main()
