"""corewise.toml: limits and governing for every program started in a folder.

    [limits]
    openmp = 8
    blas = 4

    [govern]
    on = true
    budget = 8
    bend = ["libmine"]

Read by `%load_ext corewise` and by `corewise run`, which must agree: cli/start/project.cpp says the
same, and a test gives both the same files.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any, NamedTuple

from . import _core
from ._errors import BadFile
from ._limits import APIS

NAME = "corewise.toml"
_MOST = _core.MAX_THREADS
_MOST_WEIGHT = 100
_SHARES = ("machine", "user")


class Project(NamedTuple):
    """What a corewise.toml says."""

    path: str  #: the file
    limits: dict[str, int]  #: threads by API
    govern: bool | None  #: whether to govern; None: the file does not say
    budget: float | None  #: threads; None: the file does not say
    group: str | None  #: the processes that share the budget; None: the file does not say
    bend: tuple[str, ...] = ()  #: parts of the paths of libraries that bend (docs/govern.md)
    weight: int | None = None  #: its share of a contended budget; None: the file does not say
    share: str | None = None  #: "machine": with other users too; "user"; None: it does not say


def project(start: str | os.PathLike[str] | None = None) -> Project | None:
    """The nearest corewise.toml, from `start` (default: the working directory) upwards; None if
    there is none.

    Reads the file anew at each call and applies nothing: `%load_ext corewise` and `corewise run` do
    that. Safe from any thread. Raises BadFile (a ValueError) that names file and line, and what was
    expected there.
    """
    try:
        folder = os.path.abspath(os.getcwd() if start is None else start)
    except FileNotFoundError:  # the working directory was removed: nothing is above it
        return None
    while True:
        path = os.path.join(folder, NAME)
        if os.path.lexists(path):
            return _read(path)
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def _read(path: str) -> Project:
    if not os.path.isfile(path):  # a folder, a pipe, a link to nothing
        raise BadFile(f"{path}: expected a file")
    try:
        with open(path, "rb") as file:
            told = file.read()
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error}") from None
    try:
        text = told.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = told.count(b"\n", 0, error.start) + 1
        raise BadFile(f"{path}:{line}: expected UTF-8") from None
    return _Reader(path, text).project()


def _parsed(path: str, text: str) -> dict[str, Any]:
    # Python 3.10 has no tomllib.
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        told: dict[str, Any] = tomllib.loads(text)
        return told
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at line (\d+), column \d+\)", str(error))
        what, line = found.groups() if found else (str(error), str(text.count("\n") + 1))
        raise BadFile(f"{path}:{line}: {what}") from None
    except (RecursionError, ValueError) as error:  # brackets within brackets, thousands of digits
        raise BadFile(f"{path}: cannot be read: {error}") from None


def _is_name(told: object) -> bool:
    # A colon separates the names in COREWISE_BEND.
    return type(told) is str and told != "" and not set(told) & {":", "\0"}


class _Reader:
    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._told = _parsed(path, text)

    def _refuse(self, table: str, key: str | None, what: str) -> BadFile:
        return BadFile(f"{self._path}:{self._line(table, key)}: {what}")

    def _line(self, table: str, key: str | None) -> int:
        """The line of a key or a table: tomllib does not tell."""

        def begins(line: str, name: str) -> bool:
            return re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*[.=]", line) is not None

        inside, header = "", 0
        for number, line in enumerate(self._lines, 1):
            if found := re.match(r"\s*\[+\s*[\"']?([^\"'\]]+?)[\"']?\s*\]", line):
                inside = found[1]
                header = number if inside == table else header
            elif (inside == table and key and begins(line, key)) or (
                not inside and begins(line, table) and (key is None or key in line)
            ):
                return number
        return header or 1

    def _table(self, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
        table = self._told.get(name, {})
        if not isinstance(table, dict):
            raise self._refuse(name, None, f"expected a table [{name}]")
        for key in table:
            if key not in keys:
                what = f"[{name}] has no key '{key}': expected one of {', '.join(keys)}"
                raise self._refuse(name, key, what)
        return table

    def project(self) -> Project:
        for name in self._told:
            if name not in ("limits", "govern"):
                what = f"expected the tables [limits] and [govern], not '{name}'"
                raise self._refuse(name, None, what)
        limits = self._table("limits", APIS)
        for key, value in limits.items():
            if type(value) is not int or not 1 <= value <= _MOST:
                what = f"limits.{key}: expected a whole number of threads from 1 to {_MOST}"
                raise self._refuse("limits", key, what)
        govern = self._table("govern", ("on", "budget", "group", "weight", "share", "bend"))
        on, budget, group = (govern.get(key) for key in ("on", "budget", "group"))
        if on is not None and type(on) is not bool:
            raise self._refuse("govern", "on", "govern.on: expected true or false")
        if budget is not None and not (type(budget) in (int, float) and 0 < budget <= _MOST):
            what = f"govern.budget: expected a number of threads above 0, at most {_MOST}"
            raise self._refuse("govern", "budget", what)
        if group is not None and (type(group) is not str or not group or "\0" in group):
            raise self._refuse("govern", "group", "govern.group: expected a name in quotes")
        weight = govern.get("weight")
        if weight is not None and not (type(weight) is int and 1 <= weight <= _MOST_WEIGHT):
            what = f"govern.weight: expected a whole number from 1 to {_MOST_WEIGHT}"
            raise self._refuse("govern", "weight", what)
        share = govern.get("share")
        if share is not None and share not in _SHARES:
            what = 'govern.share: expected "machine" or "user"'
            raise self._refuse("govern", "share", what)
        bend = govern.get("bend", [])
        if type(bend) is not list or not all(map(_is_name, bend)):
            what = "govern.bend: expected a list of names of libraries in quotes, without ':'"
            raise self._refuse("govern", "bend", what)
        return Project(self._path, limits, on, budget, group, tuple(bend), weight, share)
