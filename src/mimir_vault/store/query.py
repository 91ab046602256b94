"""Typed reads: SQLite's values are of any type, and each caller knows the columns it asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import apsw

Row = tuple[Any, ...]


def each(connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> Iterator[Row]:
    """Yield the rows of a statement one by one."""
    return cast(Iterator[Row], connection.execute(sql, bindings))


def fetch(connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> list[Row]:
    """Return all rows of a statement."""
    return cast(list[Row], connection.execute(sql, bindings).fetchall())
