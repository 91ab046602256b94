"""What the contract says of views, refs and letting go, sentence by sentence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

import mimir_vault as mimir
from mimir_vault import Draft, Link, Memory, Vault
from mimir_vault.testing import FixedClock, HashEmbedder

DOCS = ("langchain", "docs")


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """An empty space."""
    return vault.space()


def said(nodes: Any) -> list[str]:
    """Return the texts of nodes or hits."""
    return [node.text for node in nodes]


# -- views ------------------------------------------------------------------------------------------------------------


def test_a_view_fills_its_fields_on_every_write(memory: Memory) -> None:
    """`remember`, `remember_many` and `supersede` alike."""
    view = memory.view(user="ada", agent="travel", session="s1", kind="fact", under=DOCS)
    nodes = [view.remember("one", ref=(*DOCS, "1")), *view.remember_many([Draft("two"), Draft("three", role="user")])]
    nodes.append(view.supersede(nodes[0].id, "one again"))
    for node in nodes:
        assert (node.user, node.agent, node.session, node.kind) == ("ada", "travel", "s1", "fact")
        assert node.ref is not None
        assert node.ref[:2] == DOCS
        assert len(node.ref) == 3
    assert view.count() == memory.count() == 4


@pytest.mark.parametrize(
    "fixed", [{"user": "ada"}, {"agent": "travel"}, {"session": "s1"}, {"kind": "fact"}, {"under": DOCS}]
)
def test_a_view_enforces_its_fields_below_every_read(memory: Memory, fixed: dict[str, Any]) -> None:
    """recall, context, get, history, nodes, count, refs, vectors and forget: what lies outside is not there."""
    inside = memory.view(**fixed).remember("a walrus inside")
    outside = memory.remember("a walrus outside", ref=("elsewhere",))
    view = memory.view(**fixed)
    for lanes in (None, ["dense"], ["lexical"]):
        assert said(view.recall("a walrus outside", k=9, lanes=lanes)) == ["a walrus inside"]
    for query in ("walrus", None):
        assert "outside" not in view.context(query).text
        assert "inside" in view.context(query).text
    assert view.get(inside.id) == inside
    for given in ({"node_id": outside.id}, {"node_id": outside.id[:10]}):
        assert view.get(**given) is None
    assert view.count() == 1
    for order in ("oldest", "newest", "ref"):
        assert said(view.nodes(order=order)) == ["a walrus inside"]
    assert ("elsewhere",) not in view.refs()
    for verb in (view.history, view.supersede, view.forget, view.hide, view.keep, lambda one: view.vectors([one])):
        with pytest.raises(mimir.NotFoundError, match="there is no node"):
            verb(outside.id)
    with pytest.raises(mimir.NotFoundError, match="not in this space"):
        view.remember("x", links=[Link("about", outside.id)])
    assert view.forget(where={"text": {"contains": "walrus"}}).ids == (inside.id,)
    assert said(memory.nodes()) == ["a walrus outside"]


def test_a_conflicting_value_is_a_value_error(memory: Memory) -> None:
    """In a draft, a filter's argument and a further view."""
    view = memory.view(user="ada", under=DOCS)
    for verb in (
        lambda: view.remember("x", user="bo"), lambda: view.remember("x", ref=("other",)),
        lambda: view.remember_many([Draft("x", user="bo")]), lambda: view.recall("x", user="bo"),
        lambda: view.count(under=("other",)), lambda: view.forget(user="bo"), lambda: view.view(user="bo"),
        lambda: view.view(under=("langchain",)), lambda: view.get(ref=("other", "1")), lambda: view.nodes(user="bo"),
        lambda: view.refs(("other",)), lambda: view.forget(ref=("other", "1")), lambda: view.context(user="bo"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="this view is of"):
            verb()
    assert memory.count() == 0


def test_a_space_holds_vectors_of_any_number_of_embedders(memory: Memory) -> None:
    """`view(embedder=e)` writes and reads its own; the dense lane never mixes, the lexical lane serves all."""
    views = {size: memory.view(embedder=HashEmbedder(size, f"model {size}")) for size in (8, 16, 32)}
    for size, view in views.items():
        view.remember(f"a walrus of {size}")
    memory.remember("a walrus of the vault")
    for size, view in views.items():
        assert said(view.recall("walrus", lanes=["dense"])) == [f"a walrus of {size}"]
        assert len(view.recall("walrus", lanes=["lexical"])) == 4
        assert view.embedder.name == f"model {size}"
    assert memory.embedder.name == "hash-64"


def test_an_embedder_that_does_something_else_is_a_mismatch(memory: Memory) -> None:
    """Named, when the view is made."""
    memory.view(embedder=HashEmbedder(16, "other")).remember("x")
    with pytest.raises(mimir.ModelMismatchError, match=r"of the model other \(16 dimensions\).*other \(32\)"):
        memory.view(embedder=HashEmbedder(32, "other"))


def test_a_view_may_merge(memory: Memory) -> None:
    """By choice; nodes with a ref or a session position are never merged."""
    view = memory.view(duplicates="merge")
    one = view.remember("I like  trains")
    assert view.remember("i like trains") == one
    assert view.remember("I like trains", session="s").id != one.id
    assert view.remember("I like trains", ref=("r",)).id != one.id
    assert memory.remember("I like trains").id != one.id


# -- vectors ----------------------------------------------------------------------------------------------------------


def test_a_callers_vector_is_truth(memory: Memory) -> None:
    """Used in place of the embedder's, sealed, and the same after a rebuild, bit for bit."""
    given = np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32)
    one, two = memory.remember("one", vector=given[0]), memory.remember("two", vector=given)
    before = memory.vectors([one.id, two.id])
    unit = given[0].astype(np.float64) / np.linalg.norm(given[0].astype(np.float64))
    assert np.array_equal(before[0], unit.astype(np.float32))
    assert memory.recall("", vector=given[1])[0].id == two.id
    memory.rebuild()
    assert np.array_equal(memory.vectors([one.id, two.id]), before)


