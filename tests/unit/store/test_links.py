"""Links: what an erased node had superseded stays superseded by its successor."""

from __future__ import annotations

import apsw
import pytest

from mimir_vault.crypto.sealer import SealedNode
from mimir_vault.store import links, nodes
from mimir_vault.store.links import SUPERSEDES

ABOUT = 3


def node_id(number: int) -> bytes:
    """Return the id of a node."""
    return bytes([number] * 32)


@pytest.fixture
def chain(plain: apsw.Connection) -> apsw.Connection:
    """Nodes 1 to 4, each superseding the one before."""
    for number in range(1, 5):
        nodes.insert(plain, SealedNode(node_id(number), 1, b"", b"", b"", b""))
        if number > 1:
            links.put(plain, number, SUPERSEDES, node_id(number - 1))
    return plain


def erase(connection: apsw.Connection, seq: int) -> list[int]:
    """Erase a node's links and row and leave a tombstone; return what is current again."""
    superseded, again = links.erase(connection, seq, node_id(seq))
    connection.execute("DELETE FROM node WHERE seq = ?", (seq,))
    connection.execute("INSERT INTO tombstone VALUES (?, 1, ?, ?)", (node_id(seq), seq, superseded))
    return again


def rows(connection: apsw.Connection) -> list[tuple[int, int]]:
    """Return (newer, older) of all links to nodes that are here."""
    return connection.execute("SELECT newer, older FROM link WHERE older > 0 ORDER BY newer, older").fetchall()


def test_erasing_the_newest_makes_the_one_before_current(chain: apsw.Connection) -> None:
    """One step at a time."""
    assert erase(chain, 4) == [3]
    assert rows(chain) == [(2, 1), (3, 2)]


def test_erasing_the_oldest_makes_nothing_current(chain: apsw.Connection) -> None:
    """The link to it stays, pointing at no node."""
    assert erase(chain, 1) == []
    assert rows(chain) == [(3, 2), (4, 3)]
    assert chain.execute("SELECT newer FROM link WHERE target = ?", (node_id(1),)).fetchall() == [(2,)]


def test_erasing_one_in_between_keeps_the_chain_whole(chain: apsw.Connection) -> None:
    """Its successor now supersedes what it had superseded, so nothing old comes back."""
    assert erase(chain, 3) == []
    assert rows(chain) == [(2, 1), (4, 2)]
    assert erase(chain, 2) == []
    assert rows(chain) == [(4, 1)]
    assert erase(chain, 4) == [1]


def test_a_node_with_two_successors_stays_superseded_while_one_lives(chain: apsw.Connection) -> None:
    """Only the last of them makes it current again."""
    nodes.insert(chain, SealedNode(node_id(5), 1, b"", b"", b"", b""))
    links.put(chain, 5, SUPERSEDES, node_id(3))
    assert erase(chain, 4) == []
    assert erase(chain, 5) == [3]


def test_a_link_to_an_erased_node_reaches_what_that_one_had_superseded(chain: apsw.Connection) -> None:
    """As a rebuild needs it: tombstones tell the way, however long."""
    for seq in (2, 3):
        erase(chain, seq)
    chain.execute("DELETE FROM link")
    links.put(chain, 4, SUPERSEDES, node_id(3))
    assert rows(chain) == [(4, 1)]


def test_tombstones_in_a_ring_end(plain: apsw.Connection) -> None:
    """A loop, which no sound space has, is gone through once."""
    plain.execute(
        "INSERT INTO tombstone VALUES (?, 1, 1, ?), (?, 1, 2, ?)", (node_id(1), node_id(2), node_id(2), node_id(1))
    )
    links.put(plain, 9, SUPERSEDES, node_id(1))
    assert plain.execute("SELECT count(*) FROM link").fetchall() == [(2,)]


def test_other_kinds_of_links_are_not_inherited(plain: apsw.Connection) -> None:
    """`about` an erased node is about nothing here."""
    for number in (1, 2, 3):
        nodes.insert(plain, SealedNode(node_id(number), 1, b"", b"", b"", b""))
    links.put(plain, 2, ABOUT, node_id(1))
    links.put(plain, 3, ABOUT, node_id(2))
    assert erase(plain, 2) == []
    assert rows(plain) == []


@pytest.mark.parametrize("count", [0, 1, 3])
def test_joined_ids_are_split_again(count: int) -> None:
    """32 bytes each."""
    ids = [node_id(number) for number in range(count)]
    assert links.split(b"".join(ids)) == ids
