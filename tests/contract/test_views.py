"""What the contract says of views: what they fill and enforce, and the embedders that they bring along."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import mimir_vault as mimir
from mimir_vault import Draft, Link, Memory, Node, Vault
from mimir_vault.testing import HashEmbedder
from quick_vaults import QuickVaults


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """The one space of an empty vault."""
    return vault.space()


def texts(found: Any) -> list[str]:
    """Return the texts of nodes or hits."""
    return [one.text for one in found]


# -- filling and enforcing --------------------------------------------------------------------------------------------

FIXED: dict[str, dict[str, Any]] = {
    "user": {"user": "ada"}, "agent": {"agent": "travel"}, "session": {"session": "s1"}, "kind": {"kind": "fact"},
    "under": {"under": ("docs", "ada")},
}  # fmt: skip
"""What a view may fix, one field each."""


@pytest.mark.parametrize("name", FIXED)
def test_a_view_fills_its_field_on_every_write(memory: Memory, name: str) -> None:
    """Remember, a batch, superseding, an import and a transaction alike."""
    view = memory.view(**FIXED[name])
    written = [view.remember("one"), *view.remember_many([Draft("two"), Draft("three")])]
    written.append(view.supersede(written[0].id, "four"))
    view.import_from(io.StringIO('{"text": "five"}\n'))
    with view.transaction():
        view.remember("six")
    found = list(memory.nodes())
    assert texts(found) == ["one", "two", "three", "four", "five", "six"]
    for node in found:
        if name == "under":
            assert node.ref is not None
            assert node.ref[:2] == ("docs", "ada")
            assert len(node.ref) > 2
        else:
            assert getattr(node, name) == FIXED[name][name]


CONFLICTS: dict[str, tuple[str, Callable[[Memory], object]]] = {
    "remember user": ("user", lambda view: view.remember("x", user="bo")),
    "remember agent": ("agent", lambda view: view.remember("x", agent="other")),
    "remember session": ("session", lambda view: view.remember("x", session="other")),
    "remember kind": ("kind", lambda view: view.remember("x", kind="preference")),
    "remember ref": ("under", lambda view: view.remember("x", ref=("elsewhere",))),
    "remember_many": ("user", lambda view: view.remember_many([Draft("good"), Draft("x", user="bo")])),
    "supersede": ("user", lambda view: view.supersede(next(view.nodes()).id, "x", user="bo")),
    "import_from": ("user", lambda view: view.import_from(io.StringIO('{"text": "x", "user": "bo"}\n'))),
    "recall": ("user", lambda view: view.recall("x", user="bo")),
    "context": ("agent", lambda view: view.context("x", agent="other")),
    "nodes": ("session", lambda view: view.nodes(session="other")),
    "count": ("user", lambda view: view.count(user="bo")),
    "count under": ("under", lambda view: view.count(under=("elsewhere",))),
    "refs": ("under", lambda view: view.refs(("elsewhere",))),
    "refs user": ("user", lambda view: view.refs(user="bo")),
    "get": ("user", lambda view: view.get("0" * 64, user="bo")),
    "get ref": ("under", lambda view: view.get(ref=("elsewhere",))),
    "history": ("session", lambda view: view.history("0" * 64, session="other")),
    "vectors": ("agent", lambda view: view.vectors([], agent="other")),
    "move": ("under", lambda view: view.move(("docs", "ada", "1"), ("elsewhere", "1"))),
    "forget": ("user", lambda view: view.forget(user="bo")),
    "forget under": ("under", lambda view: view.forget(under=("elsewhere",))),
    "export_to": ("user", lambda view: view.export_to(io.StringIO(), user="bo")),
    "view": ("kind", lambda view: view.view(kind="preference")),
    "view under": ("under", lambda view: view.view(under=("docs",))),
}
"""Calls that contradict a view: which of its fields, and the call."""


@pytest.mark.parametrize("call", CONFLICTS)
def test_a_conflicting_value_is_a_value_error(memory: Memory, call: str) -> None:
    """On every write and on every read; nothing changes."""
    field, conflicting = CONFLICTS[call]
    view = memory.view(**FIXED[field])
    view.remember("here", ref=("docs", "ada", "1"))
    with pytest.raises(ValueError, match="this view is of"):
        conflicting(view)
    assert texts(memory.nodes()) == ["here"]


@dataclass
class Walled:
    """A view, a node of its own, and one outside of it that has every word of that node."""

    view: Memory
    own: Node
    outside: Node


@pytest.fixture(params=FIXED)
def walled(memory: Memory, request: pytest.FixtureRequest) -> Walled:
    """A view of each kind, with something on both sides of its wall."""
    view = memory.view(**FIXED[request.param])
    outside = memory.remember("the secret walrus", ref=("notes", "1"), user="bo", session="s2", kind="turn")
    return Walled(view, view.remember("the secret walrus is asleep"), outside)


def test_every_reading_verb_is_enforced(walled: Walled) -> None:
    """Recall in each lane, context, get, history, nodes, count, refs, vectors, export: the outside is not there."""
    view, own, outside = walled.view, walled.own, walled.outside
    for lanes in (None, ["dense"], ["lexical"]):
        assert texts(view.recall("the secret walrus", lanes=lanes)) == [own.text]
    assert texts(view.context("the secret walrus").hits) == texts(view.context().hits) == [own.text]
    assert [node.id for node in view.nodes()] == [own.id]
    assert (view.count(), view.count({"text": {"contains": "walrus"}})) == (1, 1)
    assert (view.get(outside.id), view.get(outside.id[:8])) == (None, None)
    assert ("notes", "1") not in view.refs()
    file = io.StringIO()
    assert view.export_to(file) == 1
    assert outside.id not in file.getvalue()
    for verb in (
        view.history,
        lambda node_id: view.vectors([node_id]),
        lambda node_id: list(view.nodes(after=node_id)),
    ):
        with pytest.raises(mimir.NotFoundError):
            verb(outside.id)


def test_every_changing_verb_is_enforced(walled: Walled, memory: Memory) -> None:
    """Forget, hide, keep, supersede and links reach nothing outside, by id, ref, filter or derivation."""
    view, own, outside = walled.view, walled.own, walled.outside
    memory.remember("made of it", links=[Link("derived_from", own.id)], user="bo", session="s2")
    changes: list[Callable[[], object]] = [
        lambda: view.forget(outside.id), lambda: view.hide(outside.id), lambda: view.keep(outside.id),
        lambda: view.supersede(outside.id, "x"), lambda: view.remember("x", links=[Link("about", outside.id)]),
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(mimir.NotFoundError):
            change()
    assert view.forget(where={"text": {"contains": "walrus"}}, derived=True).ids == (own.id,)
    assert texts(memory.nodes()) == [outside.text, "made of it"]
    assert memory.get(outside.id) == outside


def test_history_shows_the_versions_of_the_view_alone(memory: Memory) -> None:
    """A version that is somebody else's is left out."""
    mine = memory.remember("one", user="ada")
    theirs = memory.supersede(mine.id, "two", user="bo")
    assert texts(memory.history(mine.id)) == ["two", "one"]
    assert texts(memory.view(user="ada").history(mine.id)) == ["one"]
    assert texts(memory.view(user="bo").history(theirs.id)) == ["two"]