# -- refs -------------------------------------------------------------------------------------------------------------


def test_a_ref_points_at_the_newest_version(memory: Memory) -> None:
    """`refs` names each once, cut to a depth; `move` takes a subtree elsewhere."""
    for text in ("one", "two"):
        node = memory.remember(text, ref=("prefs", "ada", "seat"))
    memory.remember("meal", ref=("prefs", "bo", "meal"))
    assert memory.get(ref=("prefs", "ada", "seat")) == node
    assert memory.refs() == [("prefs", "ada", "seat"), ("prefs", "bo", "meal")]
    assert memory.refs(("prefs",), depth=2) == [("prefs", "ada"), ("prefs", "bo")]
    assert memory.move(("prefs", "ada"), ("people", "ada")) == 1
    assert memory.get(ref=("people", "ada", "seat")) == memory.get(node.id)
    assert said(memory.history(node.id)) == ["two", "one"]


# -- letting go -------------------------------------------------------------------------------------------------------


def test_hiding_takes_out_of_answers_and_is_reversible(memory: Memory) -> None:
    """Nothing is destroyed."""
    node = memory.remember("a walrus", ref=("w",))
    assert memory.hide(node.id) == node
    assert memory.get(node.id) is memory.get(ref=("w",)) is None
    assert memory.recall("walrus") == []
    assert list(memory.nodes(hidden=True)) == [node]
    assert memory.keep(node.id) == memory.get(node.id) == node
    assert memory.recall("walrus")[0].node == node


def test_a_grace_hides_now_and_forgets_later(vaults: Any, clock: FixedClock) -> None:
    """`keep` undoes it; when it has ended, the node is destroyed for ever."""
    memory = vaults.create().space()
    kept, gone = memory.remember("kept"), memory.remember("gone")
    receipt = memory.forget(where={"text": {"in": ["kept", "gone"]}}, grace=timedelta(days=7))
    assert (receipt.on_disk, receipt.ids) == ("hidden", (kept.id, gone.id))
    assert memory.count() == 0
    memory.keep(kept.id)
    clock.advance(8 * 86_400)
    memory.remember("later")
    memory.vault.lock()
    memory = vaults.open().space()
    assert said(memory.nodes()) == ["kept", "later"]
    assert list(memory.nodes(hidden=True)) == []
    with pytest.raises(mimir.NotFoundError):
        memory.keep(gone.id)


def test_what_was_derived_may_go_along(memory: Memory) -> None:
    """Along `derived_from` links."""
    source = memory.remember("source")
    summary = memory.remember("summary", links=[Link("derived_from", source.id)])
    assert memory.forget(source.id, derived=True).ids == (source.id, summary.id)


# -- transactions -----------------------------------------------------------------------------------------------------


def test_a_transaction_is_all_or_nothing(memory: Memory) -> None:
    """What is written inside is seen inside."""

    def fail() -> None:
        with memory.transaction():
            memory.remember("in vain")
            assert memory.count() == 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert memory.count() == 0
    with memory.transaction():
        node = memory.remember("one", ref=("r",))
        memory.supersede(node.id, "two")
    assert said(memory.nodes()) == ["one", "two"]
