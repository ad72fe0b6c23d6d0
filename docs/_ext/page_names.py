"""Comments and messages name pages as docs/govern.md, and C's names as they are: here they link.

A page that is not there is a warning, and so an error of `make docs`.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

_NAME = re.compile(r"\b(docs/[a-z-]+\.md|cw_[a-z_]+|CW_[A-Z_]+)\b")
_PROSE = (nodes.paragraph, nodes.inline, nodes.emphasis, nodes.strong)


def _link(name: str, page: str) -> nodes.Node:
    if name.startswith("docs/"):
        return addnodes.pending_xref(
            "",
            nodes.inline("", name),
            refdomain="std",
            reftype="doc",
            reftarget=name.removeprefix("docs").removesuffix(".md"),
            refdoc=page,
            refexplicit=False,
            refwarn=True,
        )
    return addnodes.pending_xref(
        "", nodes.literal("", name), refdomain="c", reftype="identifier", reftarget=name
    )


def _links(app: Sphinx, document: nodes.document) -> None:
    page = app.env.docname
    for text in list(document.findall(nodes.Text)):
        # Code and declarations stay as they are.
        if type(text.parent) not in _PROSE:
            continue
        pieces = _NAME.split(text)
        if len(pieces) > 1:
            made = [
                _link(piece, page) if at % 2 else nodes.Text(piece)
                for at, piece in enumerate(pieces)
                if piece
            ]
            text.parent.replace(text, made)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", _links)
    return {"parallel_read_safe": True}
