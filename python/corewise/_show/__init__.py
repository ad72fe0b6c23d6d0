"""How the records show themselves, as text and as HTML: a module for each, with a
function `text` and a function `html`.

Imported when something is first shown, so that a program that shows nothing does not pay for it.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from .._rich import Rich

# By the class of the record.
VIEWS = {
    "Info": "pools",
    "Budget": "budget",
    "Plan": "plan",
    "Findings": "findings",
    "Death": "death",
    "Report": "report",
}


def _view(record: Rich) -> ModuleType:
    name = next(VIEWS[kind.__name__] for kind in type(record).__mro__ if kind.__name__ in VIEWS)
    return import_module(f"{__name__}.{name}")


def as_text(record: Rich) -> str:
    shown: str = _view(record).text(record)
    return shown


def as_html(record: Rich) -> str:
    shown: str = _view(record).html(record)
    return shown
