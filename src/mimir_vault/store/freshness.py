"""Freshness: each commit raises a generation, moves two set digests and extends a chain, all in its own transaction.

`digest` is the sum modulo 2^256 of a keyed hash of every live node and every tombstone: what the space holds. A sum can
be moved by one change without reading the rest, and without the key nobody can find another set with the same sum.
`rows_digest` sums every row of every other table, so that an old page pasted back shows whatever table it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import apsw
import msgspec

from mimir_vault.errors import TamperedError
from mimir_vault.store import traces
from mimir_vault.store.query import each, fetch
from mimir_vault.store.schema import DIGESTED_TABLES

MODULUS = 1 << 256
"""Sums wrap here: the width of BLAKE2b-256."""
FIRST_CHAIN = bytes(32)
"""The value of every chain at generation 0, which stands in no row."""
CHAIN_KEPT = 4_096
"""How many values of the chain are kept: how far a pin may lie behind its database."""
_LAST_CHECK = "digests last checked"
_ROWS = msgspec.msgpack.Encoder()


class Digester(Protocol):
    """The keyed hashes of one database; the key never leaves the sealer."""

    def digest_element(self, tag: bytes, element: bytes) -> int:
        """Return the keyed BLAKE2b-256 of tag and element as an integer."""

    def chain(self, previous: bytes, digest: bytes) -> bytes:
        """Return the next value of the chain, 32 bytes."""


@dataclass(slots=True)
class Freshness:
    """The state of a database at one generation; `recorded` is the newest moment of storing, microseconds."""

    generation: int
    count: int
    digest: int
    rows_digest: int
    chain: bytes
    recorded: int

    def pinned(self) -> bytes:
        """Return what the chain binds: generation, count, both digests, the newest moment."""
        return b"".join(
            (
                self.generation.to_bytes(8, "big"),
                self.count.to_bytes(8, "big"),
                self.digest.to_bytes(32, "big"),
                self.rows_digest.to_bytes(32, "big"),
                self.recorded.to_bytes(8, "big", signed=True),
            )
        )


@dataclass(slots=True)
class Change:
    """What a transaction does to the freshness of its database; `erased`, when set, gathers traces of deleted rows.

    With `recount` the sum over rows is read afresh at the end, for it was found not to fit the rows there were.
    """

    connection: apsw.Connection
    digester: Digester
    before: Freshness
    count: int = 0
    digest: int = 0
    recorded: int = field(default=-(1 << 62))
    erased: set[bytes] | None = None
    recount: bool = False
    _summed: int = 0
    _rows: list[tuple[int, str, tuple[Any, ...]]] = field(default_factory=list)

    @property
    def generation(self) -> int:
        """The generation that this transaction makes."""
        return self.before.generation + 1

    @property
    def digest_after(self) -> int:
        """The set digest as it will be if nothing else changes."""
        return (self.before.digest + self.digest) % MODULUS

    @property
    def rows_digest(self) -> int:
        """What the rows changed so far move the sum over rows by."""
        element, encode = self.digester.digest_element, _ROWS.encode
        self._summed += sum(sign * element(_TAGS[table], encode(row)) for sign, table, row in self._rows)
        self._rows.clear()
        return self._summed

    def put(self, tag: bytes, element: bytes, count: int = 1) -> None:
        """Count an element in; `count` is what it adds to the number of elements."""
        self.digest += self.digester.digest_element(tag, element)
        self.count += count

    def take(self, tag: bytes, element: bytes, count: int = 1) -> None:
        """Count an element out."""
        self.digest -= self.digester.digest_element(tag, element)
        self.count -= count

    def row(self, update: apsw.PreUpdate) -> None:
        """Note one changed row for `rows_digest`; SQLite calls this before it changes the row.

        Rows are gathered and hashed many at a time, for in the middle of a statement it takes longer.
        """
        if self.erased is not None and update.new is None:
            for value in update.old or ():
                self.erased |= traces.pieces(value)
        table = update.table_name
        if table not in _TAGS:
            return
        if (old := update.old) is not None:
            self._rows.append((-1, table, old))
        if (new := update.new) is not None:
            self._rows.append((1, table, new))
        if len(self._rows) >= _ROWS_GATHERED:
            _ = self.rows_digest


_NUMBERS_TAG = b"sqlite_sequence"
"""Tag of SQLite's table of numbers given; an old page of it would have numbers of erased rows given again."""
_TAGS = {table: table.encode() for table in DIGESTED_TABLES}
_ROWS_GATHERED = 1_024
"""So many changed rows wait at most to be hashed."""


def read(connection: apsw.Connection) -> Freshness:
    """Return the present state of a database.

    Raises:
        TamperedError: its row is missing or nonsense.
    """
    rows = fetch(
        connection, "SELECT generation, count, digest, rows_digest, chain, recorded FROM freshness WHERE one = 1"
    )
    if not rows or len(rows[0][2]) != 32 or len(rows[0][3]) != 32 or len(rows[0][4]) != 32:
        raise TamperedError("the freshness of a database is missing; restore a backup")
    generation, count, digest, rows_digest, chain, recorded = rows[0]
    return Freshness(
        generation, count, int.from_bytes(digest, "big"), int.from_bytes(rows_digest, "big"), chain, recorded
    )


