"""Who sees what is written in a transaction: its own thread at once, everybody else after its end, or never."""
# ruff: noqa: PT012 - what is tested here are blocks with more than one statement.

from __future__ import annotations

import threading
from typing import Any

import pytest

from mimir_vault import Memory, Vault
from mimir_vault.testing import HashEmbedder
from quick_vaults import QuickVaults


@pytest.fixture(autouse=True)
def upkeep_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no thread: upkeep is done when a test says so."""
    monkeypatch.setattr("mimir_vault.upkeep.Upkeep.wrote", lambda _: None)


@pytest.fixture
def memory(upkeep_by_hand: None, vault: Vault) -> Memory:
    """A space with one node, which holds a ref."""
    memory = vault.space()
    memory.remember("the first seat", ref=("first",), user="ada", session="s")
    return memory


def texts(memory: Memory) -> list[str]:
    """Return the texts of all nodes."""
    return [node.text for node in memory.nodes()]


def test_what_is_written_inside_is_seen_inside_at_once(memory: Memory) -> None:
    """By every reading verb, after every writing one."""
    with memory.transaction():
        node = memory.remember("a walrus sleeps", ref=("deep", "walrus"), tags=["ice"], session="t")
        assert memory.get(node.id) == memory.get(ref=("deep", "walrus")) == node
        for lane in ("dense", "lexical"):
            assert memory.recall("a walrus sleeps", lanes=[lane])[0].id == node.id
        assert memory.count({"tags": "ice"}) == memory.count(session="t") == memory.count(under=("deep",)) == 1
        assert memory.refs() == [("deep", "walrus"), ("first",)]
        assert "walrus" in memory.context("walrus").text
        new = memory.supersede(node.id, "a walrus wakes")
        assert [hit.id for hit in memory.recall("walrus", lanes=["lexical"])] == [new.id]
        assert [one.id for one in memory.history(node.id)] == [new.id, node.id]
        memory.hide(new.id)
        assert [hit.id for hit in memory.recall("walrus", lanes=["lexical"])] == [node.id]
        memory.keep(new.id)
        memory.move(("deep",), ("shallow",))
        assert memory.count(under=("shallow",)) == 2
        assert memory.vectors([new.id]).shape == (1, 64)
        memory.forget(new.id)
        assert memory.get(new.id) is None
        assert [hit.id for hit in memory.recall("walrus", lanes=["lexical"])] == [node.id]
    assert texts(memory) == ["the first seat", "a walrus sleeps"]


def test_a_verb_that_looked_before_it_wrote_is_seen_too(memory: Memory) -> None:
    """Merging searches first, in an index that must not be taken for what is there after it."""
    merging = memory.view(duplicates="merge")
    with memory.transaction():
        one = merging.remember("a walrus")
        two = merging.remember("a zebra")
        assert merging.count() == 3
        assert {hit.id for hit in merging.recall("walrus zebra", lanes=["lexical"])} == {one.id, two.id}
        assert merging.remember("A  walrus").id == one.id


def test_nobody_else_sees_it_before_the_end(memory: Memory, vaults: QuickVaults) -> None:
    """Neither another process nor another thread of this one, also where both search the same space."""
    other = vaults.open().space()
    seen: list[Any] = []

    def look() -> None:
        seen.append((memory.count(), [hit.text for hit in memory.recall("seat walrus", lanes=["lexical"])]))

    with memory.transaction():
        memory.remember("a walrus", user="cy")
        assert memory.recall("walrus", lanes=["lexical"])
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(30)
        assert other.count() == 1
        assert other.recall("walrus", lanes=["lexical"]) == []
    assert seen == [(1, ["the first seat"])]
    assert other.count(user="cy") == memory.count(user="cy") == 1
    assert other.recall("walrus", lanes=["lexical"]) == memory.recall("walrus", lanes=["lexical"]) != []


def test_the_shared_index_never_takes_in_what_is_undone(memory: Memory) -> None:
    """Codes, seqs and vectors that a rollback gave back are others' afterwards."""
    memory.recall("seat")
    with pytest.raises(KeyError), memory.transaction():
        memory.remember("a walrus", user="cy", tags=["t"])
        assert memory.recall("walrus", user="cy")
        raise KeyError
    node = memory.remember("a zebra", user="dee", tags=["u"])
    assert [hit.id for hit in memory.recall("a zebra", user="dee")] == [node.id]
    assert memory.recall("walrus", user="cy") == []
    assert memory.recall("walrus", lanes=["lexical"]) == []
    assert memory.count({"tags": "t"}) == 0


def test_a_model_that_was_undone_is_not_kept(memory: Memory) -> None:
    """The next one may be another, under the same code."""
    first, second = memory.view(embedder=HashEmbedder(16, "a")), memory.view(embedder=HashEmbedder(8, "b"))
    with pytest.raises(KeyError), memory.transaction():
        node = first.remember("x")
        assert first.recall("x", lanes=["dense"])[0].id == node.id
        raise KeyError
    node = second.remember("y")
    assert second.vectors([node.id]).shape == (1, 8)
    assert first.recall("y", lanes=["dense"]) == []
    other = first.remember("z")
    assert [hit.id for hit in first.recall("z", lanes=["dense"])] == [other.id]
    assert memory.verify(full=True) == []


def test_another_thread_waits_for_the_end(memory: Memory) -> None:
    """It is no part of the transaction: what it writes comes after."""
    with memory.transaction():
        memory.remember("inside")
        thread = threading.Thread(target=lambda: memory.remember("of another thread"))
        thread.start()
        memory.remember("inside too")
    thread.join(30)
    assert texts(memory) == ["the first seat", "inside", "inside too", "of another thread"]


def test_a_transaction_that_only_reads_leaves_no_trace(vault: Vault) -> None:
    """It holds the lock while it lasts, and the generation stays as it was."""
    memory = vault.space()
    memory.remember("one", ref=("r",))
    generation = memory._space.store.freshness().generation
    with memory.transaction():
        assert memory.get(ref=("r",)) is not None
        assert memory.count() == 1
    assert memory._space.store.freshness().generation == generation
    memory.remember("two")
    assert memory.count() == 2
