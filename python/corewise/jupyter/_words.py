"""What stands behind %threads: counts such as `openmp=8 blas=4`, `libgomp=2` or a lone `4`."""

from __future__ import annotations

import difflib

from .. import _core
from .._errors import BadCount, UnknownName
from .._info import info
from .._limits import limits
from .._project import APIS

ALL = "all"  # a lone number: every pool
Counts = dict[str, int]


def names() -> list[str]:
    """What may stand before "=": APIs, and runtimes and prefixes of the pools that are loaded."""
    found = list(APIS)
    for pool in info():
        found += (name for name in (pool.runtime, pool.prefix) if name not in found)
    return found


def counts(words: list[str]) -> Counts:
    """The counts that the words ask for. Raises BadCount or UnknownName, saying what is right."""
    asked: Counts = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            name, text = (ALL, word) if word.lstrip("+-").isdigit() else (word, "")
        if not equals and not text:
            near = f"; {name} wants a number" if name in names() else _near(name)
            raise UnknownName(f"'{word}' is no limit: write it as in openmp=8 or blas=4{near}")
        if name != ALL and name not in names():
            raise UnknownName(
                f"no pool is called '{name}'{_near(name)}; known here: {', '.join(names())}"
            )
        if name in asked:
            raise BadCount(f"given twice: {_written(name, asked[name])} and {word}")
        # Of thousands of digits Python makes no number.
        threads = int(text) if text.isdecimal() and len(text) < 10 else 0
        if not 1 <= threads <= _core.MAX_THREADS:
            raise BadCount(
                f"'{word[:40]}': expected a whole number of threads from 1 to {_core.MAX_THREADS}"
            )
        asked[name] = threads
    if ALL in asked and len(asked) > 1:
        raise BadCount(
            "a number that stands alone is for every pool: give it alone, or each a name"
        )
    return asked


def _written(name: str, threads: int) -> str:
    return str(threads) if name == ALL else f"{name}={threads}"


def _near(name: str) -> str:
    close = difflib.get_close_matches(name, names(), 1)
    return f"; did you mean {close[0]}?" if close else ""


def text(asked: Counts) -> str:
    """The counts as they are written."""
    return " ".join(f"{name}={threads}" for name, threads in asked.items())


def together(outer: Counts, inner: Counts) -> Counts:
    """The inner counts for the pools that they speak of, for others the outer ones."""
    if ALL in inner:
        return inner
    if ALL in outer:
        outer = dict.fromkeys(APIS, outer[ALL])
    # Of two names of a pool the more specific would count, also where it is the notebook's.
    hidden: set[str] = set()
    for pool in info():
        if pool.api in inner:
            hidden |= {pool.runtime, pool.prefix}
        elif pool.runtime in inner:
            hidden.add(pool.prefix)
    return {name: threads for name, threads in outer.items() if name not in hidden} | inner


def applied(asked: Counts) -> limits:
    """The counts in force, as far as this thread reaches, until restored."""
    if ALL in asked:
        return limits(asked[ALL])
    by_api = {name: threads for name, threads in asked.items() if name in APIS}
    return limits({k: v for k, v in asked.items() if k not in by_api}, **by_api)