def generation(connection: apsw.Connection) -> int:
    """Return the present generation alone."""
    return int(fetch(connection, "SELECT generation FROM freshness WHERE one = 1")[0][0])


def begin(connection: apsw.Connection) -> None:
    """Inside the transaction that creates a database: write its state at generation 0."""
    connection.execute("INSERT INTO freshness VALUES (1, 0, 0, ?, ?, ?, 0)", (bytes(32), bytes(32), FIRST_CHAIN))


@contextmanager
def changing(connection: apsw.Connection, digester: Digester) -> Iterator[Change]:
    """Inside a write transaction: follow every change of the block, then write the next generation."""
    change = Change(connection, digester, read(connection))
    numbers = _numbers(connection)
    connection.preupdate_hook(change.row)
    try:
        yield change
    finally:
        connection.preupdate_hook(None)
    rows_digest = change.rows_digest
    for row in numbers ^ (after := _numbers(connection)):
        element = digester.digest_element(_NUMBERS_TAG, _ROWS.encode(row))
        rows_digest += element if row in after else -element
    if change.recount:
        rows_digest = recompute_rows(connection, digester) - change.before.rows_digest
    _write(change, rows_digest)


def _numbers(connection: apsw.Connection) -> set[tuple[str, int]]:
    """Return the highest number each table ever gave: SQLite's own table, which its hooks do not show."""
    return {(name, number) for name, number in each(connection, "SELECT name, seq FROM sqlite_sequence")}


def _write(change: Change, rows_digest: int) -> None:
    before = change.before
    after = Freshness(
        generation=before.generation + 1,
        count=before.count + change.count,
        digest=(before.digest + change.digest) % MODULUS,
        rows_digest=(before.rows_digest + rows_digest) % MODULUS,
        chain=before.chain,
        recorded=max(before.recorded, change.recorded),
    )
    after.chain = change.digester.chain(before.chain, after.pinned())
    change.connection.execute(
        "UPDATE freshness SET generation = ?, count = ?, digest = ?, rows_digest = ?, chain = ?, recorded = ?"
        " WHERE one = 1",
        (
            after.generation, after.count, after.digest.to_bytes(32, "big"), after.rows_digest.to_bytes(32, "big"),
            after.chain, after.recorded,
        ),
    )  # fmt: skip
    change.connection.execute("INSERT INTO chain VALUES (?, ?)", (after.generation, after.chain))
    change.connection.execute("DELETE FROM chain WHERE generation <= ?", (after.generation - CHAIN_KEPT,))


def chain_value(connection: apsw.Connection, at_generation: int) -> bytes | None:
    """Return the chain's value of a generation, None where it is not kept."""
    rows = fetch(connection, "SELECT value FROM chain WHERE generation = ?", (at_generation,))
    return rows[0][0] if rows else None


def recompute_rows(connection: apsw.Connection, digester: Digester) -> int:
    """Return the sum over every row of every digested table, read afresh."""
    total = 0
    present = {row[0] for row in each(connection, "SELECT name FROM sqlite_schema WHERE type = 'table'")}
    for table in DIGESTED_TABLES:
        if table not in present:
            continue
        tag = table.encode()
        rows: Iterator[tuple[Any, ...]] = each(connection, f"SELECT * FROM {table}")
        for row in rows:
            total += digester.digest_element(tag, _ROWS.encode(row))
    for numbers in _numbers(connection):
        total += digester.digest_element(_NUMBERS_TAG, _ROWS.encode(numbers))
    return total % MODULUS


def last_check(connection: apsw.Connection) -> int:
    """Return when the digests were last recomputed and fitted, microseconds since 1970; 0 for never."""
    found = fetch(connection, "SELECT value FROM setting WHERE name = ?", (_LAST_CHECK,))
    return int.from_bytes(found[0][0], "big") if found else 0


def note_check(connection: apsw.Connection, now: int) -> None:
    """Inside a write transaction: note that the digests fitted."""
    connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (_LAST_CHECK, now.to_bytes(8, "big")))


def check_chain(connection: apsw.Connection) -> None:
    """Refuse a chain that does not end at the present generation or has a gap (TamperedError)."""
    now = read(connection)
    kept, newest = fetch(connection, "SELECT count(*), max(generation) FROM chain")[0]
    if kept != min(now.generation, CHAIN_KEPT) or (kept and newest != now.generation):
        raise TamperedError("the chain of generations has a gap; restore a backup")
    if kept and chain_value(connection, now.generation) != now.chain:
        raise TamperedError("the chain of generations does not end where the space does; restore a backup")
