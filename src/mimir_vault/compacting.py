"""Compacting a space: what derived data no longer needs goes, the file is packed, and falls to its size class."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from mimir_vault.open_space import OpenSpace
from mimir_vault.store import padding, traces, vectors, words
from mimir_vault.store.query import each, fetch
from mimir_vault.store.sqlite_errors import translated
from mimir_vault.upkeep import BYTES_PER_TAIL_NODE

CHECKPOINT_WAIT_MS = 5_000
"""How long compacting waits for readers of other processes before the file keeps its length until they have ended."""
_ALL_PAGES = 1 << 40


@dataclass(frozen=True, slots=True)
class Compacted:
    """A space that was compacted: the length of its file before and after, in bytes.

    `pending` says that another process was still reading: the file gets shorter when that has ended.
    """

    space: str
    bytes_before: int
    bytes_after: int
    pending: bool


def compact(space: OpenSpace) -> Compacted:
    """Pack the file of a space; everything it holds stays, and whoever has it open may go on.

    Writers of other processes wait meanwhile. SQLite makes the new pages in memory, as many as the space fills.

    Raises:
        VaultBusyError: another process writes and does not stop; DiskFullError: there is no room for the packed pages.
        Nothing is lost by either.
    """
    if space.transaction is not None:
        raise ValueError("a space is compacted outside a transaction")
    fresh = space.store.fresh
    before = fresh.database.path.stat().st_size
    with space.store.read() as connection:
        tail = words.tail_nodes(connection)
    with space.store.write(tail * BYTES_PER_TAIL_NODE) as writer:
        writer.merge_words()
        _drop_dead_rows(writer.connection)
    with fresh.database.write() as connection:
        padding.release(connection, _ALL_PAGES)
    with translated(f"space {space.name}", fresh.database.path.parent):
        fresh.database.connection().execute("VACUUM")
    fresh.fill()
    done = fresh.checkpoint(CHECKPOINT_WAIT_MS)
    with space.store.read() as connection:
        due = traces.are_due(connection)
    if due and done:
        with fresh.write() as change:
            traces.note_done(change.connection)
        done = fresh.checkpoint(CHECKPOINT_WAIT_MS)
    space.upkeep.wrote()
    return Compacted(space.name, before, fresh.database.path.stat().st_size, not done)


def _drop_dead_rows(connection: apsw.Connection) -> None:
    """Inside a write transaction: remove all but the newest note that a node changed, and sketches without vectors."""
    connection.execute(
        "DELETE FROM change WHERE (generation, seq) NOT IN (SELECT max(generation), seq FROM change GROUP BY seq)"
    )
    for (model,) in fetch(connection, "SELECT DISTINCT model FROM sketch"):
        if not any(True for _ in each(connection, "SELECT 1 FROM vector WHERE model = ? LIMIT 1", (model,))):
            vectors.drop_sketch(connection, model)
