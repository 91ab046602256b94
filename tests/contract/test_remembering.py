"""What the contract says of remembering: refs, data, index and vectors, batches, hygiene, sessions, superseding."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

import mimir_vault as mimir
from mimir_vault import Draft, Link, Memory, Node, Vault
from mimir_vault.testing import HashEmbedder
from quick_vaults import QuickVaults


class CountingEmbedder(HashEmbedder):
    """A hash embedder that notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        """Note the texts and embed them."""
        self.texts += texts
        return super().embed(texts)


@pytest.fixture
def embedder() -> CountingEmbedder:
    """What the vaults of this file embed with."""
    return CountingEmbedder()


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """The one space of an empty vault."""
    return vault.space()


def unit(place: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the unit vector along one of 64 axes."""
    return np.eye(64, dtype=np.float32)[place]


def test_a_draft_has_the_fields_of_remember() -> None:
    """The same names with the same defaults, the text first and all else by keyword."""
    verb = [one for one in inspect.signature(Memory.remember).parameters.values() if one.name != "self"]
    draft = list(inspect.signature(Draft).parameters.values())
    assert [(one.name, one.kind, one.default) for one in verb] == [(one.name, one.kind, one.default) for one in draft]


# -- refs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ref", [("prefs", "ada", "seat"), ("",), ("/", "", "a/b"), ("\n", "\x00", "ü", "\U0001f600"), ("1",) * 64]
)
def test_a_ref_is_a_tuple_of_any_strings(memory: Memory, ref: tuple[str, ...]) -> None:
    """It names one node of its space, by just these parts, and comes back as it was given."""
    node = memory.remember("here", ref=ref)
    assert (node.ref, memory.get(ref=ref), memory.refs()) == (ref, node, [ref])
    assert memory.get(ref=(*ref[:-1], ref[-1] + "x")) is None


@pytest.mark.parametrize(("ref", "error"), [("seat", TypeError), ((), ValueError), ((1,), TypeError)])
def test_what_is_no_ref_is_refused(memory: Memory, ref: Any, error: type[Exception]) -> None:
    """A text, an empty tuple, parts that are no texts."""
    with pytest.raises(error, match="ref"):
        memory.remember("x", ref=ref)


def test_a_ref_points_at_the_newest_version(memory: Memory) -> None:
    """However it came to be: by its ref, by superseding, or after the newest was forgotten."""
    ref = ("prefs", "seat")
    first = memory.remember("aisle", ref=ref)
    second = memory.remember("window", ref=ref)
    third = memory.supersede(second.id, "middle")
    assert third.ref == ref
    assert memory.get(ref=ref) == third
    assert [node.id for node in memory.history(first.id)] == [third.id, second.id, first.id]
    memory.forget(third.id)
    newest = memory.get(ref=ref)
    assert newest is not None
    assert newest.id == second.id
    other = memory.supersede(second.id, "elsewhere", ref=("prefs", "bed"))
    assert (other.ref, memory.get(ref=("prefs", "bed"))) == (("prefs", "bed"), other)


def test_a_ref_taken_by_the_same_content_gives_the_node_that_is_there(memory: Memory) -> None:
    """Any field that differs makes a new version; data, metadata and vectors count too."""
    given: dict[str, Any] = {"ref": ("r",), "at": "2026-05-01T09:00Z", "metadata": {"a": 1}, "data": b"d"}
    first = memory.remember("text", **given)
    assert memory.remember("text", **given) == first
    assert memory.remember("text", **{**given, "at": None}).id == first.id
    for change in ({"metadata": {"a": 2}}, {"data": b"e"}, {"vector": unit(3)}, {"pinned": True}, {"index": False}):
        newer = memory.remember("text", **{**given, **change})
        assert newer.id != first.id, change
        assert Link("supersedes", first.id) in newer.links
        first = memory.remember("text", **given)


def test_a_link_or_a_successor_elsewhere_makes_the_same_content_new(memory: Memory) -> None:
    """A link that the node of the ref lacks is new; so is what was superseded under another ref and is said again."""
    about = memory.remember("Ada flies a lot")
    first = memory.remember("aisle", ref=("seat",))
    linked = memory.remember("aisle", ref=("seat",), links=[Link("about", about.id)])
    assert Link("about", about.id) in linked.links
    assert memory.remember("aisle", ref=("seat",), links=[Link("about", about.id)]) == linked
    elsewhere = memory.supersede(linked.id, ref=("old seat",))
    assert [hit.id for hit in memory.recall("aisle", lanes=["lexical"])] == [elsewhere.id]
    again = memory.remember("aisle", ref=("seat",))
    assert again.id not in (first.id, linked.id)
    assert memory.get(ref=("seat",)) == again
    both = memory.supersede(elsewhere.id, ref=("seat",))
    assert [hit.id for hit in memory.recall("aisle", lanes=["lexical"])] == [both.id]


def test_a_batch_gives_a_node_per_draft_also_where_refs_repeat(memory: Memory) -> None:
    """Exactly one, in order: the node that is there already stands for a draft that says the same."""
    drafts = [Draft("a", ref=("r",)), Draft("a", ref=("r",)), Draft("b", ref=("r",)), Draft("c")]
    nodes = memory.remember_many(drafts)
    assert [node.text for node in nodes] == ["a", "a", "b", "c"]
    assert nodes[0].id == nodes[1].id
    assert memory.count() == 3
    assert memory.get(ref=("r",)) == nodes[2]


@pytest.mark.parametrize("given", [{}, {"metadata": {}}, {"tags": ["a"]}, {"speaker": "Ada"}, {"index": ["x"]}])
def test_an_empty_text_alone_is_refused(memory: Memory, given: dict[str, Any]) -> None:
    """Only ref, metadata or data may stand without a text."""
    with pytest.raises(ValueError, match="empty"):
        memory.remember("  ", **given)


# -- data, index, vector ----------------------------------------------------------------------------------------------


def test_data_is_any_bytes(memory: Memory) -> None:
    """It is given back byte by byte, survives a rebuild, and neither recall nor filters read it."""
    data = bytes(range(256)) * 300
    node = memory.remember("a photo of the sea", data=data)
    memory.rebuild()
    found = memory.get(node.id)
    assert found is not None
    assert found.data == data
    with pytest.raises(ValueError, match="no field 'data'"):
        memory.count({"data": "x"})
    nonsense: Any = "text"
    with pytest.raises(TypeError, match="data must be bytes"):
        memory.remember("x", data=nonsense)


def test_what_is_not_indexed_is_never_recalled_nor_embedded(memory: Memory, embedder: CountingEmbedder) -> None:
    """In no lane, by no vector and in no context; it is there for `get`, `nodes` and filters."""
    node = memory.remember("a giraffe in the garden", index=False, speaker="Ada", ref=("g",))
    memory.remember("something else")
    assert not [text for text in embedder.texts if "giraffe" in text]
    for lanes in (None, ["dense"], ["lexical"]):
        assert node.id not in [hit.id for hit in memory.recall("a giraffe in the garden", lanes=lanes)]
    assert "giraffe" not in memory.context("giraffe").text
    assert memory.get(ref=("g",)) == node
    assert [one.id for one in memory.nodes({"text": {"contains": "giraffe"}})] == [node.id]
    with pytest.raises(mimir.NotFoundError, match="no vector"):
        memory.vectors([node.id])


def test_passages_stand_in_place_of_the_text(memory: Memory, embedder: CountingEmbedder) -> None:
    """Each has a vector of its own, and the one that fits counts; the text itself is not searched."""
    node = memory.remember("a summary of a zebra", index=["the walrus sleeps on the ice", "an okapi eats leaves"])
    memory.remember_many([Draft(f"filler of number {number}") for number in range(5)])
    assert "an okapi eats leaves" in embedder.texts
    assert not [text for text in embedder.texts if "zebra" in text]
    for query in ("the walrus sleeps on the ice", "an okapi eats leaves"):
        hit = memory.recall(query, lanes=["dense"])[0]
        assert (hit.id, hit.passage) == (node.id, query)
        assert hit.lanes["dense"].score == pytest.approx(1, abs=0.02)
        assert hit.text == "a summary of a zebra"
    assert not memory.recall("zebra", lanes=["lexical"])


@pytest.mark.parametrize(
    ("index", "error"), [("text", TypeError), (7, TypeError), ([7], TypeError), ([""], ValueError)]
)
def test_an_index_that_cannot_be_is_refused(memory: Memory, index: Any, error: type[Exception]) -> None:
    """True, False, or a list of texts that are not empty."""
    with pytest.raises(error, match=r"index|passage"):
        memory.remember("x", index=index)


def test_a_vector_of_the_callers_is_truth(memory: Memory, embedder: CountingEmbedder) -> None:
    """(d,) or (n, d); nothing is embedded, the numbers come back exactly, and a rebuild keeps them."""
    one = memory.remember("by one vector", vector=2 * unit(5))
    two = memory.remember("by two vectors", vector=np.stack([unit(6), unit(7)]))
    assert not [text for text in embedder.texts if "by one vector" in text or "by two vectors" in text]
    for _ in range(2):
        np.testing.assert_array_equal(memory.vectors([one.id]), unit(5)[None])
        assert memory.recall("", vector=unit(5), lanes=["dense"])[0].id == one.id
        assert [memory.recall("", vector=unit(n), lanes=["dense"])[0].id for n in (6, 7)] == [two.id] * 2
        assert memory.rebuild() == 2
    assert memory.verify(full=True) == []


@pytest.mark.parametrize(
    "vector", [[1.0], np.ones((2, 63), np.float32), np.zeros(64), np.full(64, np.nan), "vector", np.ones((1, 1, 64))]
)
def test_a_vector_that_cannot_be_is_a_value_error(memory: Memory, vector: Any) -> None:
    """Another shape, no direction, no numbers; nothing is stored."""
    with pytest.raises(ValueError, match="vector"):
        memory.remember("x", vector=vector)
    assert memory.count() == 0


# -- superseding ------------------------------------------------------------------------------------------------------


def test_superseding_takes_every_field_and_carries_over_every_other(memory: Memory, embedder: CountingEmbedder) -> None:
    """Whatever is not given comes along: fields, ref, data, index, passages and vectors; a text that stays the same
    keeps its vectors."""
    fields: dict[str, Any] = {
        "speaker": "Ada", "role": "user", "session": "s", "user": "ada", "agent": "travel", "kind": "fact",
        "tags": ("a",), "metadata": {"n": 1}, "ref": ("r",), "data": b"d", "pinned": True,
        "expires_at": datetime(2030, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    given: dict[str, Any] = {
        "speaker": "Bo", "role": "tool", "session": "t", "user": "bo", "agent": "home", "kind": "turn", "tags": ("b",),
        "metadata": {"n": 2}, "ref": ("q",), "data": b"e", "pinned": False,
        "expires_at": datetime(2031, 1, 1, tzinfo=UTC), "at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    for name, value in given.items():
        old = memory.remember(f"the text of {name}", index=[f"a passage for {name}", "and another"], **fields)
        asked = len(embedder.texts)
        new = memory.supersede(old.id, **{name: value})
        expected = {**fields, "text": old.text, "at": new.recorded_at, name: value}
        assert {one: getattr(new, one) for one in expected} == expected
        # Who said it is part of what is embedded, so another speaker is embedded anew; nothing else is.
        assert (len(embedder.texts) > asked) == (name == "speaker"), name
        hit = memory.recall(f"a passage for {name}", k=1)[0]
        assert (hit.id, hit.passage) == (new.id, f"a passage for {name}")
        memory.forget(old.id)
        memory.forget(new.id)


def test_what_is_never_recalled_stays_so_and_a_given_vector_stays_given(memory: Memory) -> None:
    """`index=False` and a caller's vectors are carried over like all else."""
    silent = memory.remember("a giraffe", index=False)
    assert not memory.recall("giraffe")
    assert memory.supersede(silent.id, "an okapi").id not in [hit.id for hit in memory.recall("okapi")]
    given = memory.remember("by a vector", vector=unit(9))
    newer = memory.supersede(given.id, tags=["x"])
    np.testing.assert_array_equal(memory.vectors([newer.id]), unit(9)[None])
    assert memory.recall("", vector=unit(9), lanes=["dense"])[0].id == newer.id


# -- hygiene ----------------------------------------------------------------------------------------------------------


def test_marking_keeps_and_merging_is_a_choice(memory: Memory) -> None:
    """By default both are stored; a view, or a draft, may choose that a node that says the same stands for it."""
    first = memory.remember("I prefer window seats")
    assert memory.remember("I prefer window seats").id != first.id
    merging = memory.view(duplicates="merge")
    assert merging.remember("i prefer  WINDOW seats").text == "I prefer window seats"
    assert memory.count() == 2
    assert memory.context("window seats").text.count("window seats") == 1
    assert memory.context().text.count("window seats") == 1
    assert len(memory.recall("window seats")) == 2
    assert len(memory.recall("window seats", collapse=True)) == 1


def test_a_ref_and_a_place_in_a_session_are_never_merged(memory: Memory) -> None:
    """Neither the draft nor the node that is there."""
    merging = memory.view(duplicates="merge")
    stored = [
        merging.remember("the same", session="s1"), merging.remember("the same", ref=("r",)),
        merging.remember("the same"), merging.remember("the same", session="s1"),
        merging.remember("the same", ref=("q",)),
    ]  # fmt: skip
    assert len({node.id for node in stored}) == 5
    assert merging.remember("the same").id == stored[2].id


# -- sessions ---------------------------------------------------------------------------------------------------------

SESSIONS: dict[str, dict[str, Any]] = {
    "user": {"user": "bo"}, "agent": {"agent": "home"}, "session": {"session": "s2"}, "ref prefix": {"ref": ("b", "1")},
}  # fmt: skip


@pytest.mark.parametrize("differs", SESSIONS)
def test_sessions_are_never_crossed(memory: Memory, differs: str) -> None:
    """A session is (ref prefix, user, agent, session): neither chains nor what neighbours lend reach beyond."""
    common: dict[str, Any] = {"user": "ada", "agent": "travel", "session": "s1", "ref": ("a", "1")}
    other = {**common, **SESSIONS[differs]}
    question = memory.remember("do you have any pets at home these days", **common)
    foreign = memory.remember("two of them, Bora and Scirocco", **{**other, "ref": (other["ref"][0], "2")})
    own = memory.remember("two of them, Zephyr and Mistral", **{**common, "ref": ("a", "3")})

    def follows(node: Node) -> list[str]:
        return [link.target for link in node.links if link.kind == "follows"]

    assert (follows(foreign), follows(own)) == ([], [question.id])
    hits = memory.recall("pets at home these days", lanes=["lexical"])
    assert [hit.id for hit in hits] == [question.id, own.id]


def test_a_link_is_of_a_known_kind_to_an_older_node(memory: Memory) -> None:
    """To one that is here; what is none is refused."""
    node = memory.remember("Ada flies a lot")
    linked = memory.remember("by night", links=[Link("about", node.id), Link("derived_from", node.id)])
    assert linked.links == (Link("about", node.id), Link("derived_from", node.id))
    with pytest.raises(ValueError, match="kind"):
        Link("likes", node.id)
    with pytest.raises(ValueError, match="64"):
        Link("about", node.id[:8])
    with pytest.raises(mimir.NotFoundError, match="not in this space"):
        memory.remember("x", links=[Link("about", "0" * 64)])


def test_spaces_of_vaults_know_nothing_of_one_another(vaults: QuickVaults) -> None:
    """A ref is unique in its space, and only there."""
    vault = vaults.create()
    one, two = vault.space(), vault.create_space("two")
    first, second = one.remember("a", ref=("r",)), two.remember("b", ref=("r",))
    assert (one.get(ref=("r",)), two.get(ref=("r",))) == (first, second)
