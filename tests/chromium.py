"""Debian's Chromium, driven by playwright, for every suite that looks at a page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"


def started() -> Iterator[Browser]:
    """The body of a fixture: a browser, closed afterwards; skips where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Debian's chromium")
    with sync_playwright() as playwright:
        # Tests run as root, and in containers whose /dev/shm is small.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()
