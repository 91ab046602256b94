"""Generation, digests and chain: what was counted as it changed equals what is reckoned afresh."""

from __future__ import annotations

from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimir_vault.errors import TamperedError
from mimir_vault.store import freshness
from mimir_vault.store.freshness import MODULUS, Change, Freshness

from .conftest import PlainDigester, plain_space

SMALL = st.integers(0, 3)


def statement(sql: str) -> st.SearchStrategy[tuple[str, tuple[int, ...]]]:
    """Return an SQL statement with a small number for every question mark."""
    return st.tuples(st.just(sql), st.tuples(*[SMALL] * sql.count("?")))


STATEMENTS = st.one_of(
    statement("INSERT OR REPLACE INTO name (code, text, uses) VALUES (?, ?, ?)"),
    statement("INSERT OR IGNORE INTO name (code, text, uses) VALUES (?, ?, ?)"),
    statement("INSERT INTO name (code, text, uses) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET uses = uses + 1"),
    statement("UPDATE name SET uses = uses + 1 WHERE uses > ?"),
    statement("UPDATE OR IGNORE name SET code = code + 1 WHERE code = ?"),
    statement("DELETE FROM name WHERE uses = ?"),
    statement("DELETE FROM name"),
    statement("INSERT OR REPLACE INTO attribute VALUES (?, CAST(? AS BLOB), ?)"),
    statement("DELETE FROM attribute WHERE path = ? OR seq = ?"),
    statement("INSERT OR REPLACE INTO ref VALUES (CAST(? AS BLOB), ?)"),
    statement("UPDATE OR REPLACE ref SET path = CAST(? AS BLOB)"),
    statement("DELETE FROM ref"),
    statement("INSERT OR REPLACE INTO posting VALUES (?, ?, zeroblob(5000))"),
    statement("UPDATE posting SET data = CAST(data || x'01' AS BLOB) WHERE term = ?"),
    statement("INSERT INTO setting VALUES ('a', CAST(? AS BLOB)) ON CONFLICT DO NOTHING"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(STATEMENTS | st.binary(min_size=1, max_size=2), max_size=4), max_size=6), st.data())
def test_after_any_operations_digests_and_chain_are_those_reckoned_afresh(
    transactions: list[list[Any]], data: st.DataObject
) -> None:
    """Replacing, conflicting, deleting all, rolling back: sums and chain never come apart from what is there."""
    connection, digester = plain_space(), PlainDigester()
    elements: list[bytes] = []
    chain, states = bytes(32), []
    for operations in transactions:
        kept = list(elements)
        connection.execute("BEGIN IMMEDIATE")
        with freshness.changing(connection, digester) as change:
            for one in operations:
                if isinstance(one, tuple):
                    connection.execute(*one)
                elif one in elements:
                    elements.remove(one)
                    change.take(b"tag", one)
                else:
                    elements.append(one)
                    change.put(b"tag", one)
        if data.draw(st.booleans()):
            connection.execute("COMMIT")
            state = freshness.read(connection)
            chain = digester.chain(chain, state.pinned())
            states.append(state)
        else:
            connection.execute("ROLLBACK")
            elements = kept
    now = freshness.read(connection)
    assert now.generation == len(states) == freshness.generation(connection)
    assert now.rows_digest == freshness.recompute_rows(connection, digester)
    assert now.count == len(elements)
    assert now.digest == sum(digester.digest_element(b"tag", one) for one in elements) % MODULUS
    assert now.chain == chain
    freshness.check_chain(connection)
    for state in states:
        assert freshness.chain_value(connection, state.generation) == state.chain
    assert freshness.chain_value(connection, 0) is None
    connection.close()


def committed(connection: apsw.Connection, times: int = 1, recorded: int = 0) -> Freshness:
    """Commit empty changes; return the state after them."""
    for _ in range(times):
        with freshness.changing(connection, PlainDigester()) as change:
            change.recorded = recorded
    return freshness.read(connection)


def test_a_new_database_stands_at_generation_0(plain: apsw.Connection) -> None:
    """Nothing counted, all sums zero, no chain yet."""
    assert freshness.read(plain) == Freshness(0, 0, 0, 0, bytes(32), 0)
    freshness.check_chain(plain)


def test_a_change_that_raises_writes_no_generation(plain: apsw.Connection) -> None:
    """The caller rolls back; rows changed afterwards are not followed any more."""
    changes: list[Change] = []

    def failing() -> None:
        with freshness.changing(plain, PlainDigester()) as change:
            changes.append(change)
            plain.execute("INSERT INTO name (text, uses) VALUES ('a', 0)")
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    (change,) = changes
    followed = change.rows_digest
    plain.execute("INSERT INTO name (text, uses) VALUES ('b', 0)")
    assert change.rows_digest == followed != 0
    assert freshness.generation(plain) == 0


