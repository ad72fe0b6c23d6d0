"""What `corewise.govern_report()` returns."""

from __future__ import annotations

from typing import Any

from ._rich import Rich


class Report(Rich, dict[str, Any]):
    """The keys are in docs/json.md. Prints as sentences, in notebooks as a table."""

    __slots__ = ()
