"""Pools as a table: plain text that fits the terminal, and HTML for notebooks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from ._info import PoolInfo

_HEADS = ("API", "Threads", "Scope", "Runtime", "Layer/kernels", "Library")  # as `corewise info`
_THREADS = 1
_RUNTIME = 3
_RIGHT = (_THREADS,)  # columns of numbers
_LEAST_PATH = 12
_ROOM_FOR_PATH = 44
_LEAST_TEXT = 24


def counted(count: int, noun: str) -> str:
    """ "1 thread", "2 threads" """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _cells(pool: PoolInfo) -> list[str]:
    return [
        pool.api,
        "?" if pool.threads is None else str(pool.threads),
        pool.scope,
        f"{pool.runtime} {pool.version or ''}".rstrip(),
        "/".join(filter(None, [pool.layer, pool.architecture])) or "-",
        shown(pool.path),
    ]


def shown(path: str) -> str:
    """With the bytes that are no text, and controls that would break the table, replaced."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def shorten(path: str, width: int) -> str:
    """The path with its middle left out so that it fits; the end, which tells files apart,
    keeps the greater part."""
    if len(path) <= width:
        return path
    head = (width - 3) // 3
    return path[:head] + "..." + path[len(path) - (width - 3 - head) :]


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Of the columns before the path."""
    return [
        max(map(len, column)) for column in zip(heads, *(row[:-1] for row in rows), strict=True)
    ]


def as_text(pools: Sequence[PoolInfo]) -> str:
    """A table no wider than $COLUMNS or the terminal (80 where there is none). Numbers are never
    cut; a path that has no room beside them gets a line of its own, and gives way in its middle."""
    if not pools:
        return "no native thread pool is loaded"
    width = shutil.get_terminal_size((80, 24)).columns
    *heads, last = _HEADS
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


def as_html(pools: Sequence[PoolInfo]) -> str:
    """The pools as a table, each count with a bar beside the CPUs that are ours."""
    from . import _html

    if not pools:
        return _html.page(_html.paragraph(as_text(pools)))
    rows = [[*_cells(pool)[:-1], _library(pool.path)] for pool in pools]
    if cpus := _own_cpus():
        from ._pictures import threads_bar

        for row, pool in zip(rows, pools, strict=True):
            if pool.threads is not None:
                row[_THREADS] = _html.Markup(row[_THREADS] + threads_bar(pool.threads, cpus))
    caption = f"Native thread pools of process {os.getpid()}"
    return _html.page(_html.table(caption, _HEADS, rows, _RIGHT))


def short_name(path: str) -> str:
    """The file and its folder, which tell libraries apart."""
    return "/".join(shown(path).split("/")[-2:])


def pool_names(pools: Sequence[tuple[str, str]]) -> list[str]:
    """Of pools, given as runtime and path: the runtime and the package that brought it, as in
    `openblas (numpy)`; where two would be called alike, with their files."""
    short = [f"{runtime} ({_package(path)})" for runtime, path in pools]
    return [
        name if short.count(name) == 1 else f"{name[:-1]}: {shown(path).rsplit('/', 1)[-1]})"
        for name, (_, path) in zip(short, pools, strict=True)
    ]


def _package(path: str) -> str:
    """The Python package that the file was installed with, else its folder."""
    folders = shown(path).split("/")[:-1]
    for i in range(len(folders) - 2, -1, -1):
        if folders[i] in ("site-packages", "dist-packages"):
            return folders[i + 1].removesuffix(".libs")
    return folders[-1] if folders else "?"


def _library(path: str) -> str:
    """The short name; the whole path when pointed at."""
    from html import escape

    from ._html import Markup

    return Markup(f'<span title="{escape(shown(path))}">{escape(short_name(path))}</span>')


def _own_cpus() -> int:
    """Whole CPUs of the budget; 0 where it cannot be told, which is no reason to show no pools."""
    from ._budget import budget
    from ._errors import Error

    try:
        return budget().ceil
    except Error:
        return 0


def text_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> str:
    """A table no wider than $COLUMNS or the terminal, as far as single words permit: the last
    column is folded into what the others leave. Columns in `right` are aligned there."""
    width = shutil.get_terminal_size((80, 24)).columns
    widths = [
        max(map(len, column)) for column in zip(*(r[:-1] for r in [heads, *rows]), strict=True)
    ]
    indent = sum(widths) + 2 * len(widths)

    def line(row: Sequence[str]) -> str:
        fixed = "".join(
            (cell.rjust(wide) if i in right else cell.ljust(wide)) + "  "
            for i, (cell, wide) in enumerate(zip(row, widths, strict=False))
        )
        return fixed + folded(row[-1], max(_LEAST_TEXT, width - indent), indent)

    return "\n".join(line(row).rstrip() for row in [heads, *rows])


def folded(text: str, width: int, indent: int) -> str:
    """Words in lines of at most `width` columns, all but the first after `indent` spaces."""
    import textwrap

    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * indent).join(lines)
