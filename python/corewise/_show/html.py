"""HTML that stands by itself: no script, no other file, in the colours of the page around it.

JupyterLab's theme gives its colours as --jp-* variables; elsewhere the text is the page's own, and
the fills follow what the reader's system prefers, light or dark. No meaning is in colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_STYLE = """<style>
.corewise{--cw-line:var(--jp-border-color1,#8a8a8a);--cw-dim:var(--jp-content-font-color2,inherit);
--cw-own:var(--jp-brand-color1,#1565c0);--cw-off:var(--jp-layout-color3,#c4c4c4);
--cw-blas:#b7791f;--cw-openmp:#2f855a;--cw-other:#805ad5;
--cw-program:#2b6cb0;--cw-unknown:#4a5568;--cw-over:#c62f2f;color:var(--jp-content-font-color1,inherit);
font-size:var(--jp-code-font-size,13px);line-height:1.4;max-width:60em}
@media (prefers-color-scheme:dark){.corewise{--cw-own:var(--jp-brand-color1,#64b5f6);
--cw-off:var(--jp-layout-color3,#5a5a5a);
--cw-blas:#f6ad55;--cw-openmp:#68d391;--cw-other:#b794f4;--cw-program:#63b3ed;
--cw-unknown:#a0aec0;--cw-over:#ff6b6b}}
[data-jp-theme-light="true"] .corewise{--cw-blas:#b7791f;--cw-openmp:#2f855a;--cw-other:#805ad5;
--cw-program:#2b6cb0;--cw-unknown:#4a5568;--cw-over:#c62f2f}
[data-jp-theme-light="false"] .corewise{--cw-blas:#f6ad55;--cw-openmp:#68d391;--cw-other:#b794f4;
--cw-program:#63b3ed;--cw-unknown:#a0aec0;--cw-over:#ff6b6b}
.corewise table{border-collapse:collapse;margin:.3em 0 .8em;font-size:inherit}
.corewise caption{text-align:left;font-weight:bold;padding:.2em 0;color:inherit}
.corewise th,.corewise td{padding:.2em .7em .2em 0!important;text-align:left!important;
vertical-align:top;border:0;border-bottom:1px solid var(--cw-line);color:inherit;
background:transparent!important;white-space:normal}
.corewise th.n,.corewise td.n{text-align:right!important;white-space:nowrap}
.corewise td.p{overflow-wrap:anywhere;min-width:11em}
.corewise svg{display:block;max-width:100%;height:auto;margin:.2em 0}
.corewise svg.bar{display:inline-block;vertical-align:middle;max-width:none;margin:0 0 0 .5em}
.corewise .own{fill:var(--cw-own);stroke:var(--cw-own)}
.corewise .free{fill:none;stroke:var(--cw-own)}
.corewise .off{fill:none;stroke:var(--cw-off)}
.corewise .box{fill:none;stroke:var(--cw-line)}
.corewise .line{fill:none;stroke:currentColor;stroke-dasharray:4 3}
.corewise .blas{fill:var(--cw-blas)}
.corewise .openmp{fill:var(--cw-openmp)}
.corewise .other{fill:var(--cw-other)}
.corewise .program{fill:var(--cw-program)}
.corewise .unknown{fill:var(--cw-unknown)}
.corewise .over{fill:var(--cw-over)}
.corewise .mark{fill:none;stroke:currentColor;stroke-width:2}
.corewise span.key{display:inline-block;margin-right:1.4em}
.corewise svg.bar.swatch{margin:0 .4em 0 0}
.corewise summary{cursor:pointer;padding:.15em 0}
.corewise p{margin:.2em 0 .6em}
.corewise pre{margin:.2em 0 .6em;white-space:pre-wrap;overflow-wrap:anywhere;color:inherit}
</style>"""


def page(*parts: str) -> str:
    """The parts as one piece of a page, with the style that they need."""
    return f'{_STYLE}<div class="corewise">{"".join(parts)}</div>'


def words(text: str) -> str:
    """Text in a page; what is between backticks is code."""
    pieces = escape(text).split("`")
    if len(pieces) % 2 == 0:  # a lone backtick
        return escape(text)
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))


def paragraph(text: str) -> str:
    return f"<p>{words(text)}</p>"


def quoted(text: str) -> str:
    """What a program said, in its own lines."""
    return f"<pre>{escape(text)}</pre>"


def verdict(text: str) -> str:
    """The sentence that sums up everything below it."""
    return f"<p><strong>{words(text)}</strong></p>"


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def table(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> str:
    """A table with a caption and headers for screen readers. Cells are text, or Markup. Columns in
    `right` are aligned there; words of the last one may break anywhere."""

    def cell(tag: str, column: int, text: str, scope: str = "") -> str:
        kind = "n" if column in right else "p" if column == len(heads) - 1 else ""
        kind = f' class="{kind}"' if kind else ""
        return f"<{tag}{scope}{kind}>{text if isinstance(text, Markup) else escape(text)}</{tag}>"

    head = "".join(cell("th", i, text, ' scope="col"') for i, text in enumerate(heads))
    body = ""
    for first, *rest in rows:
        cells = cell("th", 0, first, ' scope="row"')
        cells += "".join(cell("td", i, text) for i, text in enumerate(rest, 1))
        body += f"<tr>{cells}</tr>"
    return (
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def picture(words: str, width: float, height: float, body: str) -> Markup:
    """An SVG of that size in pixels, with words for those who cannot see it.

    The words are an attribute, not a <title>: an untrusted notebook removes the picture, and would
    leave the text of a title among ours.
    """
    return _svg(f'role="img" aria-label="{escape(words)}"', width, height, body)


def folded(summary: str, html: str) -> str:
    """HTML that appears when the reader clicks its summary."""
    return f"<details><summary>{words(summary)}</summary>{html}</details>"


def ornament(width: float, height: float, body: str, kind: str = "bar") -> Markup:
    """A small SVG in a line of text that says all that it shows."""
    return _svg(f'class="{kind}" aria-hidden="true"', width, height, body)


def _svg(attributes: str, width: float, height: float, body: str) -> Markup:
    return Markup(
        f'<svg {attributes} width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}">{body}</svg>'
    )
