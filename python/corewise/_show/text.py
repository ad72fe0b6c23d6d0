"""Plain text that fits the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

_LEAST_TEXT = 24


def counted(count: float, noun: str, plural: str = "") -> str:
    """ "1 thread", "2 threads", "1.5 CPUs"; `plural` where an s is not enough."""
    number = count if isinstance(count, int) else f"{count:.4g}"
    return f"{number} {noun if count == 1 else plural or noun + 's'}"


def shown(path: str) -> str:
    """Replaces the bytes that are not text, and controls that would break the table."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def shorten(path: str, width: int) -> str:
    """The path with its middle left out so that it fits; the end, which tells files apart,
    keeps the greater part."""
    if len(path) <= width:
        return path
    head = (width - 3) // 3
    return path[:head] + "..." + path[len(path) - (width - 3 - head) :]


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
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * indent).join(lines)
