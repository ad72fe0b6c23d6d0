"""Every code block of README and docs runs.

python  runs in a process of its own; console  runs each line after "$ " in a shell: what it says
must be what the page shows below, if anything: digits stand for any number, "..." for any text, and
as a line of its own for lines that the page leaves out;
ipython  runs as one cell with the extension loaded; cpp  is built against the installed library and
run. A block after the comment
<!-- not run: REASON --> is left out, one after
<!-- file: NAME --> lies under that name in the folder of those blocks of its page that name it, at
least one. Equal blocks of several pages run once.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from runners import RUN

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- (?P<note>not run|file): (?P<said>.+?) -->\n)?"
    r"^```(?P<kind>[^\n]*)\n(?P<code>.*?)^```$",
    re.M | re.S,
)


class Block(NamedTuple):
    kind: str
    code: str
    files: tuple[tuple[str, str], ...]


def blocks_of(page: Path) -> Iterator[tuple[Block, str]]:
    """The blocks that run, and where each stands."""
    text = page.read_text()
    matches = list(BLOCK.finditer(text))
    files = tuple((m["said"], m["code"]) for m in matches if m["note"] == "file")
    for match in matches:
        # What Sphinx itself reads, as {toctree}, is code of no language.
        if match["note"] or match["kind"].startswith("{"):
            continue
        line = text.count("\n", 0, match.start("code")) + 1
        used = tuple(file for file in files if file[0] in match["code"])
        yield Block(match["kind"], match["code"], used), f"{page.relative_to(ROOT)}:{line}"


def blocks() -> list:
    found: dict[Block, str] = {}
    for page in PAGES:
        for block, place in blocks_of(page):
            found.setdefault(block, place)
    return [pytest.param(block, id=name) for block, name in found.items()]


def run_block(block: Block, folder: Path) -> None:
    assert block.kind in RUN, f"nobody knows how to run {block.kind!r}"
    for name, text in block.files:
        (folder / name).write_text(text)
    RUN[block.kind](block.code, folder)


@pytest.mark.parametrize("block", blocks())
def test_block(block: Block, tmp_path: Path) -> None:
    run_block(block, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_a_page_are_used(page: Path) -> None:
    matches = list(BLOCK.finditer(page.read_text()))
    run = "".join(match["code"] for match in matches if not match["note"])
    assert all(match["said"] in run for match in matches if match["note"] == "file")
