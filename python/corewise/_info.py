"""What `corewise.info()` returns: records of all pools, shown as a table."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import _core
from ._rich import Rich


class PoolInfo(NamedTuple):
    """One thread pool at one moment. The fields mean what those of `corewise.Pool` mean."""

    id: int
    api: str
    runtime: str
    threads: int | None
    scope: str
    ceiling: int | None
    caller_slots: int | None
    prefix: str
    path: str
    version: str | None
    layer: str | None
    architecture: str | None
    detail: str | None


class Outcome(NamedTuple):
    """What a limit did to one pool. Counts are threads; None: the library does not tell."""

    pool: PoolInfo
    before: int | None
    asked: int
    effective: int | None
    reason: str


class Info(Rich, tuple[PoolInfo, ...]):
    """An immutable sequence of PoolInfo that prints as a table, in notebooks as HTML."""

    __slots__ = ()

    def to_dicts(self) -> list[dict[str, Any]]:
        """The records as new dictionaries, keys as in `to_json`; None where not known."""
        return [record._asdict() for record in self]

    def to_json(self) -> str:
        """The document that `cw_info_json` writes: "pools" with the keys of docs/json.md. Bytes of
        paths that are not UTF-8 appear as replacement characters."""
        import json

        def plain(value: Any) -> Any:
            if isinstance(value, str):
                return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            return value

        pools = [{key: plain(value) for key, value in d.items()} for d in self.to_dicts()]
        return json.dumps({"schema_version": 1, "pools": pools}, ensure_ascii=False)


def info() -> Info:
    """Every native thread pool of this process as it is now, in the order they were found.

    Counts are those of the calling thread. Finds libraries loaded since the last call. Safe from
    any thread; takes microseconds if nothing was loaded.
    """
    return Info(map(PoolInfo._make, _core.records()))
