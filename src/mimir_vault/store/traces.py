"""Traces: what SQLite leaves of an erased row in the unused middle of a page, found so that it can be removed.

`secure_delete` zeroes a cell that is deleted and a page that is freed. When balancing moves cells to a sibling page,
the bytes they leave in the gap between the cell pointers and the first cell stay, and the later deletion of the moved
cell does not reach them. So an erasure looks through the gaps of all pages, and rebuilds the file when something is
there. A crash before that is made good at the next close: a setting says that it is due.
"""

from __future__ import annotations

from collections.abc import Collection

import apsw
import numpy as np

from mimir_vault.store.query import fetch

PIECE_BYTES = 16
"""A value is sought by pieces of this length, from its start, middle and end: a gap may hold only a part of it."""
SHORTEST = 2
"""Values of fewer bytes are not sought: they say nothing, and stand everywhere."""
PIECES_MAX = 2_000
"""With more pieces than this, rebuilding the file at once is cheaper than seeking them."""
IMAGE_BYTES_MAX = 512 << 20
"""Larger files are rebuilt at once instead of being looked through in memory."""
_DUE = "traces to be removed"
"""Name of the setting that stands from an erasure until nothing of it is left in the file."""
_INTERIOR, _LEAF = (2, 5), (10, 13)
_FIRST_HEADER = 100


def pieces(value: object) -> set[bytes]:
    """Return what a deleted column value is sought by; numbers are not sought."""
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes) or len(value) < SHORTEST:
        return set()
    if len(value) <= PIECE_BYTES:
        return {value}
    middle = (len(value) - PIECE_BYTES) // 2
    cut = {value[:PIECE_BYTES], value[middle : middle + PIECE_BYTES], value[-PIECE_BYTES:]}
    return {piece for piece in cut if any(piece)}


def note_due(connection: apsw.Connection) -> None:
    """Inside the transaction of an erasure: note that its traces are to be removed."""
    connection.execute("INSERT OR REPLACE INTO setting VALUES (?, x'01')", (_DUE,))


def note_done(connection: apsw.Connection) -> None:
    """Inside a write transaction: note that nothing of any erasure is left."""
    connection.execute("DELETE FROM setting WHERE name = ?", (_DUE,))


def are_due(connection: apsw.Connection) -> bool:
    """Say whether an erasure was left unfinished."""
    return bool(fetch(connection, "SELECT 1 FROM setting WHERE name = ?", (_DUE,)))


def are_left(connection: apsw.Connection, sought: Collection[bytes]) -> bool:
    """Say whether any piece stands in a gap of a page; for too much to seek or to look through, say so as well."""
    if not sought:
        return False
    size = int(connection.pragma("page_count")) * int(connection.pragma("page_size"))
    if len(sought) > PIECES_MAX or size > IMAGE_BYTES_MAX:
        return True
    gaps = _gaps(connection.serialize("main"), int(connection.pragma("page_size")))
    return any(piece in gaps for piece in sought)


def _gaps(image: bytes, page_bytes: int) -> bytes:
    """Return the gaps of all b-tree pages that hold anything but zeros, one after the other."""
    pages = np.frombuffer(image, np.uint8).reshape(-1, page_bytes)
    kept: list[bytes] = []
    kinds = pages[:, 0].copy()
    kinds[0] = pages[0, _FIRST_HEADER]
    for number in np.flatnonzero(np.isin(kinds, (*_INTERIOR, *_LEAF))):
        page = pages[number]
        at = _FIRST_HEADER if number == 0 else 0
        cells = int(page[at + 3]) << 8 | int(page[at + 4])
        content = (int(page[at + 5]) << 8 | int(page[at + 6])) or 65_536
        start = at + (12 if kinds[number] in _INTERIOR else 8) + 2 * cells
        gap = page[start : min(content, page_bytes)]
        if gap.any():
            kept.append(gap.tobytes())
    return b"\0".join(kept)
