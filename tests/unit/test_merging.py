"""Merging: which node may stand for a draft, and that none is looked for in what is not committed."""

from __future__ import annotations

from typing import Any

import pytest

from mimir_vault import Draft, Link, Memory, Vault
from mimir_vault import merging as module
from quick_vaults import QuickVaults


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """A memory that merges duplicates."""
    return vault.space().view(duplicates="merge")


def test_what_says_the_same_is_given_back(memory: Memory) -> None:
    """The node that is there, unchanged; nothing new is stored."""
    one = memory.remember("Same  Text", speaker="Ada", user="ada", at="2026-05-01T00:00Z")
    assert memory.remember("same text", speaker="Ada", user="ada") == one
    assert memory.remember("SAME TEXT ", speaker="Ada", user="ada", at="2026-06-01T00:00Z") == one
    assert memory.count() == 1


def test_one_call_merges_what_it_brings(memory: Memory) -> None:
    """One node for each draft, in order; progress counts drafts."""
    calls: list[tuple[int, int]] = []
    drafts = [Draft("one"), Draft("two"), Draft("ONE"), Draft("one", user="ada"), Draft("Two")]
    nodes = memory.remember_many(drafts, lambda *call: calls.append(call))
    assert [node.id for node in nodes] == [nodes[0].id, nodes[1].id, nodes[0].id, nodes[3].id, nodes[1].id]
    assert memory.count() == 3
    assert calls[-1] == (5, 5)
    assert memory.verify(full=True) == []


def test_a_draft_may_ask_for_it_where_its_memory_does_not(vault: Vault) -> None:
    """And `mark`, which is the default, stores what is there already."""
    memory = vault.space()
    one = memory.remember("text")
    assert memory.remember("text").id != one.id
    assert memory.remember("text", duplicates="merge").id in {node.id for node in memory.nodes()}
    assert memory.count() == 2


@pytest.mark.parametrize(
    "change",
    [
        {"text": "other text"}, {"speaker": "Bo"}, {"speaker": None}, {"role": "user"}, {"user": "bo"},
        {"agent": "travel"}, {"kind": "fact"}, {"session": "s"}, {"ref": ("r",)}, {"tags": ["new"]},
        {"metadata": {"n": 2}}, {"metadata": {"m": 1}}, {"data": b"d"}, {"pinned": True}, {"index": False},
        {"index": ["a passage"]}, {"vector": [1.0] * 64}, {"expires_at": "2099-01-01T00:00Z"},
    ],
)  # fmt: skip
def test_what_brings_something_new_is_stored(memory: Memory, change: dict[str, Any]) -> None:
    """Whatever it is: nothing is lost by merging."""
    given: dict[str, Any] = {"text": "text", "speaker": "Ada", "tags": ["t"], "metadata": {"n": 1}}
    one = memory.remember(**given)
    node = memory.remember(**{**given, **change})
    assert node.id != one.id
    assert memory.count() == 2


def test_a_link_is_something_new(memory: Memory) -> None:
    """It is part of the node that has it."""
    target, one = memory.remember("target"), memory.remember("text")
    assert memory.remember("text", links=[Link("about", target.id)]).id != one.id


def test_what_brings_less_is_merged(memory: Memory) -> None:
    """A node with more to it stands for a draft with less."""
    one = memory.remember("text", tags=["a", "b"], metadata={"n": 1, "m": 2}, data=b"d", pinned=True)
    assert memory.remember("text").id == one.id
    assert memory.remember("text", tags=["b"], metadata={"n": 1}, data=b"d").id == one.id
    assert memory.count() == 1


@pytest.mark.parametrize(
    "there",
    [{"ref": ("r",)}, {"session": "s"}, {"expires_at": "2099-01-01T00:00Z"}, {"expires_at": "2020-01-01T00:00Z"}],
)
def test_what_has_a_place_or_an_end_stands_for_nothing_else(memory: Memory, there: dict[str, Any]) -> None:
    """A ref may move on, a session is a course of turns, and what expires would take the other with it."""
    one = memory.remember("text", **there)
    assert memory.remember("text").id != one.id


@pytest.mark.parametrize("away", ["hide", "forget", "supersede"])
def test_what_is_not_current_stands_for_nothing(memory: Memory, away: str) -> None:
    """Hidden, forgotten or superseded: the draft is stored."""
    one = memory.remember("text")
    if away == "supersede":
        memory.supersede(one.id, "another text")
    else:
        getattr(memory, away)(one.id)
    node = memory.remember("text")
    assert node.id != one.id
    assert memory.get(node.id) == node


def test_nodes_that_are_never_found_are_merged_among_themselves(memory: Memory) -> None:
    """By all that they hold."""
    one = memory.remember("text", index=False)
    listed = memory.remember("text", index=["a passage", "another"])
    found = memory.remember("text")
    assert len({one.id, listed.id, found.id}) == 3
    assert memory.remember("text", index=False).id == one.id
    assert memory.remember("text", index=["a passage", "another"]).id == listed.id
    assert memory.remember("Text").id == found.id
    empty = memory.remember("", data=b"d")
    assert memory.remember("", data=b"d").id == empty.id


def test_nothing_outside_of_the_view_is_given_back(vault: Vault) -> None:
    """A duplicate of somebody else is nobody's here."""
    space = vault.space()
    theirs = space.remember("text", user="bo")
    mine = space.view(user="ada", duplicates="merge").remember("text")
    assert mine.id != theirs.id
    assert mine.user == "ada"
    below = space.view(under=("docs",), duplicates="merge")
    assert below.remember("text").id != below.remember("text").id


def test_what_was_forgotten_and_put_again_is_found(memory: Memory, vaults: QuickVaults) -> None:
    """What another process did meanwhile counts."""
    one = memory.remember("text")
    other = vaults.open().space()
    other.forget(one.id)
    two = other.remember("text")
    assert memory.remember("text") == two


def test_many_candidates_are_looked_through(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of as many words, a portion opened at a time, the newest first."""
    monkeypatch.setattr(module, "PORTION", 7)
    nodes = memory.remember_many([Draft(f"word{number} here") for number in range(40)])
    assert memory.remember("WORD3 here").id == nodes[3].id
    assert memory.remember("word39  here").id == nodes[39].id
    assert memory.remember("word40 here").id not in {node.id for node in nodes}


def test_few_nodes_are_opened(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those of the same people and of as many words."""
    memory.remember_many([Draft("x " * (2 + number), user="ada" if number % 2 else "bo") for number in range(30)])
    opened: list[int] = []
    real = type(memory._space).opened

    def noted(space: Any, connection: Any, seqs: Any) -> Any:
        opened.extend(seqs)
        return real(space, connection, seqs)

    monkeypatch.setattr(type(memory._space), "opened", noted)
    memory.remember("y y y y", user="bo")
    assert len(opened) <= 1


def test_the_index_takes_in_nothing_that_is_undone(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that fails leaves the shared index as it was: its nodes are found by nobody."""
    target = memory.remember("before")
    with pytest.raises(ValueError, match="the text is empty"):
        memory.remember_many([Draft("lost"), Draft("")])
    bad = [Draft("lost"), Draft("kept", links=[Link("about", "0" * 64)])]
    with pytest.raises(Exception, match="not in this space"):
        memory.remember_many(bad)
    node = memory.remember("lost", links=[Link("about", target.id)])
    assert [hit.id for hit in memory.recall("lost", lanes=["lexical"])] == [node.id]
    assert memory.remember("Lost").id == node.id
    assert memory.verify(full=True) == []
