"""`python -m corewise.threadpoolctl`: imports modules, then prints their pools as JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import sys

from ._limiter import threadpool_info


def main() -> None:
    """Reads sys.argv and prints; a module that cannot be imported is a warning on stderr."""
    parser = argparse.ArgumentParser(
        prog="threadpoolctl",
        usage="python -m threadpoolctl -i numpy scipy.linalg xgboost",
        description="Display thread-pool information and exit.",
    )
    parser.add_argument(
        "-i",
        "--import",
        dest="modules",
        nargs="*",
        default=(),
        help="Python modules to import before introspecting thread-pools.",
    )
    parser.add_argument(
        "-c",
        "--command",
        help="a Python statement to execute before introspecting thread-pools.",
    )
    options = parser.parse_args()
    for module in options.modules:
        try:
            importlib.import_module(module)
        except ImportError:
            print("WARNING: could not import", module, file=sys.stderr)
    if options.command:
        exec(options.command, {"__name__": "__main__"})
    # Custom controllers may put anything into their info; what JSON has no form for is shown as
    # text.
    print(json.dumps(threadpool_info(debugging_info=True), indent=2, default=str))
