"""Transfer: the rows of a database that a backup holds, taken out by the names of tables and put into a new database.

Truth is taken as it lies there, and so are vectors, which cannot be made again without their embedder. What else is
derived is left out. Tables that only grow are taken from a row on; a table that is not known here is taken whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import apsw
import msgspec

from mimir_vault.errors import TamperedError
from mimir_vault.store import freshness, nodes, traces
from mimir_vault.store.freshness import CHAIN_KEPT, FIRST_CHAIN, Digester, Freshness
from mimir_vault.store.query import Row, each, fetch

GROWING = {
    "node": "seq", "sealed_vector": "seq", "vector": "vid", "passage": "seq", "tombstone": "generation",
    "audit": "place", "chain": "generation",
}  # fmt: skip
"""Tables that get new rows above all they have, and the column that says so. States of nodes change; erasing nodes, and
vectors for nodes that had none of that model, show in the number of rows."""
_LEFT_OUT = frozenset({"freshness", "padding", "lease", "derived"})
_SLIDING = frozenset({"tombstone", "chain"})
"""Growing tables whose number of rows says nothing: tombstones are looked at by themselves, old chain values go."""


class Mark(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """How far a growing table was taken: the highest value of its column, and the number of rows."""

    highest: int
    rows: int


class State(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """A database as it was when its rows were taken. Digests have 32 bytes; `newest` is the id of the newest node, b""
    for none; `numbers` are the highest that SQLite ever gave in each table; `format` counts the migrations.
    """

    format: int
    generation: int
    count: int
    digest: bytes
    rows_digest: bytes
    chain: bytes
    recorded: int
    nodes: int
    newest: bytes
    marks: dict[str, Mark]
    numbers: dict[str, int]

    def freshness(self) -> Freshness:
        """Return the row of the table `freshness`."""
        digest, rows_digest = (int.from_bytes(one, "big") for one in (self.digest, self.rows_digest))
        return Freshness(self.generation, self.count, digest, rows_digest, self.chain, self.recorded)


def state(connection: apsw.Connection) -> State:
    """Inside a read transaction: return the state of a database."""
    now = freshness.read(connection)
    present = _tables(connection)
    newest = fetch(connection, "SELECT id FROM node ORDER BY seq DESC LIMIT 1") if "node" in present else []
    return State(
        format=int(connection.pragma("user_version")), generation=now.generation, count=now.count,
        digest=now.digest.to_bytes(32, "big"), rows_digest=now.rows_digest.to_bytes(32, "big"), chain=now.chain,
        recorded=now.recorded, nodes=_count(connection, "node") if "node" in present else 0,
        newest=newest[0][0] if newest else b"",
        marks={table: _mark(connection, table) for table in growing(connection)},
        numbers=dict(each(connection, "SELECT name, seq FROM sqlite_sequence")),
    )  # fmt: skip


def growing(connection: apsw.Connection) -> list[str]:
    """Return the growing tables that a database has."""
    present = _tables(connection)
    return [table for table in GROWING if table in present]


def whole(connection: apsw.Connection, derived: Collection[str]) -> list[str]:
    """Return the tables that are taken whole: those neither growing, nor derived, nor about the file itself."""
    return sorted(_tables(connection) - set(GROWING) - set(derived) - _LEFT_OUT)


def columns(connection: apsw.Connection, table: str) -> list[str]:
    """Return the columns of a table in order."""
    return [str(row[1]) for row in each(connection, f"PRAGMA table_info({table})")]


def rows_above(connection: apsw.Connection, table: str, above: int) -> Iterator[Row]:
    """Yield the rows of a growing table whose column is above a value, ascending by it."""
    column = GROWING[table]
    return each(connection, f"SELECT * FROM {table} WHERE {column} > ? ORDER BY {column}", (above,))


def changed_nodes(connection: apsw.Connection, since: State) -> Iterator[Row]:
    """Yield the rows of nodes that were there already and whose state changed since."""
    return each(
        connection,
        "SELECT * FROM node WHERE seq <= ? AND seq IN (SELECT seq FROM change WHERE generation > ?) ORDER BY seq",
        (since.marks["node"].highest, since.generation),
    )


def is_of_line(connection: apsw.Connection, earlier: State) -> bool | None:
    """Say whether a database once was in an earlier state; None when that is so long ago that nothing tells."""
    now = freshness.read(connection)
    if earlier.generation > now.generation:
        return False
    value = FIRST_CHAIN if earlier.generation == 0 else freshness.chain_value(connection, earlier.generation)
    return None if value is None else value == earlier.chain


def only_grew(connection: apsw.Connection, earlier: State, rebuilt_at: int) -> bool:
    """Say whether everything taken in an earlier state of the same line is still there, states of nodes aside."""
    if int(connection.pragma("user_version")) != earlier.format or rebuilt_at > earlier.generation:
        return False
    if set(growing(connection)) != set(earlier.marks):
        return False
    for table, mark in earlier.marks.items():
        above = fetch(connection, f"SELECT count(*) FROM {table} WHERE {GROWING[table]} > ?", (mark.highest,))[0][0]
        if table not in _SLIDING and _count(connection, table) - above != mark.rows:
            return False
    if "tombstone" not in earlier.marks:
        return True
    erased = "SELECT 1 FROM tombstone WHERE generation > ? AND seq <= ? LIMIT 1"
    return not fetch(connection, erased, (earlier.generation, earlier.marks["node"].highest))


def put(connection: apsw.Connection, table: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Inside a write transaction on a new database: put rows into a table, over those of the same key.

    Raises:
        TamperedError: there is no such table, or it has other columns.
    """
    if table in _LEFT_OUT or table not in _tables(connection) or list(names) != columns(connection, table):
        raise TamperedError(f"the backup holds a table {table!r:.40} that does not fit its format; take another one")
    places = ", ".join("?" * len(names))
    try:
        connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})", rows)
    except (apsw.ConstraintError, apsw.MismatchError):
        raise TamperedError(f"the backup holds impossible rows of {table!r:.40}; take another one") from None


