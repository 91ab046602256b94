"""Refs: bytes that sort part by part, versions of one ref, and subtrees as ranges."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.store import refs

from .conftest import plain_space

PARTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3) | st.sampled_from(
    ["", "\x00", "\x00\x00", "\x00\xff", "\xff", "a", "ab", "a\x00", "\U0010ffff"]
)
REFS = st.lists(PARTS, min_size=1, max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (("a",), b"a\x00\x00"),
        (("a", "b"), b"a\x00\x00b\x00\x00"),
        (("",), b"\x00\x00"),
        (("", ""), b"\x00\x00\x00\x00"),
        (("a\x00b",), b"a\x00\xffb\x00\x00"),
        (("é",), b"\xc3\xa9\x00\x00"),
        ((), b""),
    ],
)
def test_a_ref_has_these_bytes(ref: tuple[str, ...], path: bytes) -> None:
    """Each part ends with 00 00, a NUL within is 00 ff; and back again."""
    assert refs.path_of(ref) == path
    assert refs.ref_of(path) == ref


@given(REFS)
def test_a_ref_comes_back_from_its_bytes(ref: tuple[str, ...]) -> None:
    """Whatever its parts are."""
    assert refs.ref_of(refs.path_of(ref)) == ref


@given(REFS, REFS)
def test_bytes_sort_part_by_part(one: tuple[str, ...], two: tuple[str, ...]) -> None:
    """As tuples of the parts' UTF-8 would, and a subtree is what begins with the bytes of its prefix."""
    parts = [tuple(part.encode() for part in ref) for ref in (one, two)]
    assert (refs.path_of(one) < refs.path_of(two)) == (parts[0] < parts[1])
    assert refs.path_of(two).startswith(refs.path_of(one)) == (two[: len(one)] == one)


@pytest.fixture
def filled(plain: apsw.Connection) -> apsw.Connection:
    """Two versions of one ref, two below it, and others beside it."""
    for seq, ref in enumerate([("a",), ("a", "b"), ("ab",), ("a",), ("a", "\U0010ffff"), ("",)], 1):
        refs.put(plain, ref, seq)
    return plain


def test_versions_of_a_ref_are_the_oldest_first(filled: apsw.Connection) -> None:
    """The newest is the one it points at; what nothing has is 0 and nothing."""
    assert refs.versions(filled, ("a",)) == [1, 4]
    assert refs.newest(filled, ("a",)) == 4
    assert refs.versions(filled, ("b",)) == []
    assert refs.newest(filled, ("b",)) == 0
    refs.remove(filled, ("a",), 4)
    assert refs.newest(filled, ("a",)) == 1


def test_a_node_is_put_under_a_ref_once(filled: apsw.Connection) -> None:
    """Saying it again changes nothing; taking away what is not there neither."""
    refs.put(filled, ("a",), 1)
    refs.remove(filled, ("a",), 3)
    assert refs.versions(filled, ("a",)) == [1, 4]


def test_a_subtree_is_all_that_begins_so(filled: apsw.Connection) -> None:
    """Its root and what is below it, all versions; () is everything that has a ref."""
    assert refs.seqs_under(filled, ("a",)).tolist() == [1, 2, 4, 5]
    assert refs.seqs_under(filled, ("a", "b")).tolist() == [2]
    assert refs.seqs_under(filled, ("b",)).tolist() == []
    assert refs.seqs_under(filled, ()).tolist() == [1, 2, 3, 4, 5, 6]
    assert refs.seqs_under(filled, ("b",)).dtype == "int64"


def test_rows_come_in_the_order_of_refs(filled: apsw.Connection) -> None:
    """Part by part, then as they were stored."""
    assert [(refs.ref_of(path), seq) for path, seq in refs.rows_under(filled, ())] == [
        (("",), 6), (("a",), 1), (("a",), 4), (("a", "b"), 2), (("a", "\U0010ffff"), 5), (("ab",), 3),
    ]  # fmt: skip
    assert [seq for _, seq in refs.rows_under(filled, ("a",))] == [1, 4, 2, 5]


@given(st.lists(REFS, max_size=8), REFS)
def test_a_subtree_is_what_asking_each_ref_gives(there: list[tuple[str, ...]], prefix: tuple[str, ...]) -> None:
    """Against a plain list."""
    connection = plain_space()
    for seq, ref in enumerate(there, 1):
        refs.put(connection, ref, seq)
    expected = [seq for seq, ref in enumerate(there, 1) if ref[: len(prefix)] == prefix]
    assert refs.seqs_under(connection, prefix).tolist() == expected
    assert sorted(seq for _, seq in refs.rows_under(connection, prefix)) == expected
    assert refs.versions(connection, prefix) == [seq for seq, ref in enumerate(there, 1) if ref == prefix]
    connection.close()
