"""The commands, their options, exit codes and variables, from `corewise manual`.

That prints the man page's source, in scdoc's language; here it becomes Markdown in the place of
<!-- commands -->. Every command and option can be found by the search and linked to.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx

_PLACE = "<!-- commands -->"
_TERM = re.compile(r"\*(?P<term>.+)\*\n\t(?P<text>.+)")


def manual() -> str:
    """The man page's source, of the corewise that belongs to this Python."""
    program = Path(sys.executable).with_name("corewise")
    return subprocess.run([program, "manual"], check=True, capture_output=True, text=True).stdout


def sections(source: str, mark: str) -> list[tuple[str, str]]:
    """Headings of one depth, each with the text below it."""
    parts = re.split(rf"^{mark} (.+)\n", source, flags=re.M)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _markdown(text: str) -> str:
    """Bold words are names here; between backticks Markdown takes backslashes as they are."""
    text = re.sub(r"(?<!\\)\*(.+?)(?<!\\)\*", r"`\1`", text)
    return re.sub(r"`[^`]*`", lambda found: _plain(found[0]), text)


def _directive(name: str, argument: str, text: str) -> str:
    return f":::{{{name}}} {argument}\n{text}\n:::\n\n"


def _options(text: str) -> str:
    def option(found: re.Match[str]) -> str:
        return _directive("option", _plain(found["term"]), _markdown(found["text"]))

    return _TERM.sub(option, text).replace("```\n", "```sh\n", 1)


def _command(heading: str, text: str) -> str:
    synopsis = _plain(heading)
    name = " ".join(synopsis.split()[:2])
    summary, _, rest = text.strip().partition("\n\n")
    before, mark, options = rest.partition("\n*")
    return (
        f"## {name}\n\n:::{{program}} {name}\n:::\n\n**{_markdown(summary)}**\n\n"
        f"`{synopsis}`\n\n{_markdown(before)}\n{_options(mark + options)}\n"
    )


def as_markdown(source: str) -> str:
    part = dict(sections(source, "#"))
    made = "".join(_command(*command) for command in sections(part["COMMANDS"], "##"))
    made += "## Options of all commands\n\n:::{program} corewise\n:::\n\n"
    made += _options(part["OPTIONS OF ALL COMMANDS"])
    made += f"## Output\n\n{_markdown(part['OUTPUT'])}"
    made += "## Exit codes\n\n| Code | Meaning |\n|---|---|\n"
    for found in _TERM.finditer(part["EXIT STATUS"]):
        made += f"| {found['term']} | {_markdown(found['text'])} |\n"
    made += f"\n{_markdown(_TERM.sub('', part['EXIT STATUS']).strip())}\n\n"
    made += "## Environment\n\n"
    for found in _TERM.finditer(part["ENVIRONMENT"]):
        made += f"`{_plain(re.sub('[*]', '', found['term']))}`\n: {_markdown(found['text'])}\n\n"
    return made


def _fill(app: Sphinx, page: str, source: list[str]) -> None:
    if _PLACE in source[0]:
        source[0] = source[0].replace(_PLACE, as_markdown(manual()))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}
