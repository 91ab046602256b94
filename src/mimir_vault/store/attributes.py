"""Attributes: tags and metadata values of nodes, so that a filter opens few envelopes.

A value is a hint, never the truth: it is cut, and what it finds is compared again with the opened metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import apsw
import msgspec
import numpy as np
from numpy.typing import NDArray

from mimir_vault.model.filter import Condition
from mimir_vault.store import refs
from mimir_vault.store.names import Names
from mimir_vault.store.query import each, fetch

VALUE_BYTES_MAX = 64
"""Values are cut here; longer ones that begin alike are told apart when the envelope is opened."""
TAGS, REF = "tags", "ref"
_SEPARATOR = "\x1f"
_ENCODER = msgspec.msgpack.Encoder()


def value_bytes(value: Any) -> bytes:
    """Return the bytes a scalar is found by; equal JSON numbers have equal bytes."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        value = float(value) if abs(value) < 1 << 1023 else str(value)
    return _ENCODER.encode(value)[:VALUE_BYTES_MAX]


def attributes_of(tags: Iterable[str], metadata: Mapping[str, Any]) -> set[tuple[str, bytes]]:
    """Return (path, value) of every tag and of every value in metadata; elements of a list share its path."""
    found = {(TAGS, value_bytes(tag)) for tag in tags}
    stack: list[tuple[str, Any]] = [(f"metadata{_SEPARATOR}{name}", value) for name, value in metadata.items()]
    while stack:
        path, value = stack.pop()
        if isinstance(value, Mapping):
            found.add((path, b""))
            stack.extend((f"{path}{_SEPARATOR}{name}", part) for name, part in value.items())
        elif isinstance(value, list):
            found.add((path, b""))
            stack.extend((path, part) for part in value if not isinstance(part, (Mapping, list)))
        else:
            found.add((path, value_bytes(value)))
    return found


def put(connection: apsw.Connection, names: Names, seq: int, attributes: Iterable[tuple[str, bytes]]) -> None:
    """Write the attributes of a node."""
    connection.executemany(
        "INSERT INTO attribute (path, value, seq) VALUES (?, ?, ?)",
        [(names.code(path), value, seq) for path, value in attributes],
    )


def erase(connection: apsw.Connection, names: Names, seq: int, attributes: Iterable[tuple[str, bytes]]) -> None:
    """Remove the attributes of a node."""
    for path, value in attributes:
        rows = fetch(
            connection,
            "DELETE FROM attribute WHERE path = (SELECT code FROM name WHERE text = ?) AND value = ? AND seq = ?"
            " RETURNING path",
            (path, value, seq),
        )
        for row in rows:
            names.drop(row[0])


def lookup(connection: apsw.Connection, condition: Condition) -> NDArray[np.int64] | None:
    """Return the seqs of all nodes for which a condition on tags, metadata or ref may hold, None when that may be any.

    Negations (`ne`, `nin`), a comparison with None and `exists` False are true of nodes without the attribute: None.
    """
    if condition.path[0] == REF:
        return refs.seqs_under(connection, condition.value)
    path = _SEPARATOR.join(condition.path)
    operator, wanted = condition.operator, condition.value
    values: list[Any] | None = None
    if operator in ("ne", "nin") or (operator == "exists" and wanted is False):
        return None
    if operator == "eq":
        values = [wanted]
    elif operator == "in":
        values = list(wanted)
    elif operator == "contains" and condition.path[0] == TAGS:
        values = [wanted[0] if isinstance(wanted, tuple) and wanted else wanted]
    if values is not None and any(value is None for value in values):
        return None
    code = fetch(connection, "SELECT code FROM name WHERE text = ?", (path,))
    if not code:
        return np.empty(0, np.int64)
    if values is None or any(isinstance(value, (list, tuple)) for value in values):
        return _seqs({row[0] for row in each(connection, "SELECT seq FROM attribute WHERE path = ?", code[0])})
    found: set[int] = set()
    for value in values:
        found.update(
            row[0]
            for row in each(
                connection, "SELECT seq FROM attribute WHERE path = ? AND value = ?", (code[0][0], value_bytes(value))
            )
        )
    return _seqs(found)


def _seqs(found: set[int]) -> NDArray[np.int64]:
    return np.array(sorted(found), np.int64)
