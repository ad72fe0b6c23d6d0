"""The exceptions of corewise. Each message is one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Sequence


class Error(Exception):
    """Base of all exceptions that corewise raises. A call that fails changes nothing."""


class BadValue(Error, ValueError):
    """A value that is not valid here, such as a budget of 0 CPUs."""


class BadCount(Error, ValueError):
    """A thread count below 1 or above 32768."""


class AboveCeiling(BadCount):
    """A thread count above what the library was built for (`Pool.ceiling`)."""


class UnknownName(Error, LookupError):
    """No API, runtime, prefix or library file has that name."""


class BadFile(Error, ValueError):
    """A corewise.toml that cannot be read; names the file, the line and what was expected."""


class BadType(Error, TypeError):
    """A value that is not a whole number, name, mapping or pool where one is needed."""


class LibraryLied(Error, RuntimeError):
    """A library did not do or tell what its interface promises."""


class NotAvailable(Error, RuntimeError):
    """This platform, build or library has no such function."""


class LimitWarning(UserWarning):
    """A limit was opened, but a pool may use more threads than it was asked to."""


# By cw_status (corewise.h); 0 stands for every status without an exception of its own.
BY_STATUS: dict[int, type[Exception]] = {
    0: Error,
    1: BadValue,
    2: BadCount,
    3: AboveCeiling,
    4: UnknownName,
    5: ProcessLookupError,
    6: PermissionError,
    10: LibraryLied,
    11: NotAvailable,
    12: MemoryError,
}


def closest(name: str, known: Sequence[str]) -> str | None:
    """The known word that a misspelt one is closest to."""
    import difflib

    return next(iter(difflib.get_close_matches(name.lower(), known, 1)), None)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """For a message that refuses a name, behind that name; empty if nothing known is close."""
    found = closest(name, known)
    return f" (did you mean {found}?)" if found else ""
