"""The base of what shows itself. The records do not know how: that is in _show."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container


class Rich:
    """An object with an HTML form besides its text, for notebooks. Both show the moment at which it
    was made or shown, and stay in a saved notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        from . import _show

        return _show.as_text(self)

    def _repr_html_(self) -> str:
        from . import _show

        return _show.as_html(self)

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}
