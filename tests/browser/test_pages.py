"""Pages and screens of the command line, as pictures."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page
from screens import NARROW, WIDE, faults, picture, show_terminal
from terminal import Terminal

SHADES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PROGRAM = str(shutil.which("corewise"))
BUSY = """
import numpy, corewise
a = numpy.ones((1000, 1000))
corewise.limits(blas=8)
a @ a
print('ready', flush=True)
while True: a @ a
"""


@pytest.fixture
def alone(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def recording(folder: Path) -> Path:
    """Of a program whose OpenBLAS has eight workers on two CPUs, beside somebody else's load."""
    tids = range(8, 16)
    events: list[dict[str, object]] = [
        {"event": "start", "schema_version": 1, "time": "2026-01-01T00:00:00Z", "budget": 2},
        {"event": "process", "t": 0, "pid": 7, "parent": 1, "command": "python train.py --fast"},
        *({"event": "thread", "t": 0, "pid": 7, "tid": tid, "pool": "openblas"} for tid in tids),
        *(
            {
                "event": "sample", "t": t, "dt": 1, "others": 1.0,
                "threads": [[7, 7, 1, 0], *([7, tid, 0.2, 0.8 if t < 6 else 0] for tid in tids)],
            }
            for t in range(1, 11)
        ),
        {"event": "end", "t": 10},
    ]  # fmt: skip
    file = folder / "some.jsonl"
    file.write_text("".join(json.dumps({"command": "python train.py"} | e) + "\n" for e in events))
    return file


def test_the_page_of_a_recording(alone: Page, tmp_path: Path) -> None:
    file = recording(tmp_path)
    subprocess.run([PROGRAM, "record", "--html", file], check=True, capture_output=True)
    alone.goto(file.with_suffix(".html").as_uri())
    for shade in SHADES:
        alone.emulate_media(color_scheme=shade)
        for mode, (width, height) in {shade: WIDE, f"{shade}-narrow": NARROW}.items():
            alone.set_viewport_size({"width": width, "height": height})
            picture(alone, f"record-{mode}")
            assert faults(alone.locator("body")) == [], mode
            assert alone.evaluate("document.scrollingElement.scrollWidth") <= width, mode


CALLS = "import numpy; numpy.linalg.inv(numpy.eye(500))"
SCREENS = {
    "doctor": "doctor --pid {pid}",
    "info": "info --pid {pid}",
    "plan": "plan --processes 4",
    "budget": "budget",
    "report": f"run --report -- {shlex.quote(sys.executable)} -c {shlex.quote(CALLS)}",
}


@pytest.fixture(scope="module")
def busy() -> Iterator[int]:
    child = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
    assert child.stdout and child.stdout.readline() == "ready\n"
    yield child.pid
    child.kill()
    child.wait()


def as_pictures(page: Page, name: str, line: str, *words: str) -> None:
    """What the line shows in a wide and in a narrow terminal, each in both shades."""
    env = dict(os.environ) | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    for columns, size in {100: "", 50: "-narrow"}.items():
        opened = Terminal(f"{line}; echo 'the line has' ended", env, columns, 40)
        try:
            screen = opened.wait(*words, escapes=True)
        finally:
            opened.close()
        # Colours are names that the terminal's owner has chosen for: no numbers of our own.
        assert re.search(r"\x1b\[[\d;]*m", screen) and not re.search(r"[34]8[;:][25]", screen)
        for shade in SHADES:
            show_terminal(page, screen, columns, dark=shade == "dark")
            picture(page, f"{name}-{shade}{size}")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_of_the_command_line(alone: Page, busy: int, name: str) -> None:
    line = f"{shlex.quote(PROGRAM)} {SCREENS[name].format(pid=busy)}"
    as_pictures(alone, name, line, "the line has ended")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_the_screen_of_top(alone: Page, busy: int) -> None:
    # The first screen has no times yet, and so no cause, no cure and no history.
    words = ("TOO MANY", " -c import", "8 OpenBLAS threads", "What to do:", " ago ", "q quit")
    as_pictures(alone, "top", f"{shlex.quote(PROGRAM)} top", *words)