def test_a_view_of_a_view_is_narrower(memory: Memory) -> None:
    """It has the fields of both, and is of the same kind of thing."""
    narrow = memory.view(user="ada", under=("docs",)).view(agent="travel", under=("docs", "trips"), read_only=True)
    assert isinstance(narrow, Memory)
    node = memory.view(user="ada", agent="travel").remember("x", ref=("docs", "trips", "1"))
    memory.remember("y", user="ada", ref=("docs", "trips", "2"))
    assert [one.id for one in narrow.nodes()] == [node.id]
    with pytest.raises(mimir.ReadOnlyError):
        narrow.view(read_only=False).remember("z", ref=("docs", "trips", "3"))


# -- embedders --------------------------------------------------------------------------------------------------------


def test_a_space_holds_vectors_of_many_embedders(memory: Memory, vaults: QuickVaults) -> None:
    """Of any dimension: each view writes and reads its own, the dense lane never mixes, the lexical lane serves all;
    also after the vault was closed."""
    embedders = [HashEmbedder(dimension) for dimension in (8, 32, 200)]
    for embedder in embedders:
        memory.view(embedder=embedder).remember(f"a walrus by {embedder.name}", ref=(embedder.name,))
    memory.remember("a walrus at home")
    memory.vault.lock()
    memory = vaults.open().space()
    for embedder in embedders:
        view = memory.view(embedder=embedder)
        (hit,) = view.recall("a walrus", lanes=["dense"])
        assert hit.text == f"a walrus by {embedder.name}"
        assert view.vectors([hit.id]).shape == (1, embedder.dimension)
        assert len(view.recall("walrus", lanes=["lexical"])) == len(view.recall("walrus")) == 4
        assert {one.id for one in view.recall("walrus") if "dense" in one.lanes} == {hit.id}
        assert (view.embedder.name, view.embedder.dimension) == (embedder.name, embedder.dimension)
    assert texts(memory.recall("a walrus", lanes=["dense"])) == ["a walrus at home"]
    other = memory.get(ref=("hash-8",))
    assert other is not None
    with pytest.raises(mimir.NotFoundError, match="no vector by hash-64"):
        memory.vectors([other.id])
    assert memory.verify(full=True) == []