def settle(connection: apsw.Connection, taken: State) -> None:
    """Inside a write transaction on a new database that holds all its rows: make it go on from the state taken."""
    connection.execute("DELETE FROM chain WHERE generation <= ?", (taken.generation - CHAIN_KEPT,))
    for table, number in taken.numbers.items():
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number))
    connection.execute(
        "INSERT OR REPLACE INTO freshness VALUES (1, ?, ?, ?, ?, ?, ?)",
        (taken.generation, taken.count, taken.digest, taken.rows_digest, taken.chain, taken.recorded),
    )
    traces.note_done(connection)  # A new file has none.


def check(connection: apsw.Connection, digester: Digester, taken: State) -> None:
    """Refuse a database whose nodes, tombstones or chain are not those of the state taken (TamperedError)."""
    if "node" in taken.marks:
        count, total = nodes.recompute(connection, digester)
        if (count, total % freshness.MODULUS) != (taken.count, int.from_bytes(taken.digest, "big")):
            raise TamperedError("the nodes are not those of the digest; run `mimir verify` and take another backup")
    freshness.check_chain(connection)
    before = freshness.chain_value(connection, taken.generation - 1) if taken.generation > 1 else FIRST_CHAIN
    if taken.generation and before and digester.chain(before, taken.freshness().pinned()) != taken.chain:
        raise TamperedError("the chain of generations is broken; run `mimir verify` and take another backup")


def _tables(connection: apsw.Connection) -> set[str]:
    names = each(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'")
    return {str(row[0]) for row in names}


def _count(connection: apsw.Connection, table: str) -> int:
    return int(fetch(connection, f"SELECT count(*) FROM {table}")[0][0])


def _mark(connection: apsw.Connection, table: str) -> Mark:
    highest = fetch(connection, f"SELECT coalesce(max({GROWING[table]}), 0) FROM {table}")[0][0]
    return Mark(int(highest), _count(connection, table))
