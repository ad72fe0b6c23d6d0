"""Comments and messages point to pages as docs/govern.md: on the site these are links.

A page that is not there is a warning, and so an error of `make docs`.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

_PAGE = re.compile(r"docs/([a-z-]+)\.md")


def _parts(text: str, page: str) -> list[nodes.Node]:
    made: list[nodes.Node] = []
    pieces = _PAGE.split(text)
    for plain, name in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        if plain:
            made.append(nodes.Text(plain))
        if name:
            link = addnodes.pending_xref(
                "",
                nodes.inline("", f"docs/{name}.md"),
                refdomain="std",
                reftype="doc",
                reftarget=f"/{name}",
                refdoc=page,
                refexplicit=False,
                refwarn=True,
            )
            made.append(link)
    return made


def _link(app: Sphinx, document: nodes.document) -> None:
    for text in list(document.findall(nodes.Text)):
        if _PAGE.search(text) and not isinstance(text.parent, (nodes.literal, nodes.literal_block)):
            text.parent.replace(text, _parts(text, app.env.docname))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", _link)
    return {"parallel_read_safe": True}