def test_an_embedder_that_is_not_handed_in_again_is_named(vaults: QuickVaults) -> None:
    """ModelMismatchError: by the vault's own embedder, and where another one takes the name of the one needed."""
    vault = vaults.create(embedder=HashEmbedder(48, "the first model"))
    vault.space().remember("x")
    vault.lock()
    memory = vaults.open(embedder=HashEmbedder(64, "the second model")).space()
    calls: list[Callable[[], object]] = [
        lambda: memory.recall("x"), lambda: memory.remember("y"), lambda: memory.recall("x", vector=np.ones(64)),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(mimir.ModelMismatchError, match="the first model"):
            call()
    assert (texts(memory.nodes()), texts(memory.recall("x", lanes=["lexical"]))) == (["x"], ["x"])
    with pytest.raises(mimir.ModelMismatchError, match="the first model"):
        memory.view(embedder=HashEmbedder(16, "the first model"))
    assert texts(memory.view(embedder=HashEmbedder(48, "the first model")).recall("x", lanes=["dense"])) == ["x"]


class Minimal:
    """No more than an embedder needs."""

    name, dimension = "minimal", 4

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        """Return vectors that tell nothing but the length of the text."""
        self.asked += texts
        return np.array([[1.0, len(text), 0, 0] for text in texts], np.float32)


class WithQueries(Minimal):
    """One that embeds questions differently."""

    name = "with queries"

    def embed_query(self, text: str) -> Any:
        """Return the vector of a question."""
        self.asked.append(f"query: {text}")
        return np.array([1.0, len(text), 0, 0], np.float32)


def test_an_embedder_is_any_object_of_that_shape(memory: Memory) -> None:
    """`.name`, `.dimension` and `.embed`; `.embed_query` is used for questions where there is one."""
    plain, special = Minimal(), WithQueries()
    for embedder, asked in ((plain, "which one?"), (special, "query: which one?")):
        view = memory.view(embedder=embedder)
        view.remember("a text")
        assert view.recall("which one?", lanes=["dense"])[0].text == "a text"
        assert embedder.asked[-1] == asked
    nonsense: list[Any] = [object(), "minimal", HashEmbedder]
    for one in nonsense:
        with pytest.raises(TypeError, match=r"[Ee]mbedder"):
            memory.view(embedder=one).count()


def test_a_small_foreign_set_is_compared_exactly(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many vectors the space has by its own embedder, and in whatever way those are searched."""
    for name in ("upkeep", "space_index", "index.planner"):
        monkeypatch.setattr(f"mimir_vault.{name}.EXACT_VECTORS_MAX", 20)
    memory.remember_many([Draft(f"word{number} stands in turn {number}") for number in range(40)])
    view = memory.view(embedder=HashEmbedder(16))
    view.remember_many([Draft(f"foreign{number} is here") for number in range(5)])
    memory._space.upkeep.run_now()
    assert texts(view.recall("foreign3 is here", k=1, lanes=["dense"])) == ["foreign3 is here"]
    assert texts(memory.recall("word7 stands in turn 7", k=1)) == ["word7 stands in turn 7"]
    sketched = {dense.model.name: dense.sketch is not None for dense in memory._space.index.dense.values()}
    assert sketched == {"hash-64": True, "hash-16": False}
