"""What `%threads` shows: the notebook's settings, the pools, the budget and what is wrong."""

from __future__ import annotations

from .. import _html
from .._budget import budget
from .._doctor import doctor
from .._info import info
from .._rich import Rich


class Overview(Rich):
    """Of the moment it was made."""

    def __init__(self, settings: str) -> None:
        self._settings = settings
        self._parts: tuple[Rich, ...] = (info(), doctor(), budget())

    def __repr__(self) -> str:
        return "\n\n".join([self._settings, *map(repr, self._parts)])

    def _repr_html_(self) -> str:
        return _html.page(_html.paragraph(self._settings)) + "".join(
            part._repr_html_() for part in self._parts
        )
