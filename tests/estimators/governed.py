"""What a governed process tells of itself. Unlike probe.py it imports next to nothing."""

from __future__ import annotations

import corewise


def governed(_: object = None) -> tuple[bool, int, str]:
    report = corewise.govern_report()
    return report["governed"], report["budget"], report["ledger"]["path"]
