"""What `corewise.govern_report()` returns: a dictionary that shows itself."""

from __future__ import annotations

from typing import Any

from ._rich import Rich

_HOW = {
    "gate": "asks at each region or call",
    "counted": "is counted, not narrowed",
    "limit": "has at most the budget",
    "none": "is not governed",
}
_HEADS = ("Runtime", "Governed", "Library")


class Report(Rich, dict[str, Any]):
    """The keys of "governor" in docs/json.md. Prints as sentences, in notebooks as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        from ._table import text_table

        parts = [_sentence(self)]
        if self["pools"]:
            parts.append(text_table(_HEADS, _rows(self)))
        return "\n\n".join([*parts, *self["findings"]])

    def _repr_html_(self) -> str:
        from . import _html

        parts = [_html.paragraph(_sentence(self))]
        if self["pools"]:
            parts.append(_html.table("Governed pools", _HEADS, _rows(self)))
        return _html.page(*parts, *map(_html.paragraph, self["findings"]))


def _sentence(report: Report) -> str:
    begin = f"Governed, budget {report['budget']}" if report["governed"] else "Not governed now"
    asked = report["regions"] + report["calls"]
    if not asked:
        return f"{begin}. Nothing wanted more than one thread so far."
    if not report["shortened"]:
        return f"{begin}. All {asked} regions and calls got the threads they asked for."
    wanted = (report["granted"] + report["withheld"]) / asked
    return (
        f"{begin}. {report['shortened']} of {asked} regions and calls got fewer threads than they "
        f"asked for: on average {report['granted'] / asked:.1f} instead of {wanted:.1f}."
    )


def _rows(report: Report) -> list[list[str]]:
    from ._table import shown

    return [
        [
            pool["runtime"],
            _HOW.get(pool["how"], pool["how"]),
            shown(pool["path"]) + (f": {pool['finding']}" if pool["finding"] else ""),
        ]
        for pool in report["pools"]
    ]
