"""Pools, as `corewise.info()` and `%threads` show them, and what they are called."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from html import escape

from .._info import PoolInfo
from .html import Markup, page, paragraph, table
from .pictures import kind_of, threads_bar
from .text import shorten, shown

_HEADS = ("API", "Threads", "Scope", "Runtime", "Layer/kernels", "Library")
_THREADS = 1
_RUNTIME = 3
_RIGHT = (_THREADS,)  # columns of numbers
_LEAST_PATH = 12
_ROOM_FOR_PATH = 44


def _cells(pool: PoolInfo) -> list[str]:
    return [
        pool.api,
        "?" if pool.threads is None else str(pool.threads),
        pool.scope,
        f"{pool.runtime} {pool.version or ''}".rstrip(),
        "/".join(filter(None, [pool.layer, pool.architecture])) or "-",
        shown(pool.path),
    ]


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """The widths of the columns before the path."""
    return [
        max(map(len, column)) for column in zip(heads, *(row[:-1] for row in rows), strict=True)
    ]


def text(pools: Sequence[PoolInfo]) -> str:
    """A table no wider than $COLUMNS or the terminal (80 where there is none). Numbers are never
    cut; a path that has no room beside them gets a line of its own, and gives way in its middle."""
    if not pools:
        return "no native thread pool is loaded"
    width = shutil.get_terminal_size((80, 24)).columns
    *heads, last = (head.upper() for head in _HEADS)  # as on the command line
    rows = [_cells(pool) for pool in pools]
    widths = _widths(heads, rows)
    if sum(widths) + 2 * (len(widths) - 1) > width:  # no room for versions and kernels
        heads.pop()
        rows = [
            [*row[:_RUNTIME], pool.runtime, row[-1]] for row, pool in zip(rows, pools, strict=True)
        ]
        widths = _widths(heads, rows)
    room = width - sum(widths) - 2 * len(widths)
    beside = room >= min(_ROOM_FOR_PATH, max(len(row[-1]) for row in rows))

    def line(cells: Sequence[str], path: str) -> str:
        padded = [
            cell.rjust(wide) if i in _RIGHT else cell.ljust(wide)
            for i, (cell, wide) in enumerate(zip(cells, widths, strict=True))
        ]
        if beside:
            padded.append(shorten(path, room))
        elif path is not last:
            padded[-1] = padded[-1].rstrip() + "\n  " + shorten(path, max(_LEAST_PATH, width - 2))
        return "  ".join(padded).rstrip()

    return "\n".join([line(heads, last), *(line(row[:-1], row[-1]) for row in rows)])


def html(pools: Sequence[PoolInfo], cpus: int = 0) -> str:
    """The pools as a table, each count with a bar beside that many CPUs; 0: no bars."""
    if not pools:
        return page(paragraph(text(pools)))
    rows = [[*_cells(pool)[:-1], _library(pool.path)] for pool in pools]
    if cpus:
        for row, pool in zip(rows, pools, strict=True):
            if pool.threads is not None:
                row[_THREADS] = Markup(
                    row[_THREADS] + threads_bar(pool.threads, cpus, kind_of(pool.api))
                )
    caption = f"Native thread pools of process {os.getpid()}"
    return page(table(caption, _HEADS, rows, _RIGHT))


def short_name(path: str) -> str:
    """The file and its folder, which tell libraries apart."""
    return "/".join(shown(path).split("/")[-2:])


def pool_names(pools: Sequence[tuple[str, str]]) -> list[str]:
    """Names of pools, given as runtime and path: the runtime and the package that brought it, as in
    `openblas (numpy)`; with the file too if two names would be equal."""
    short = [f"{runtime} ({_package(path)})" for runtime, path in pools]
    return [
        name if short.count(name) == 1 else f"{name[:-1]}: {shown(path).rsplit('/', 1)[-1]})"
        for name, (_, path) in zip(short, pools, strict=True)
    ]


def package_of(path: str) -> str:
    """The Python package that the file was installed with; "" if it came with none."""
    folders = shown(path).split("/")[:-1]
    # An environment may lie inside a package of another: the last one counts.
    for i in range(len(folders) - 1, -1, -1):
        if folders[i] in ("site-packages", "dist-packages"):
            return "".join(folders[i + 1 : i + 2]).removesuffix(".libs")
    return ""


def _package(path: str) -> str:
    """The Python package that the file was installed with, else its folder."""
    folders = shown(path).split("/")[:-1]
    return package_of(path) or (folders[-1] if folders else "?")


def _library(path: str) -> str:
    """The short name; the whole path when pointed at."""
    return Markup(f'<span title="{escape(shown(path))}">{escape(short_name(path))}</span>')
