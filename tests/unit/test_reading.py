"""From sealed rows to the node that a caller sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mimir_vault import Draft, Link, Memory, Vault
from mimir_vault.errors import TamperedError
from mimir_vault.reading import as_node, open_stored, plain_text, successors
from mimir_vault.store import nodes


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """An empty space."""
    return vault.space()


def test_a_stored_node_is_what_was_returned(memory: Memory) -> None:
    """With the id that its envelopes have."""
    node = memory.remember("text", speaker="Ada", tags=["a"], metadata={"n": 1}, data=b"d", at="2026-05-01T09:00+02:00")
    with memory._space.store.read() as connection:
        (stored,) = nodes.every(connection)
        opened = open_stored(memory._space.store.sealer, stored)
    assert as_node(opened) == node
    assert as_node(opened, bytes(32)).superseded_by == "00" * 32
    assert opened.body == "text"


def test_the_body_is_what_is_searched(memory: Memory) -> None:
    """The passages in place of the text where they are given; nothing where a node is never found."""
    memory.remember_many([Draft("text", index=["one", "two"]), Draft("text", index=False), Draft("text")])
    with memory._space.store.read() as connection:
        opened = [open_stored(memory._space.store.sealer, stored) for stored in nodes.every(connection)]
    assert [one.body for one in opened] == ["one\n\ntwo", "text", "text"]
    assert [one.passages for one in opened] == [("one", "two"), (), ("text",)]


def test_the_newest_successor_is_named(memory: Memory) -> None:
    """Of several; nodes without one are left out, nothing asked is nothing found."""
    old, other = memory.remember("old"), memory.remember("other")
    memory.supersede(old.id, "newer")
    newest = memory.remember("newest", links=[Link("supersedes", old.id)])
    with memory._space.store.read() as connection:
        assert successors(connection, [1, 2, 99], lambda: 0) == {1: bytes.fromhex(newest.id)}
        assert successors(connection, [], lambda: 0) == {}
    assert memory.get(other.id) == other


@pytest.mark.parametrize("part", ["payload", "metadata", "state", "wrap", "id", "epoch"])
def test_a_node_with_a_part_of_another_does_not_open(memory: Memory, part: str) -> None:
    """Envelopes, state and wrap are bound to their node: TamperedError, whichever was exchanged."""
    memory.remember_many([Draft("one", pinned=True), Draft("two", pinned=True)])
    with memory._space.store.read() as connection:
        one, two = nodes.every(connection)
    mixed = replace(one.sealed, **{part: getattr(two.sealed, part) if part != "epoch" else 2})
    with pytest.raises(TamperedError):
        open_stored(memory._space.store.sealer, replace(one, sealed=mixed))


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        ("Same  Text", "same text", True), (" a\n\tb ", "A B", True), ("Straße", "STRASSE", True), ("", " \n", True),
        ("a b", "ab", False), ("a.", "a", False), ("é", "e", False),
    ],
)  # fmt: skip
def test_texts_are_compared_without_case_and_blanks(one: str, two: str, alike: bool) -> None:
    """And with everything else."""
    assert (plain_text(one) == plain_text(two)) is alike
