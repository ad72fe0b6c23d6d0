"""Docstrings as this project writes them, for autodoc.

Prose is prose, with `names` between single backticks. A paragraph whose lines have two columns,
two or more spaces apart, is a list: of parameters where all that stands on the left are names, else
of lines of code with what they do.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

_COLUMNS = re.compile(r"(?P<left>\S.*?) {2,}(?P<right>\S.*)")
_STUB = Path(__file__).parents[2] / "python" / "corewise" / "_core.pyi"


class Row(NamedTuple):
    left: str
    right: str


def paragraphs(lines: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line.rstrip())
        elif found[-1]:
            found.append([])
    return [paragraph for paragraph in found if paragraph]


def rows(paragraph: list[str]) -> list[Row]:
    """The rows of a paragraph in two columns; none if it is prose."""
    if paragraph[0][0] == " " or not any(map(_COLUMNS.fullmatch, paragraph)):
        return []
    found: list[Row] = []
    for line in paragraph:
        if line[0] == " ":
            found[-1] = Row(found[-1].left, f"{found[-1].right} {line.strip()}")
        else:
            match = _COLUMNS.fullmatch(line)
            found.append(Row(match["left"], match["right"]) if match else Row(line, ""))
    return found


def are_parameters(table: list[Row]) -> bool:
    return all(row.left.isidentifier() for row in table)


def _prose(text: str) -> str:
    """Text outside of backticks holds no markup of reStructuredText."""
    parts = re.split(r"(`[^`]*`)", text)
    plain = (re.sub(r"[*|\\]|_(?=\W|$)", r"\\\g<0>", part) for part in parts[::2])
    marked = (f"{part}\\ " for part in parts[1::2])
    return "".join(part for pair in zip(plain, [*marked, ""], strict=True) for part in pair)


def _example(table: list[Row]) -> list[str]:
    lines = [".. code-block:: python", ""]
    for row in table:
        if row.right and len(lines) > 2:
            lines.append("")
        lines += [
            f"   # {line}"
            for line in textwrap.wrap(row.right.replace("`", ""), 72, break_on_hyphens=False)
        ]
        lines.append(f"   {row.left}")
    return lines


def as_rest(lines: list[str]) -> list[str]:
    """A docstring in reStructuredText."""
    made: list[str] = []
    for paragraph in paragraphs(lines):
        table = rows(paragraph)
        if table and are_parameters(table):
            made += [f":param {row.left}: {_prose(row.right)}" for row in table]
        elif table:
            made += _example(table)
        else:
            made.append(_prose(" ".join(line.strip() for line in paragraph)))
        made.append("")
    return made


def _of_stub() -> dict[str, str]:
    """Docstrings of the extension module's classes, which are kept in its stub."""
    found = {}
    for item in ast.parse(_STUB.read_text()).body:
        if isinstance(item, ast.ClassDef):
            found[item.name] = ast.get_docstring(item) or ""
            for member in item.body:
                if isinstance(member, ast.FunctionDef):
                    found[f"{item.name}.{member.name}"] = ast.get_docstring(member) or ""
    return found


_stub = _of_stub()


def _docstring(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    told = _stub.get(name.removeprefix("corewise."))
    lines[:] = as_rest(told.splitlines() if told is not None else lines)


def _signature(
    app: Sphinx, what: str, name: str, thing: object, options: object, arguments: str, result: str
) -> tuple[str, str] | None:
    """Nobody makes objects that corewise returns: how they are made is no interface."""
    returned = what == "class" and (issubclass(thing, tuple) or dataclasses.is_dataclass(thing))
    return ("", "") if returned or name in ("corewise.Death", "corewise.Pool") else None


def _hide_private_modules(app: Sphinx, document: nodes.document) -> None:
    """What calls return may live in a module that nobody is to import."""
    for prefix in list(document.findall(addnodes.desc_addname)):
        if "._" in prefix.astext():
            prefix.parent.remove(prefix)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", _hide_private_modules)
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True}
