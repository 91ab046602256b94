"""Superseding: what is carried over, what links say, and vectors that serve on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mimir_vault import Draft, Link, Memory, Vault, errors
from mimir_vault import superseding as module
from mimir_vault.crypto.sealer import SealedNode
from mimir_vault.model.codec import CODEC_VERSION, Metadata, Payload, State
from mimir_vault.reading import OpenedNode, as_node
from mimir_vault.store.nodes import StoredNode
from mimir_vault.superseding import CARRIED, successor
from mimir_vault.testing import HashEmbedder
from quick_vaults import QuickVaults

ID = "ab" * 32


def opened(**given: Any) -> OpenedNode:
    """Return an opened node with every field filled in."""
    payload = {"version": CODEC_VERSION, "text": "old", "data": b"d", "passages": None}
    metadata = {
        "version": CODEC_VERSION, "at": 5, "offset_s": 0, "recorded": 6, "order": 0, "user": "ada", "agent": "a",
        "session": "s", "speaker": "Ada", "role": "user", "kind": "fact", "tags": ("t",), "links": (),
        "values": '{"n":1}', "indexed": True,
    }  # fmt: skip
    state = {
        "version": CODEC_VERSION, "ref": ("r",), "expires": 1 << 52, "pinned": True, "hidden": False,
        "forget_at": None, "seen": 0, "last_seen": None,
    }  # fmt: skip
    for fields in (payload, metadata, state):
        fields |= {name: given[name] for name in fields if name in given}
    sealed = SealedNode(bytes.fromhex(ID), 1, b"", b"", b"", b"")
    return OpenedNode(StoredNode(1, sealed), Payload(**payload), Metadata(**metadata), State(**state))


FULL = opened()


# -- the draft --------------------------------------------------------------------------------------------------------


def test_a_successor_carries_over_what_is_not_given() -> None:
    """All but the moment and the links; the text when a new one is given."""
    draft = successor(FULL, "new", {"tags": ["x"]})
    assert (draft.text, draft.tags, draft.at, draft.index) == ("new", ["x"], None, True)
    node = as_node(FULL)
    for name in set(CARRIED) - {"text", "tags"}:
        assert getattr(draft, name) == getattr(node, name) is not None
    assert successor(FULL, None, {}).text == "old"
    assert successor(FULL, None, {"at": "now"}).at == "now"
    assert successor(FULL, None, {"data": None, "pinned": False}).data is None


def test_a_successor_links_to_what_it_supersedes() -> None:
    """By itself when the ref does not do so, beside the links that are given."""
    about = Link("about", "cd" * 32)
    supersedes = Link("supersedes", ID)
    assert successor(FULL, "new", {}).links == []
    assert successor(FULL, "new", {"ref": ("other",)}).links == [supersedes]
    assert successor(FULL, "new", {"ref": None, "links": [about]}).links == [about, supersedes]
    assert successor(opened(ref=None), "new", {}).links == [supersedes]


@pytest.mark.parametrize("name", ["colour", "id", "recorded_at", "superseded_by"])
def test_a_successor_takes_the_fields_of_a_draft_alone(name: str) -> None:
    """Others are a TypeError that lists those there are."""
    with pytest.raises(TypeError, match=f"no field '{name}'; it has agent"):
        successor(FULL, "new", {name: 1})


def test_passages_stay_with_the_text_they_are_of() -> None:
    """With another text they would find it by what it does not say; what is never found stays so."""
    listed = opened(passages=("one", "two"))
    assert successor(listed, None, {}).index == ("one", "two")
    assert successor(listed, "old", {"tags": ()}).index == ("one", "two")
    assert successor(listed, "new", {}).index is True
    assert successor(listed, None, {"index": ["three"]}).index == ["three"]
    hidden = opened(indexed=False)
    assert successor(hidden, "new", {}).index is False
    assert successor(hidden, "new", {"index": True}).index is True


def test_a_vector_makes_what_was_never_found_findable() -> None:
    """A node with a vector of its owner's is meant to be found by it."""
    vector = np.ones(4)
    assert successor(opened(indexed=False), None, {"vector": vector}).index is True
    assert successor(opened(passages=("one",)), None, {"vector": vector}).index is True
    assert successor(opened(indexed=False), None, {"vector": None}).index is False


# -- vectors ----------------------------------------------------------------------------------------------------------


class Noting(HashEmbedder):
    """An embedder that notes what it is asked."""

    def __init__(self, dimension: int = 64, name: str | None = None) -> None:
        super().__init__(dimension, name)
        self.asked: list[str] = []

    def embed(self, texts: Any) -> Any:
        """Note and embed."""
        self.asked += texts
        return super().embed(texts)


@pytest.fixture
def embedder() -> Noting:
    """What the vault embeds by."""
    return Noting()


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """An empty space."""
    return vault.space()


def rows(memory: Memory) -> dict[int, list[tuple[int, int, bytes]]]:
    """Return model, window and stored row of each vector by the seq of its node."""
    found: dict[int, list[tuple[int, int, bytes]]] = {}
    with memory._space.read() as connection:
        for seq, *row in connection.execute("SELECT seq, model, window, data FROM vector ORDER BY seq, vid"):
            found.setdefault(seq, []).append((row[0], row[1], row[2]))
    return found


