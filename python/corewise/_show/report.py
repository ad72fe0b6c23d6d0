"""What corewise did, as `corewise.govern_report()` shows it."""

from __future__ import annotations

from .._report import Report
from .html import page, paragraph, table
from .text import counted, shown, text_table

_HOW = {
    "gate": "gets what is free at each call; all it asks for where results depend on that",
    "counted": "counted, never cut",
    "limit": "limited to the budget",
    "none": "not governed",
}
_HEADS = ("Runtime", "Governed", "Library")


def text(report: Report) -> str:
    parts = [_sentence(report)]
    if report["pools"]:
        parts.append(text_table(_HEADS, _rows(report)))
    return "\n\n".join([*parts, *report["findings"]])


def html(report: Report) -> str:
    parts = [paragraph(_sentence(report))]
    if report["pools"]:
        parts.append(table("Governed pools", _HEADS, _rows(report)))
    return page(*parts, *map(paragraph, report["findings"]))


def _sentence(report: Report) -> str:
    begin = f"Governed, budget {report['budget']}" if report["governed"] else "Not governed now"
    asked = report["regions"] + report["calls"]
    if not asked and not report["governed"]:
        return "Not governed. In a notebook %govern on starts it, in Python corewise.govern()."
    if not asked:
        return f"{begin}. Nothing wanted more than one thread so far."
    wanted = report["granted"] + report["withheld"]
    if asked == 1:
        one = f"{begin}. One region or BLAS call so far, which got "
        if not report["shortened"]:
            return f"{one}the threads it asked for."
        return f"{one}{counted(report['granted'], 'thread')} instead of {wanted}."
    if not report["shortened"]:
        return f"{begin}. All {asked} regions and BLAS calls got the threads they asked for."
    got = f"{report['granted'] / asked:.1f} instead of {wanted / asked:.1f}"
    return (
        f"{begin}. {report['shortened']} of {asked} regions and BLAS calls got fewer threads than "
        f"they asked for: on average {got}."
    )


def _rows(report: Report) -> list[list[str]]:
    return [
        [
            pool["runtime"],
            _HOW.get(pool["how"], pool["how"]),
            shown(pool["path"]) + (f": {pool['finding']}" if pool["finding"] else ""),
        ]
        for pool in report["pools"]
    ]