def test_the_newest_moment_never_goes_back(plain: apsw.Connection) -> None:
    """`recorded` is the newest of all, whatever a later change brings."""
    assert committed(plain, recorded=50).recorded == 50
    assert committed(plain, recorded=20).recorded == 50
    assert committed(plain, recorded=70).recorded == 70


def test_what_the_chain_binds_has_one_form(plain: apsw.Connection) -> None:
    """Every field moves the pinned bytes, which have one length whatever the numbers are."""
    base = Freshness(1, 2, 3, 4, bytes(32), 5)
    others = [
        Freshness(2, 2, 3, 4, bytes(32), 5), Freshness(1, 3, 3, 4, bytes(32), 5), Freshness(1, 2, 4, 4, bytes(32), 5),
        Freshness(1, 2, 3, 5, bytes(32), 5), Freshness(1, 2, 3, 4, bytes(32), -5),
    ]  # fmt: skip
    forms = {one.pinned() for one in [base, *others]}
    assert len(forms) == 6
    assert {len(form) for form in forms} == {88}


def test_only_the_newest_values_of_the_chain_are_kept(plain: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older ones go, and the check knows how many there should be."""
    monkeypatch.setattr(freshness, "CHAIN_KEPT", 4)
    committed(plain, 10)
    assert [g for (g,) in plain.execute("SELECT generation FROM chain ORDER BY generation")] == [7, 8, 9, 10]
    freshness.check_chain(plain)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM chain WHERE generation = 2",
        "DELETE FROM chain WHERE generation = 5",
        "DELETE FROM chain",
        "UPDATE chain SET value = zeroblob(32) WHERE generation = 5",
        "UPDATE chain SET generation = 6 WHERE generation = 5",
        "INSERT INTO chain VALUES (6, zeroblob(32))",
        "UPDATE freshness SET generation = 4",
        "UPDATE freshness SET chain = zeroblob(32)",
    ],
)
def test_a_chain_with_a_gap_or_another_end_is_refused(damage: str, plain: apsw.Connection) -> None:
    """It must hold every value to the present generation and end with its own."""
    committed(plain, 5)
    freshness.check_chain(plain)
    plain.execute(damage)
    with pytest.raises(TamperedError, match=r"the chain of generations .*; restore a backup"):
        freshness.check_chain(plain)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM freshness",
        "UPDATE freshness SET digest = x'00'",
        "UPDATE freshness SET rows_digest = zeroblob(33)",
        "UPDATE freshness SET chain = x''",
    ],
)
def test_a_missing_or_malformed_state_is_refused(damage: str, plain: apsw.Connection) -> None:
    """Nothing is guessed."""
    plain.execute(damage)
    with pytest.raises(TamperedError, match="the freshness of a database is missing; restore a backup"):
        freshness.read(plain)


def test_tables_that_are_not_digested_are_not_followed(plain: apsw.Connection) -> None:
    """Padding, leases and nodes do not move `rows_digest` (nodes have a digest of their own)."""
    with freshness.changing(plain, PlainDigester()) as change:
        plain.execute("INSERT INTO padding VALUES (1, zeroblob(10))")
        plain.execute("INSERT INTO lease VALUES (1, x'00', 0)")
        assert change.rows_digest == 0
        plain.execute("INSERT INTO setting VALUES ('a', x'00')")
        assert change.rows_digest != 0


def test_an_older_catalog_without_a_table_can_still_be_reckoned(plain: apsw.Connection) -> None:
    """Tables that this kind of database does not have count nothing."""
    plain.execute("DROP TABLE sketch")
    assert freshness.recompute_rows(plain, PlainDigester()) == 0


def test_a_change_counts_elements_in_and_out(plain: apsw.Connection) -> None:
    """Put and take of one element cancel; `count` says what an element adds to the number."""
    with freshness.changing(plain, PlainDigester()) as change:
        assert isinstance(change, Change)
        assert change.generation == 1
        change.put(b"a", b"1")
        change.put(b"b", b"2", count=0)
        change.take(b"a", b"1")
    state = freshness.read(plain)
    assert state.count == 0
    assert state.digest == PlainDigester().digest_element(b"b", b"2")


def test_the_moment_of_the_last_check_is_kept(plain: apsw.Connection) -> None:
    """0 where there was none yet."""
    assert freshness.last_check(plain) == 0
    freshness.note_check(plain, 1 << 50)
    freshness.note_check(plain, 5)
    assert freshness.last_check(plain) == 5


def test_erased_rows_are_gathered_where_they_are_asked_for(plain: apsw.Connection) -> None:
    """Pieces of every column of every deleted row; rows that were only changed are not erased."""
    plain.execute("INSERT INTO name (text, uses) VALUES ('window', 1), ('seat', 1)")
    with freshness.changing(plain, PlainDigester()) as change:
        change.erased = set()
        plain.execute("UPDATE name SET uses = 2")
        plain.execute("DELETE FROM name WHERE text = 'seat'")
        assert change.erased == {b"seat"}
