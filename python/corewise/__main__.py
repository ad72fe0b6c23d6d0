"""`python -m corewise`: where the wheel keeps things, else the command line tool.

--prefix        the folder for CMAKE_PREFIX_PATH (holds include, lib and bin)
--cmake-dir     the folder of corewise-config.cmake
Anything else is handed to the native command line tool.
"""

import os
import signal
import sys

_PREFIX = os.path.dirname(os.path.abspath(__file__))


def _close_socket() -> None:
    """Closes the socket that the import opened: it would outlive this Python, unanswered."""
    try:
        from ._core import control_stop
    except ImportError:
        return
    control_stop()


def _undo_pythons_own() -> None:
    """Undoes what this Python changed at its start: the program that is started would inherit it.

    Two signals that it ignores, as subprocess does for its children; and the LC_CTYPE that it sets
    where no locale is chosen (PEP 538).
    """
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        with open("/proc/self/environ", "rb") as file:
            given = file.read().split(b"\0")
    except OSError:
        return
    if not any(entry.startswith(b"LC_CTYPE=") for entry in given):
        os.environ.pop("LC_CTYPE", None)


def main() -> int:
    """Runs the command line; does not return when the native tool takes over."""
    if sys.argv[1:] == ["--prefix"]:
        print(_PREFIX)
        return 0
    if sys.argv[1:] == ["--cmake-dir"]:
        print(os.path.join(_PREFIX, "lib", "cmake", "corewise"))
        return 0
    binary = os.path.join(_PREFIX, "bin", "corewise")
    _close_socket()
    _undo_pythons_own()
    os.environ.setdefault("COREWISE_PYTHON", sys.executable)
    try:
        os.execv(binary, [binary, *sys.argv[1:]])
    except FileNotFoundError:
        print(
            "corewise: error: this corewise was installed without its command (COREWISE_CLI=OFF)\n"
            "hint: install it again without that setting; until then, `python -m"
            " corewise.threadpoolctl` shows pools",
            file=sys.stderr,
        )
        return 127


if __name__ == "__main__":
    sys.exit(main())
