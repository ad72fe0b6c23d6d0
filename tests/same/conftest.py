"""The option --quick, and a table of programs and modes at the end of the run."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from harness import MODES, SMOKE

WORDS = {"passed": "same", "failed": "OTHER", "error": "ERROR", "skipped": "-"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="no environments of its own, fewer modes")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    for outcome, word in WORDS.items():
        for report in terminalreporter.getreports(outcome):
            if found := re.search(
                r"test_(?:same|smoke).*\[(.*)-(\w+)\]$", getattr(report, "nodeid", "")
            ):
                rows[found[1]][found[2]] = word
    if not rows:
        return
    modes = [
        mode.name for mode in MODES + SMOKE[:3] if any(mode.name in row for row in rows.values())
    ]
    width = max(map(len, rows))
    terminalreporter.write_line(f"\n{'':{width}} " + "".join(f"{mode:>8}" for mode in modes))
    for name, row in sorted(rows.items()):
        cells = "".join(f"{row.get(mode, ''):>8}" for mode in modes)
        terminalreporter.write_line(f"{name:{width}} {cells}")
