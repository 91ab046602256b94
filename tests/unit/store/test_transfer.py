"""Rows that a backup takes out of a database and puts into a new one, and what tells that it may go on."""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import pytest

from mimir_vault.errors import TamperedError
from mimir_vault.store import freshness, schema, transfer
from mimir_vault.store.query import fetch
from mimir_vault.store.transfer import Mark
from unit.store.conftest import PlainDigester

DERIVED = ("facet", "name")


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    """A new space in memory, at generation 0, inside a transaction."""
    made = apsw.Connection(":memory:")
    made.execute("BEGIN")
    schema.migrate(made, schema.SPACE_MIGRATIONS, schema.SPACE_APPLICATION_ID, "a space")
    freshness.begin(made)
    yield made
    made.close()


def put_nodes(connection: apsw.Connection, *seqs: int) -> None:
    """Write nodes, each as a commit of its own."""
    for seq in seqs:
        with freshness.changing(connection, PlainDigester()):
            connection.execute(
                "INSERT INTO node VALUES (?, ?, 1, x'01', x'02', x'03', x'')", (seq, seq.to_bytes(32, "big"))
            )


def test_the_state_says_how_far_each_table_was_taken(connection: apsw.Connection) -> None:
    """Highest value and number of rows, the newest node, the numbers given out."""
    put_nodes(connection, 1, 2, 5)
    state = transfer.state(connection)
    assert state.marks["node"] == Mark(5, 3)
    assert state.marks["vector"] == Mark(0, 0)
    assert (state.generation, state.nodes, state.newest) == (3, 3, (5).to_bytes(32, "big"))
    assert state.numbers == {"node": 5}
    assert state.freshness() == freshness.read(connection)


def test_every_table_is_taken_once_or_left_out(connection: apsw.Connection) -> None:
    """Growing, whole, derived, or about the file itself; one that is new here is taken whole."""
    connection.execute("CREATE TABLE something_new (a)")
    growing, whole = transfer.growing(connection), transfer.whole(connection, DERIVED)
    assert "something_new" in whole
    assert not set(growing) & set(whole)
    every = {row[0] for row in fetch(connection, "SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert every - set(growing) - set(whole) - set(DERIVED) == {
        "freshness", "padding", "lease", "derived", "sqlite_sequence",
    }  # fmt: skip


def test_only_new_rows(connection: apsw.Connection) -> None:
    """Above the mark, ascending; and nodes that changed since."""
    put_nodes(connection, 1, 2)
    state = transfer.state(connection)
    put_nodes(connection, 4, 3)
    connection.execute("INSERT INTO change VALUES (?, 1), (?, 2), (?, 4)", (state.generation + 1, state.generation, 9))
    assert [row[0] for row in transfer.rows_above(connection, "node", state.marks["node"].highest)] == [3, 4]
    assert [row[0] for row in transfer.changed_nodes(connection, state)] == [1]


def test_line(connection: apsw.Connection) -> None:
    """The chain says whether a database was in a state; what is too old to tell is None."""
    first = transfer.state(connection)
    put_nodes(connection, 1)
    state = transfer.state(connection)
    put_nodes(connection, 2)
    assert transfer.is_of_line(connection, first) is True
    assert transfer.is_of_line(connection, state) is True
    connection.execute("UPDATE chain SET value = zeroblob(32) WHERE generation = 1")
    assert transfer.is_of_line(connection, state) is False
    connection.execute("DELETE FROM chain WHERE generation = 1")
    assert transfer.is_of_line(connection, state) is None
    newer = transfer.state(connection)
    connection.execute("UPDATE freshness SET generation = 1")
    assert transfer.is_of_line(connection, newer) is False


GONE = {
    "a node": "DELETE FROM node WHERE seq = 1",
    "a vector": "DELETE FROM vector",
    "a vector of an old node that is new": "INSERT INTO passage VALUES (1, 2, 0, 0, 1)",
    "an erasure": "INSERT INTO tombstone VALUES (x'01', 9, 1, x'')",
    "a migration": "PRAGMA user_version = 2",
    "a table": "DROP TABLE sealed_vector",
}


@pytest.mark.parametrize("what", GONE)
def test_what_forbids_going_on(connection: apsw.Connection, what: str) -> None:
    """Anything that is not there as it was taken."""
    put_nodes(connection, 1, 2)
    connection.execute("INSERT INTO vector VALUES (1, 1, 1, 0, x'01')")
    connection.execute("INSERT INTO passage VALUES (2, 1, 0, 0, 1)")
    state = transfer.state(connection)
    put_nodes(connection, 3)
    connection.execute("INSERT INTO vector VALUES (2, 3, 1, 0, x'01')")
    assert transfer.only_grew(connection, state, -1)
    assert not transfer.only_grew(connection, state, state.generation + 1)
    connection.execute(GONE[what])
    assert not transfer.only_grew(connection, state, -1)


def test_an_erasure_of_what_was_never_taken_does_not(connection: apsw.Connection) -> None:
    """A node put and erased since."""
    put_nodes(connection, 1)
    state = transfer.state(connection)
    connection.execute("INSERT INTO tombstone VALUES (x'01', 9, 2, x'')")
    assert transfer.only_grew(connection, state, -1)


def test_a_new_database_goes_on(connection: apsw.Connection) -> None:
    """Rows, numbers and freshness put into a new database make it the one they were taken of."""
    put_nodes(connection, 1, 2)
    state = transfer.state(connection)
    other = apsw.Connection(":memory:")
    other.execute("BEGIN")
    schema.migrate(other, schema.SPACE_MIGRATIONS, schema.SPACE_APPLICATION_ID, "a space")
    freshness.begin(other)
    for table in ("node", "chain"):
        rows = list(transfer.rows_above(connection, table, -1))
        transfer.put(other, table, transfer.columns(connection, table), rows)
    transfer.settle(other, state)
    assert transfer.state(other) == state
    put_nodes(other, 3)
    freshness.check_chain(other)


@pytest.mark.parametrize(
    ("table", "columns", "row"),
    [
        ("nothing", ["a"], [1]),
        ("freshness", ["one"], [1]),
        ("sqlite_sequence", ["name", "seq"], ["node", 1]),
        ("setting", ["name"], ["a"]),
        ("setting", ["name", "value", "more"], ["a", b"", 1]),
        ("setting", ["name", "value"], ["a", "no bytes"]),
        ("node; DROP TABLE node", ["a"], [1]),
    ],
)
def test_what_does_not_fit_is_refused(
    connection: apsw.Connection, table: str, columns: list[str], row: list[object]
) -> None:
    """Other tables, other columns, values of another type."""
    with pytest.raises(TamperedError):
        transfer.put(connection, table, columns, [row])


def test_check(connection: apsw.Connection) -> None:
    """A node that is missing, and a chain that does not fit."""
    put_nodes(connection, 1, 2)
    state = transfer.state(connection)
    with pytest.raises(TamperedError, match="digest"):
        transfer.check(connection, PlainDigester(), state)  # These nodes were never counted in.
    connection.execute("DELETE FROM node")
    transfer.check(connection, PlainDigester(), state)
    connection.execute("UPDATE chain SET value = zeroblob(32) WHERE generation = 1")
    with pytest.raises(TamperedError, match="chain"):
        transfer.check(connection, PlainDigester(), state)
