"""Refs: callers' own names for nodes, kept so that a subtree is a range; the newest version of a ref is its holder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.store.query import each, fetch

_END, _NUL = b"\x00\x00", b"\x00\xff"
_ABOVE = b"\xff"
"""Above every byte that UTF-8 and the marks of parts begin with."""


def path_of(ref: Sequence[str]) -> bytes:
    """Return a ref as bytes that sort part by part: each part with its NULs escaped as 00 ff, ended by 00 00."""
    return b"".join(part.encode().replace(b"\x00", _NUL) + _END for part in ref)


def ref_of(path: bytes) -> tuple[str, ...]:
    """Return the ref of bytes that `path_of` gave."""
    parts: list[str] = []
    begin = at = 0
    while at < len(path):
        if path[at : at + 2] == _END:
            parts.append(path[begin:at].replace(_NUL, b"\x00").decode())
            at = begin = at + 2
        else:
            at += 2 if path[at : at + 2] == _NUL else 1
    return tuple(parts)


def put(connection: apsw.Connection, ref: Sequence[str], seq: int) -> None:
    """Write that a node has a ref."""
    connection.execute("INSERT OR IGNORE INTO ref VALUES (?, ?)", (path_of(ref), seq))


def remove(connection: apsw.Connection, ref: Sequence[str], seq: int) -> None:
    """Write that a node has a ref no more."""
    connection.execute("DELETE FROM ref WHERE path = ? AND seq = ?", (path_of(ref), seq))


def newest(connection: apsw.Connection, ref: Sequence[str]) -> int:
    """Return the seq of the node that a ref points at, 0 for none."""
    found = fetch(connection, "SELECT max(seq) FROM ref WHERE path = ?", (path_of(ref),))
    return int(found[0][0] or 0)


def versions(connection: apsw.Connection, ref: Sequence[str]) -> list[int]:
    """Return the seqs of all nodes that have a ref, the oldest first."""
    return [row[0] for row in each(connection, "SELECT seq FROM ref WHERE path = ? ORDER BY seq", (path_of(ref),))]


def seqs_under(connection: apsw.Connection, prefix: Sequence[str]) -> NDArray[np.int64]:
    """Return the seqs of all nodes whose ref begins with these parts, all versions, ascending."""
    low = path_of(prefix)
    rows = each(connection, "SELECT seq FROM ref WHERE path >= ? AND path < ?", (low, low + _ABOVE))
    return np.unique(np.fromiter((row[0] for row in rows), np.int64))


def rows_under(connection: apsw.Connection, prefix: Sequence[str]) -> Iterator[tuple[bytes, int]]:
    """Yield (path, seq) of every node whose ref begins with these parts, in the order of refs, then of storing."""
    low = path_of(prefix)
    yield from each(connection, "SELECT path, seq FROM ref WHERE path >= ? AND path < ?", (low, low + _ABOVE))
