"""One suite for whatever is a memory: views, transactions and letting go, over every implementation."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import mimir_vault as mimir
from memory_implementations import UNKNOWN, texts
from mimir_vault import Draft, Link, MemoryProtocol
from mimir_vault.testing import FixedClock, HashEmbedder

# -- views ------------------------------------------------------------------------------------------------------------


def test_a_view_fills_and_enforces_its_fields(memory: MemoryProtocol) -> None:
    """On every write and below every read; a conflicting value is a ValueError."""
    outside = memory.remember("I like the aisle", user="bo")
    ada = memory.view(user="ada", session="s1", under=("prefs",), kind="fact")
    assert isinstance(ada, MemoryProtocol)
    node = ada.remember("I like the window", ref=("prefs", "seat"))
    assert (node.user, node.session, node.kind) == ("ada", "s1", "fact")
    assert texts(ada.nodes()) == texts(ada.recall("what seat?")) == ["I like the window"]
    assert (ada.count(), ada.get(outside.id), memory.count()) == (1, None, 2)
    with pytest.raises(ValueError, match="user"):
        ada.remember("as somebody else", user="bo")
    with pytest.raises(ValueError, match="user"):
        ada.view(user="bo")
    with pytest.raises(mimir.NotFoundError):
        ada.forget(outside.id)


@pytest.mark.parametrize("field", ["user", "session"])
def test_every_reading_verb_takes_user_agent_and_session(memory: MemoryProtocol, field: str) -> None:
    """As `remember` does: what is of another is not there, and what is of this one is."""
    fields: dict[str, Any] = {field: "mine"}
    node = memory.remember("a walrus", ref=("seen",), **fields)
    memory.remember("another walrus", ref=("other",))
    assert memory.get(node.id, **fields) == memory.get(ref=("seen",), **fields) == node
    assert memory.history(node.id, **fields) == list(memory.nodes(**fields)) == [node]
    assert (memory.count(**fields), memory.refs(**fields)) == (1, [("seen",)])
    assert memory.vectors([node.id], **fields).shape == (1, 64)
    assert texts(memory.recall("walrus", **fields)) == texts(memory.context("walrus", **fields).hits) == ["a walrus"]
    others: dict[str, Any] = {field: "another's"}
    assert (memory.get(node.id, **others), memory.count(**others), memory.refs(**others)) == (None, 0, [])
    assert texts(memory.recall("walrus", **others)) == texts(memory.nodes(**others)) == []
    for verb in (memory.history, lambda node_id, **given: memory.vectors([node_id], **given)):
        with pytest.raises(mimir.NotFoundError):
            verb(node.id, **others)


def test_a_view_may_only_read(memory: MemoryProtocol) -> None:
    """Whatever would change something is a ReadOnlyError; reading works."""
    node = memory.remember("hello", ref=("a",))
    reader = memory.view(read_only=True)
    assert reader.get(node.id) == node
    changes: list[Callable[[], object]] = [
        lambda: reader.remember("x"), lambda: reader.remember_many([Draft("x")]), lambda: reader.forget(node.id),
        lambda: reader.supersede(node.id, "x"), lambda: reader.hide(node.id), lambda: reader.keep(node.id),
        lambda: reader.move(("a",), ("b",)), reader.rebuild,
        lambda: reader.import_from(io.StringIO('{"text": "x"}\n')),
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(mimir.ReadOnlyError):
            change()
    assert memory.count() == 1


def test_a_view_may_bring_an_embedder(memory: MemoryProtocol) -> None:
    """`view(embedder=e)` writes and reads its own; the dense lane never mixes, the lexical lane serves all."""
    small = memory.view(embedder=HashEmbedder(16))
    node = small.remember("a walrus on the ice")
    assert small.vectors([node.id]).shape == (1, 16)
    assert small.embedder.dimension == 16
    assert texts(small.recall("a walrus", lanes=["dense"])) == ["a walrus on the ice"]
    assert texts(memory.recall("walrus", lanes=["lexical"])) == ["a walrus on the ice"]
    assert texts(memory.recall("walrus", lanes=["dense"])) == []


# -- transactions -----------------------------------------------------------------------------------------------------


def test_a_transaction_is_stored_as_a_whole(memory: MemoryProtocol) -> None:
    """What is written inside is seen inside at once, and is there afterwards; one inside another joins it."""
    with memory.transaction():
        node = memory.remember("one")
        with memory.transaction():
            memory.remember_many([Draft("two"), Draft("three")])
        memory.supersede(node.id, "first")
        assert texts(memory.nodes()) == ["one", "two", "three", "first"]
        assert texts(memory.recall("first", lanes=["lexical"])) == ["first"]
    assert texts(memory.nodes()) == ["one", "two", "three", "first"]


def test_a_transaction_that_fails_leaves_nothing(memory: MemoryProtocol) -> None:
    """All or nothing, over all verbs; the error of the block is raised."""
    kept, gone = memory.remember("kept", ref=("kept",)), memory.remember("to be forgotten")

    def block() -> None:
        with memory.transaction():
            memory.remember("never")
            memory.forget(gone.id)
            memory.hide(kept.id)
            memory.move(("kept",), ("moved",))
            memory.supersede(kept.id, "changed")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        block()
    assert texts(memory.nodes()) == ["kept", "to be forgotten"]
    assert memory.refs() == [("kept",)]
    assert memory.get(gone.id) == gone
    assert memory.verify(full=True) == []


def test_a_transaction_with_a_block_inside_that_fails_leaves_nothing(memory: MemoryProtocol) -> None:
    """Also where the error is caught: a part cannot be taken back."""

    def inner() -> None:
        with memory.transaction():
            memory.remember("inner")
            raise KeyError("mine")

    def outer() -> None:
        with memory.transaction():
            memory.remember("outer")
            with pytest.raises(KeyError, match="mine"):
                inner()

    with pytest.raises(mimir.MimirError, match="nothing of this transaction is stored"):
        outer()
    assert memory.count() == 0


# -- letting go -------------------------------------------------------------------------------------------------------


def test_forget_destroys_by_id_ref_prefix_or_filter(memory: MemoryProtocol) -> None:
    """And returns a receipt; a dry run says the same and does nothing."""
    ids = [memory.remember(f"node {n}", ref=("docs", str(n)), tags=["t"] if n > 2 else []).id for n in range(5)]
    assert memory.forget(where={"tags": "t"}, dry_run=True).ids == tuple(ids[3:])
    assert memory.count() == 5
    assert memory.forget(ids[0]).ids == (ids[0],)
    assert memory.forget(ref=("docs", "1")).ids == (ids[1],)
    assert memory.forget(where={"tags": "t"}).ids == tuple(ids[3:])
    assert memory.forget(under=("docs",)).ids == (ids[2],)
    assert memory.count() == 0
    assert memory.get(ids[0]) is None


def test_forget_reaches_what_was_derived(memory: MemoryProtocol) -> None:
    """With `derived`, along the links."""
    source = memory.remember("said")
    made = memory.remember("a fact", links=[Link("derived_from", source.id)])
    assert set(memory.forget(source.id, derived=True).ids) == {source.id, made.id}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, ValueError), ({"where": {}}, ValueError), ({"under": ()}, ValueError),
        ({"node_id": "abcdef01"}, ValueError),
        ({"node_id": UNKNOWN, "session": "s"}, ValueError), ({"node_id": UNKNOWN}, mimir.NotFoundError),
        ({"ref": ("nothing",)}, mimir.NotFoundError), ({"session": "s", "grace": 7}, TypeError),
    ],
)  # fmt: skip
def test_what_cannot_be_forgotten_is_refused(
    memory: MemoryProtocol, given: dict[str, Any], error: type[Exception]
) -> None:
    """Whole ids only; an empty filter is a ValueError; nothing goes by accident."""
    memory.remember("stay", session="s")
    with pytest.raises(error):
        memory.forget(**given)
    assert memory.count() == 1


def test_a_grace_hides_now_and_keep_undoes_it(memory: MemoryProtocol, clock: FixedClock) -> None:
    """`grace` hides and forgets later; kept in time, a node stays."""
    node = memory.remember("a slip of the tongue")
    memory.forget(node.id, grace=timedelta(days=7))
    assert (memory.get(node.id), memory.count()) == (None, 0)
    assert texts(memory.nodes(hidden=True)) == ["a slip of the tongue"]
    assert memory.keep(node.id).id == node.id
    clock.advance(8 * 86_400)
    assert memory.count() == 1


def test_hide_takes_out_of_answers_and_keep_brings_back(memory: MemoryProtocol) -> None:
    """Reversible, by id or by ref; what is not there is not found."""
    node = memory.remember("a walrus", ref=("seen",))
    assert memory.hide(ref=("seen",)).id == node.id
    assert (texts(memory.recall("walrus")), memory.get(node.id), memory.count()) == ([], None, 0)
    assert memory.keep(ref=("seen",)).id == node.id
    assert texts(memory.recall("walrus")) == ["a walrus"]
    for verb in (memory.hide, memory.keep):
        with pytest.raises(mimir.NotFoundError):
            verb(UNKNOWN)
        with pytest.raises(ValueError, match="a node id or a ref"):
            verb()