@pytest.mark.parametrize(
    "change",
    [{"tags": ["x"]}, {"metadata": {"n": 2}}, {"user": "bo"}, {"ref": ("r",)}, {"text": "said once"}, {"data": b"d"}],
)
def test_a_text_that_stays_keeps_its_vector(memory: Memory, embedder: Noting, change: dict[str, Any]) -> None:
    """The very bytes, not embedded again; it is found by them, and by its words."""
    old = memory.remember("said once", speaker="Ada")
    embedder.asked.clear()
    new = memory.supersede(old.id, **change)
    assert embedder.asked == []
    stored = rows(memory)
    assert stored[1] == stored[2] != []
    assert [hit.id for hit in memory.recall("said once", lanes=["dense"])] == [new.id]
    assert [hit.id for hit in memory.recall("once", lanes=["lexical"])] == [new.id]
    assert memory.verify(full=True) == []


@pytest.mark.parametrize(
    "change", [{"text": "said twice"}, {"speaker": "Bo"}, {"index": ["a passage"]}, {"vector": np.ones(64)}]
)
def test_what_is_found_otherwise_is_embedded_anew(memory: Memory, change: dict[str, Any]) -> None:
    """Another text, another speaker (who is embedded with it), other passages, or a vector given anew."""
    old = memory.remember("said once", speaker="Ada")
    memory.supersede(old.id, **change)
    stored = rows(memory)
    assert len(stored[2]) == 1
    assert stored[1] != stored[2]


def test_what_is_found_no_more_has_no_vector(memory: Memory) -> None:
    """And what had none gets one when it is to be found."""
    node = memory.remember("said once")
    hidden = memory.supersede(node.id, index=False)
    assert set(rows(memory)) == {1}
    memory.supersede(hidden.id, index=True)
    assert rows(memory)[3] == rows(memory)[1]


def test_passages_keep_their_vectors(memory: Memory, embedder: Noting) -> None:
    """All of them, with their places."""
    old = memory.remember("a report", index=["about cats", "about dogs"])
    embedder.asked.clear()
    new = memory.supersede(old.id, tags=["x"])
    assert embedder.asked == []
    stored = rows(memory)
    assert stored[1] == stored[2]
    (hit,) = memory.recall("dogs")
    assert (hit.id, hit.passage) == (new.id, "about dogs")


def test_given_vectors_are_sealed_to_the_successor(memory: Memory) -> None:
    """They outlive the node they were given for, and a rebuild."""
    vector = np.linspace(1, 2, 64, dtype=np.float32)
    old = memory.remember("given", vector=vector)
    new = memory.supersede(old.id, tags=["x"])
    kept = memory.vectors([old.id])
    assert np.array_equal(memory.vectors([new.id]), kept)
    memory.forget(old.id)
    memory.rebuild()
    assert np.array_equal(memory.vectors([new.id]), kept)
    assert memory.verify(full=True) == []


def test_vectors_of_every_embedder_are_kept(memory: Memory) -> None:
    """Whichever memory supersedes: an unchanged text needs no embedder at all."""
    foreign = Noting(16, "other")
    view = memory.view(embedder=foreign)
    old = view.remember("said once")
    foreign.asked.clear()
    new = memory.supersede(old.id, tags=["x"])
    assert foreign.asked == []
    assert view.vectors([new.id]).shape == (1, 16)
    changed = memory.supersede(new.id, "said twice")
    assert memory.vectors([changed.id]).shape == (1, 64)
    with pytest.raises(errors.NotFoundError, match="has no vector by other"):
        view.vectors([changed.id])


# -- what may be superseded -------------------------------------------------------------------------------------------


def test_what_is_not_here_is_not_found(memory: Memory) -> None:
    """Before anything is made of it."""
    with pytest.raises(errors.NotFoundError, match="there is no node 0000"):
        memory.supersede("0" * 64, "x")
    node = memory.remember("x", user="bo")
    with pytest.raises(errors.NotFoundError, match="there is no node"):
        memory.view(user="ada").supersede(node.id, "y")


def test_what_was_forgotten_meanwhile_is_not_found(
    memory: Memory, vaults: QuickVaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its vectors cannot be taken over: nothing is stored."""
    node = memory.remember("said once")
    other = vaults.open().space()
    real = module.store_all
    monkeypatch.setattr(module, "store_all", lambda *given: other.forget(node.id) and real(*given))
    with pytest.raises(errors.NotFoundError, match=r"was forgotten meanwhile|not in this space"):
        memory.supersede(node.id, tags=["x"])
    assert memory.count() == 0


def test_a_successor_is_never_merged(memory: Memory) -> None:
    """Superseding always makes a version, also where a node says the same already."""
    view = memory.view(duplicates="merge")
    one, two = view.remember("one"), view.remember("two")
    node = view.supersede(two.id, "one")
    assert node.id not in (one.id, two.id)
    assert node.links == (Link("supersedes", two.id),)


def test_a_view_that_only_reads_supersedes_nothing(memory: Memory) -> None:
    """As everything that writes."""
    node = memory.remember("x")
    with pytest.raises(errors.ReadOnlyError, match="only reads"):
        memory.view(read_only=True).supersede(node.id, "y")


def test_a_version_of_a_session_takes_its_place_at_the_end(memory: Memory) -> None:
    """It follows the newest turn, as it was said later."""
    turns = memory.remember_many([Draft("one", session="s"), Draft("two", session="s")])
    node = memory.supersede(turns[0].id, "one again")
    assert node.session == "s"
    assert Link("follows", turns[1].id) in node.links
    assert Link("supersedes", turns[0].id) in node.links
