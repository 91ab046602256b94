"""Size classes: a file's length tells only its class; the rest of the class is filled with encrypted padding."""

from __future__ import annotations

import apsw

from mimir_vault.store.database import PAGE_BYTES
from mimir_vault.store.query import fetch

MIB = 1 << 20
SPACE_FLOOR = 16 * MIB
"""Smallest size of a space's file, unless its vault was created with another floor."""
CATALOG_FLOOR = 1 * MIB
"""Smallest size of the catalog's file."""
LARGE = 256 * MIB
"""Above this, classes are multiples of `LARGE_STEP`."""
LARGE_STEP = 128 * MIB
STEP = 2 * MIB
"""Most bytes added in one transaction: in one go, growing to 256 MiB would hold the write lock for seconds."""
RESERVE_SHARE = 8
"""The reserve of a file is at least its class divided by this."""
_OVERFLOW_BYTES = PAGE_BYTES - 64 - 4
"""Bytes of a long value that one overflow page holds: page less reserved bytes less the pointer to the next."""
_LEAF_BYTES = 3_800
"""A value that stays inside a leaf and fills it, for the last page of a class."""


def size_class(size: int, floor: int) -> int:
    """Return the smallest class of at least `size` bytes.

    Classes are 2^n and 1.5·2^n MiB from `floor`, and above `LARGE` multiples of `LARGE_STEP`.
    """
    if size <= floor:
        return floor
    if size > LARGE:
        return -(-size // LARGE_STEP) * LARGE_STEP
    power = MIB
    while True:
        for candidate in (power, power + power // 2):
            if candidate >= size and candidate % PAGE_BYTES == 0 and candidate >= floor:
                return candidate
        power *= 2


def pages(connection: apsw.Connection) -> tuple[int, int, int]:
    """Return how many pages the file has, how many of them are free, and how many are padding."""
    padded = fetch(connection, "SELECT coalesce(sum(pages), 0) FROM padding")[0][0]
    return int(connection.pragma("page_count")), int(connection.pragma("freelist_count")), int(padded)


def release(connection: apsw.Connection, needed: int) -> None:
    """Inside a write transaction: turn padding into free pages until `needed` pages are free or no padding is left.

    Padding holds zeros, so freeing it needs no overwriting; all else is deleted with secure_delete on.
    """
    if int(connection.pragma("freelist_count")) >= needed:
        return
    connection.pragma("secure_delete", 0)
    try:
        while int(connection.pragma("freelist_count")) < needed:
            row = fetch(connection, "SELECT rowid FROM padding LIMIT 1")
            if not row:
                return
            connection.execute("DELETE FROM padding WHERE rowid = ?", (row[0][0],))
    finally:
        connection.pragma("secure_delete", 1)


def missing_pages(connection: apsw.Connection, floor: int, needed: int = 0) -> int:
    """Return how many pages the file must grow to fill its class.

    The class is the smallest that leaves the reserve it wants, and `needed` pages for what is about to be written.
    """
    count, free, padded = pages(connection)
    size = count * PAGE_BYTES
    target = size_class(size, floor)
    while free + padded + target // PAGE_BYTES - count < max(target // RESERVE_SHARE // PAGE_BYTES, needed):
        target = size_class(target + 1, floor)
    return target // PAGE_BYTES - count


def grow(connection: apsw.Connection, floor: int, pages_max: int, needed: int = 0) -> int:
    """Inside a write transaction: add at most `pages_max` pages towards the class; return how many are still missing.

    The file never grows past its class by this: that would be the next class.
    """
    missing = missing_pages(connection, floor, needed)
    if missing <= 0:
        return 0
    goal = int(connection.pragma("page_count")) + min(missing, pages_max)
    while (short := goal - int(connection.pragma("page_count"))) > 0:
        # Free pages are used up first; what they take is not growth, so they are asked for on top.
        chunk = min(short + int(connection.pragma("freelist_count")), STEP // PAGE_BYTES)
        while chunk and not _add(connection, chunk, chunk * _OVERFLOW_BYTES, goal):
            chunk -= 1
        if not chunk and not _add(connection, 1, _LEAF_BYTES, goal) and not _widen(connection, short, goal):
            break
    return missing_pages(connection, floor, needed)


def _add(connection: apsw.Connection, count: int, size: int, goal: int) -> bool:
    """Write a row of padding that takes `count` pages; undo it and return False when the file outgrows `goal` pages."""
    connection.execute("SAVEPOINT padding")
    connection.execute("INSERT INTO padding(pages, data) VALUES (?, zeroblob(?))", (count, size))
    return _keep_if(connection, int(connection.pragma("page_count")) <= goal)


def _widen(connection: apsw.Connection, count: int, goal: int) -> bool:
    """Let a row of padding take `count` pages more: the last ones where a new row would need a page for itself."""
    found = fetch(
        connection, "SELECT rowid, pages + ? FROM padding WHERE length(data) > ? LIMIT 1", (count, _LEAF_BYTES)
    )
    if not found:
        return False
    row, wide = found[0]
    connection.execute("SAVEPOINT padding")
    # Not UPDATE, which takes the new pages before it frees the old ones.
    connection.execute("DELETE FROM padding WHERE rowid = ?", (row,))
    connection.execute(
        "INSERT INTO padding(rowid, pages, data) VALUES (?, ?, zeroblob(?))", (row, wide, wide * _OVERFLOW_BYTES)
    )
    return _keep_if(connection, int(connection.pragma("page_count")) <= goal)


def _keep_if(connection: apsw.Connection, fits: bool) -> bool:
    connection.execute("RELEASE padding" if fits else "ROLLBACK TO padding; RELEASE padding")
    return fits
