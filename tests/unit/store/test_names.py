"""Names and threads: texts that many nodes share, counted so that the last use takes them away."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.store.names import Names, Thread, Threads, all_names, thread_identity

from .conftest import plain_space

TEXTS = st.sampled_from(["ada", "bo", "cy", "", "é"])


@given(st.lists(st.lists(st.tuples(st.booleans(), TEXTS), max_size=5), max_size=5))
def test_names_are_there_while_something_uses_them(transactions: list[list[tuple[bool, str]]]) -> None:
    """Against a plain counter: after each transaction the table holds the names in use, each with its count."""
    connection = plain_space()
    uses: dict[str, int] = {}
    codes: dict[str, int] = {}
    for operations in transactions:
        names = Names(connection)
        for take, text in operations:
            if take:
                codes[text] = names.code(text)
                uses[text] = uses.get(text, 0) + 1
            elif uses.get(text, 0):
                names.drop(codes[text])
                uses[text] -= 1
        names.flush()
        held = dict(connection.execute("SELECT text, uses FROM name"))
        assert held == {text: count for text, count in uses.items() if count}
        assert all_names(connection) == {codes[text]: text for text, count in uses.items() if count}
    connection.close()


def test_no_name_is_code_0(plain: apsw.Connection) -> None:
    """None takes no row, and dropping 0 nothing."""
    names = Names(plain)
    assert names.code(None) == 0
    names.drop(0)
    names.flush()
    assert all_names(plain) == {}


def test_one_text_has_one_code(plain: apsw.Connection) -> None:
    """Within a transaction, across transactions, and also after it was gone a new one."""
    first = Names(plain)
    code = first.code("ada")
    assert first.code("ada") == code
    first.flush()
    second = Names(plain)
    assert second.code("ada") == code
    for _ in range(3):
        second.drop(code)
    second.flush()
    assert all_names(plain) == {}
    third = Names(plain)
    assert third.code("ada") > code
    third.flush()


def test_only_newer_names_are_asked_for(plain: apsw.Connection) -> None:
    """`above` leaves out what a reader knows."""
    names = Names(plain)
    codes = [names.code(text) for text in ("a", "b", "c")]
    names.flush()
    assert all_names(plain, codes[0]) == {codes[1]: "b", codes[2]: "c"}
    assert all_names(plain, codes[2]) == {}


def test_threads_are_told_apart_by_all_that_names_them() -> None:
    """Prefix, user, agent and session: another one in any place is another chain, and joins do not blur."""
    identities = [
        thread_identity((), None, None, "s"), thread_identity((), None, None, "t"), thread_identity((), "s", None, "s"),
        thread_identity((), None, "s", "s"), thread_identity(("s",), None, None, "s"),
        thread_identity(("a", "b"), None, None, "s"), thread_identity(("ab",), None, None, "s"),
        thread_identity(("a",), "b", None, "s"),
    ]  # fmt: skip
    assert len(set(identities)) == len(identities)
    assert thread_identity(["a"], "b", None, "s") == identities[-1]


def rows(connection: apsw.Connection) -> list[tuple[bytes, int, int, int]]:
    """Return what the table of threads holds."""
    return connection.execute("SELECT identity, length, uses, head FROM thread ORDER BY code").fetchall()


def test_a_chain_grows_and_goes_with_its_last_node(plain: apsw.Connection) -> None:
    """Length counts all ever put, uses those alive, head is the newest; without live nodes the chain is gone."""
    threads = Threads(plain)
    thread = threads.get(b"one")
    assert threads.get(b"one") is thread
    assert (thread.length, thread.uses, thread.head) == (0, 0, 0)
    threads.append(thread, 5)
    threads.append(thread, 6)
    threads.flush()
    assert rows(plain) == [(b"one", 2, 2, 6)]
    threads = Threads(plain)
    threads.drop(thread.code)
    threads.drop(999)
    threads.flush()
    assert rows(plain) == [(b"one", 2, 1, 6)]
    threads = Threads(plain)
    again = threads.get(b"one")
    threads.drop(again.code)
    threads.flush()
    assert rows(plain) == []


def test_a_chain_that_is_dropped_and_grown_in_one_transaction_is_one(plain: apsw.Connection) -> None:
    """By identity and by code one object is meant."""
    threads = Threads(plain)
    threads.append(threads.get(b"one"), 1)
    threads.flush()
    threads = Threads(plain)
    code = int(plain.execute("SELECT code FROM thread").fetchall()[0][0])
    threads.drop(code)
    threads.append(threads.get(b"one"), 2)
    threads.flush()
    assert rows(plain) == [(b"one", 2, 1, 2)]


def test_a_node_that_moves_goes_to_another_chain(plain: apsw.Connection) -> None:
    """It keeps its place there: the chain is at least so long, and the newest of all its nodes is the head."""
    threads = Threads(plain)
    old, new = threads.get(b"old"), threads.get(b"new")
    for seq in (1, 2, 3):
        threads.append(old, seq)
    threads.append(new, 2)
    threads.drop(old.code, moved=3)
    threads.join(new, 3, 2)
    threads.drop(old.code, moved=1)
    threads.join(new, 1, 0)
    threads.flush()
    assert rows(plain) == [(b"old", 3, 1, 0), (b"new", 3, 3, 3)]


def test_a_chain_without_its_newest_node_has_no_head(plain: apsw.Connection) -> None:
    """Only where it moved away: after another one moved the head is still the newest."""
    threads = Threads(plain)
    thread = threads.get(b"one")
    for seq in (1, 2):
        threads.append(thread, seq)
    threads.drop(thread.code, moved=1)
    assert thread.head == 2
    threads.drop(thread.code, moved=2)
    assert thread.head == 0
    threads.flush()
    assert rows(plain) == []


def test_a_chain_nobody_touched_is_not_written(plain: apsw.Connection) -> None:
    """Looking at a chain leaves it as it was."""
    threads = Threads(plain)
    threads.append(threads.get(b"one"), 1)
    threads.flush()
    changes = plain.total_changes()
    threads.get(b"one")
    threads.flush()
    assert plain.total_changes() == changes
    assert Thread(1, 2, 3, 4).touched is False


@pytest.mark.parametrize("session", ["", "s1", "é\x00"])
def test_an_identity_is_bytes_whatever_the_session_is(session: str) -> None:
    """MessagePack of a tuple: unambiguous."""
    assert isinstance(thread_identity((), None, None, session), bytes)
