"""Nodes as rows: by seq, by id, by the first digits of an id, and as elements of the set digest."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import apsw
import pytest

from mimir_vault.crypto.sealer import SealedNode
from mimir_vault.errors import NotFoundError
from mimir_vault.store import nodes

from .conftest import PlainDigester


def sealed(node_id: str, epoch: int = 1) -> SealedNode:
    """Return a sealed node of an id given by its first digits."""
    return SealedNode(bytes.fromhex(node_id.ljust(64, "0")), epoch, b"w" * 60, b"payload", b"metadata", b"state")


@pytest.fixture
def three(plain: apsw.Connection) -> apsw.Connection:
    """Three nodes, two of which begin alike."""
    for one in ("aaaaaaaabb", "aaaaaaaacc", "ffffffff"):
        nodes.insert(plain, sealed(one))
    return plain


def test_a_node_comes_back_by_seq(three: apsw.Connection) -> None:
    """With all its bytes; what is not there is left out."""
    assert nodes.by_seq(three, [1, 3, 9]) == {
        1: nodes.StoredNode(1, sealed("aaaaaaaabb")), 3: nodes.StoredNode(3, sealed("ffffffff")),
    }  # fmt: skip
    assert nodes.by_seq(three, []) == {}
    assert [node.seq for node in nodes.every(three)] == [1, 2, 3]
    assert [node.seq for node in nodes.every(three, above=2)] == [3]


def test_seqs_and_ids_of_many(three: apsw.Connection) -> None:
    """In one statement each."""
    first, last = sealed("aaaaaaaabb").id, sealed("ffffffff").id
    assert nodes.seqs_of(three, [last, first, bytes(32)]) == {first: 1, last: 3}
    assert nodes.seqs_of(three, []) == {}
    assert nodes.ids_of(three, [3, 1, 9]) == {1: first, 3: last}
    assert nodes.ids_of(three, []) == {}


@pytest.mark.parametrize(
    ("digits", "seq"),
    [("ffffffff", 3), ("aaaaaaaab", 1), ("AAAAAAAACC", 2), ("  ffffffff0000 ", 3), ("ffffffff".ljust(64, "0"), 3)],
)
def test_an_id_may_be_shortened_to_eight_digits(three: apsw.Connection, digits: str, seq: int) -> None:
    """Even and odd numbers of digits, in either case, blanks around them aside."""
    assert [node.seq for node in nodes.find(three, digits)] == [seq]


@pytest.mark.parametrize("digits", ["00000000", "fffffffe", "f" * 64, "aaaaaaaad"])
def test_what_no_id_begins_with_finds_nothing(three: apsw.Connection, digits: str) -> None:
    """Not an error: the caller says what that means."""
    assert nodes.find(three, digits) == []


def test_what_several_ids_begin_with_finds_all_of_them(three: apsw.Connection) -> None:
    """In the order of their ids, at most 16: only the caller knows which of them may be seen."""
    assert [node.seq for node in nodes.find(three, "aaaaaaaa")] == [1, 2]
    for number in range(20):
        nodes.insert(three, sealed(f"bbbbbbbb{19 - number:02}"))
    found = nodes.find(three, "bbbbbbbb")
    assert [node.sealed.id for node in found] == [sealed(f"bbbbbbbb{number:02}").id for number in range(16)]


@pytest.mark.parametrize(
    "digits", ["", "fffffff", "f" * 65, "gggggggg", "ffff ffff", "ｆｆｆｆｆｆｆｆ", "\n", "x\ny" * 999]
)
def test_what_is_no_id_is_not_found(three: apsw.Connection, digits: str) -> None:
    """Too short, too long, or other characters: one short sentence."""
    with pytest.raises(NotFoundError, match="is no node id: give at least 8 of its hexadecimal digits") as caught:
        nodes.find(three, digits)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_id_is_stored_once(three: apsw.Connection) -> None:
    """The database itself refuses a second node of one id."""
    with pytest.raises(apsw.ConstraintError):
        nodes.insert(three, sealed("ffffffff"))


def test_a_seq_is_never_used_twice(three: apsw.Connection) -> None:
    """Not even that of the newest node, erased."""
    three.execute("DELETE FROM node WHERE seq = 3")
    assert nodes.insert(three, sealed("eeeeeeee")) == 4


def test_the_element_of_a_node_has_its_form() -> None:
    """Node: id, epoch, wrap, SHA-256 of the state; tombstone: id, generation, what it superseded."""
    node = sealed("ab", epoch=0x01020304)
    expected = node.id + b"\x01\x02\x03\x04" + b"w" * 60 + hashlib.sha256(b"state").digest()
    assert nodes.element(node) == expected
    assert nodes.element(replace(node, state=b"other")) != expected
    assert nodes.tombstone_element(node.id, 258, b"ids") == node.id + bytes([0, 0, 0, 0, 0, 0, 1, 2]) + b"ids"


def test_the_sum_over_all_is_reckoned_afresh(three: apsw.Connection) -> None:
    """Nodes and tombstones count one each, under different tags."""
    digester = PlainDigester()
    three.execute("INSERT INTO tombstone VALUES (?, 7, 9, x'ab')", (bytes(32),))
    count, total = nodes.recompute(three, digester)
    assert count == 4
    assert total == digester.digest_element(b"tombstone", nodes.tombstone_element(bytes(32), 7, b"\xab")) + sum(
        digester.digest_element(b"node", nodes.element(sealed(one))) for one in ("aaaaaaaabb", "aaaaaaaacc", "ffffffff")
    )
