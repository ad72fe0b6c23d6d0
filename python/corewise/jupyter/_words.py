"""The words after %threads: counts such as `openmp=8 blas=4`, `libgomp=2`, `numpy=2` or a lone `4`.

Also read: commas (`openmp=8, blas=4`), spaces around "=", and options as the command line has them
(`--openmp 8`, `--openmp=8`, `--pool libgomp=2`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .. import _core
from .._errors import BadCount, UnknownName, did_you_mean
from .._info import PoolInfo, info
from .._limits import APIS, limits
from .._show.pools import package_of

ALL = "all"  # a lone number: every pool
Counts = dict[str, int]


def split(line: str) -> list[str]:
    """The words of a line in one spelling: counts as `openmp=8`, without a comment."""
    text = re.sub(r"\s*=\s*", "=", line.partition("#")[0].replace(",", " "))
    words: list[str] = []
    wants_number = False  # the word before is an option such as --openmp
    for word in text.split():
        if wants_number and re.match(r"[+-]?\d", word):
            words[-1] += f"={word}"
            wants_number = False
            continue
        option = re.fullmatch(r"--?([A-Za-z_].*)", word)
        wants_number = option is not None and "=" not in word
        name = option[1] if option else word
        if name != "pool":
            words.append(name)
    return words


def names() -> list[str]:
    """What may stand before "=": APIs, and of the pools that are loaded the runtimes, the prefixes
    and the packages that brought them."""
    found = list(APIS)
    for pool in info():
        each = (pool.runtime, pool.prefix, package_of(pool.path))
        found += (name for name in each if name and name not in found)
    return found


def counts(words: list[str]) -> Counts:
    """The counts that the words ask for. Raises BadCount or UnknownName, saying what is right."""
    asked: Counts = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            name, text = (ALL, word) if word.lstrip("+-").isdigit() else (word, "")
        if not equals and not text:
            if name in names():
                raise UnknownName(f"{name} needs a number: write {name}=8")
            near = did_you_mean(name, names())
            raise UnknownName(f"'{word}' is not a limit: write openmp=8 or blas=4{near}")
        if name != ALL and name not in names():
            near, known = did_you_mean(name, names()), ", ".join(names())
            raise UnknownName(f"no pool is called '{name}'{near}; known here: {known}")
        if name in asked:
            raise BadCount(
                f"{_written(name, asked[name])} and {word} name the same pools: give one number"
            )
        # Python makes no number of thousands of digits.
        threads = int(text) if text.isdecimal() and len(text) < 10 else 0
        if not 1 <= threads <= _core.MAX_THREADS:
            raise BadCount(
                f"'{word[:40]}': expected a whole number of threads from 1 to {_core.MAX_THREADS}"
            )
        asked[name] = threads
    if ALL in asked and len(asked) > 1:
        raise BadCount(
            f"{asked[ALL]} without a name is for all pools: give only that number, or name each"
        )
    return asked


def _written(name: str, threads: int) -> str:
    return str(threads) if name == ALL else f"{name}={threads}"


def text(asked: Counts) -> str:
    """The counts as they are written."""
    return " ".join(f"{name}={threads}" for name, threads in asked.items())


def together(outer: Counts, inner: Counts) -> Counts:
    """The inner counts for the pools that they speak of, for others the outer ones."""
    if ALL in inner:
        return inner
    hidden = _spoken_of(set(inner)) - set(inner)
    return {name: n for name, n in _named(outer).items() if name not in hidden} | inner


def ended(before: Counts, after: Counts) -> Counts:
    """The counts that are gone, because later ones speak of all their pools."""
    kept = _named(after)
    return {name: threads for name, threads in _named(before).items() if name not in kept}


def without(asked: Counts, ended: list[str]) -> Counts:
    """The counts without those for the pools of these names. Raises UnknownName if one of the names
    has no count."""
    left = _named(asked)
    for name in ended:
        under = _spoken_of({name})
        if not under & set(left):
            limited = f"limited here: {text(asked)}" if asked else "this notebook limits nothing"
            raise UnknownName(f"this notebook has no limit called '{name}'; {limited}")
        left = {other: threads for other, threads in left.items() if other not in under}
    return left


def count_for(asked: Counts, pool: Mapping[str, Any]) -> int | None:
    """The count for such a pool; None: no count names it."""
    package = package_of(pool["path"])
    brought = (package,) if package in _by_package() else ()
    names = (*brought, pool["prefix"], pool["runtime"], pool["api"], ALL)
    return next((asked[name] for name in names if name in asked), None)


def _named(asked: Counts) -> Counts:
    """A number for all pools as one for each API."""
    return dict.fromkeys(APIS, asked[ALL]) if ALL in asked else asked


def _spoken_of(asked: set[str]) -> set[str]:
    """The names, and those of pools under them: of two names of a pool the more specific counts."""
    found = set(asked)
    for pool in info():
        if pool.api in asked:
            found |= {pool.runtime, pool.prefix}
        elif pool.runtime in asked:
            found.add(pool.prefix)
    for package, pools in _by_package().items():
        if all(found & {pool.api, pool.runtime, pool.prefix} for pool in pools):
            found.add(package)
    return found


def _by_package() -> dict[str, list[PoolInfo]]:
    """The pools that each package brought. A name that means something else, as numba, is none."""
    packages: dict[str, list[PoolInfo]] = {}
    taken = set(APIS)
    for pool in info():
        taken |= {pool.runtime, pool.prefix}
        packages.setdefault(package_of(pool.path), []).append(pool)
    return {name: pools for name, pools in packages.items() if name and name not in taken}


def applied(asked: Counts) -> limits:
    """The counts in force, as far as this thread reaches, until restored."""
    if ALL in asked:
        return limits(asked[ALL])
    by_api = {name: threads for name, threads in asked.items() if name in APIS}
    by_name: dict[Any, int] = {n: threads for n, threads in asked.items() if n not in by_api}
    return limits(by_name, **by_api)
