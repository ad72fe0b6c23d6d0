"""What notebooks ask of an object that shows itself; the pictures are in _html and _pictures."""

from __future__ import annotations

from abc import abstractmethod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container


class Rich:
    """An object with an HTML form beside its text. Both are of the moment it was made or shown,
    and stay in a saved notebook."""

    __slots__ = ()

    @abstractmethod
    def _repr_html_(self) -> str: ...

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}
