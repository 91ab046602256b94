"""Recalling: the paths of the dense lane agree, filters are asked again of opened nodes, hits say why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mimir_vault import Draft, Memory, Vault
from mimir_vault import recalling as module
from mimir_vault.errors import TamperedError
from mimir_vault.index.planner import Plan
from mimir_vault.recalling import Query, check_lanes, recall
from mimir_vault.store import nodes
from mimir_vault.testing import HashEmbedder

WORDS = ["seat", "train", "harbour", "passport", "meal", "hotel", "walrus", "zebra", "night", "Trieste"]


@pytest.fixture(autouse=True)
def upkeep_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no thread: upkeep is done when a test says so."""
    monkeypatch.setattr("mimir_vault.upkeep.Upkeep.wrote", lambda _: None)


@pytest.fixture
def memory(upkeep_by_hand: None, vault: Vault) -> Memory:
    """Sixty turns of three sessions."""
    memory = vault.space()
    memory.remember_many([
        Draft(
            f"turn {number} speaks of {WORDS[number % 10]} and {WORDS[number * 7 % 10]}", session=f"s{number % 3}",
            user="ada" if number % 2 else "bo", speaker="Ada", tags=["tenth"] if number % 10 == 0 else [],
            metadata={"n": number},
        )
        for number in range(60)
    ])  # fmt: skip
    return memory


def ids(hits: Any) -> list[str]:
    """Return the ids of hits."""
    return [hit.id for hit in hits]


def test_lanes_are_checked_and_ordered() -> None:
    """All for None; any collection of names, once each."""
    assert check_lanes(None) == ("dense", "lexical")
    assert check_lanes(["lexical", "dense", "lexical"]) == ("dense", "lexical")
    assert check_lanes({"lexical"}) == ("lexical",)
    for bad in ("dense", [], 5, ["sparse"], [None]):
        with pytest.raises(ValueError, match="lane"):
            check_lanes(bad)  # type: ignore[arg-type]


def test_an_empty_space_has_no_hits(vault: Vault) -> None:
    """Nor an error."""
    assert list(vault.space().recall("anything")) == []
    assert list(recall(vault.space()._space, Query("anything", 5))) == []


@pytest.mark.parametrize("path", ["exact", "fetched", "sketch", "sketch filtered"])
@pytest.mark.parametrize("where", [None, {"user": "ada"}, {"tags": "tenth"}, {"metadata.n": {"lt": 5}}])
def test_every_dense_path_finds_the_same(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, path: str, where: Any
) -> None:
    """Comparing all, fetching the allowed, asking the sketch with and without the filter: the same hits and scores."""
    expected = memory.recall("the night train to Trieste", k=8, where=where)
    for name in ("upkeep", "space_index", "status"):
        monkeypatch.setattr(f"mimir_vault.{name}.EXACT_VECTORS_MAX", 10)
    memory._space.upkeep.run_now()
    assert memory._space.index.dense[1].sketch is not None
    chosen = Plan(path.split()[0], 60, filtered="filtered" in path)  # type: ignore[arg-type]
    monkeypatch.setattr(module, "plan", lambda *_: chosen)
    hits = memory.recall("the night train to Trieste", k=8, where=where)
    if path == "exact":
        memory._space.index.clear()
        assert memory.recall("the night train to Trieste", k=1, where=where)
    else:
        assert ids(hits) == ids(expected)
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-3)
        cosines = [hit.lanes["dense"].score for hit in hits if "dense" in hit.lanes]
        assert cosines == pytest.approx(
            [hit.lanes["dense"].score for hit in expected if "dense" in hit.lanes], abs=1e-3
        )


def test_a_filter_is_asked_again_of_the_opened_node(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a derived table lies, nothing gets into another's scope by it."""
    assert memory.recall("train", k=60, user="ada")
    with memory._space.store.fresh.database.write() as connection:
        connection.execute("UPDATE name SET text = text || '?' WHERE text = 'bo'")
        connection.execute("UPDATE name SET text = 'bo' WHERE text = 'ada'")
        connection.execute("UPDATE name SET text = 'ada' WHERE text = 'bo?'")
    memory._space.index.clear()
    assert {hit.node.user for hit in memory.recall("train", k=60, user="ada")} <= {"ada"}
    assert {node.user for node in memory.nodes(user="ada")} <= {"ada"}


def test_an_envelope_that_is_another_s_is_not_opened(memory: Memory) -> None:
    """Opening a hit checks its envelopes against its id."""
    with memory._space.store.fresh.database.write() as connection:
        connection.execute("UPDATE node SET payload = (SELECT payload FROM node WHERE seq = 2) WHERE seq = 1")
    with pytest.raises(TamperedError, match="restore a backup"):
        memory.recall("turn 0 speaks of seat", k=60)


def test_no_more_envelopes_are_opened_than_needed(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten hits open ten nodes, whatever the size of the space; a filter that the columns decide costs none more."""
    opened: list[int] = []
    real = module.open_stored

    def noted(sealer: Any, stored: nodes.StoredNode) -> Any:
        opened.append(stored.seq)
        return real(sealer, stored)

    monkeypatch.setattr(module, "open_stored", noted)
    assert len(memory.recall("train", k=10)) == 10
    assert len(opened) == 10
    opened.clear()
    assert len(memory.recall("train", k=5, user="ada", where={"tags": {"ne": "tenth"}})) == 5
    assert len(opened) <= 20


def test_a_filter_that_lets_few_through_is_filled_up(memory: Memory) -> None:
    """Only opening decides on text: the search goes on until all that pass are found."""
    hits = memory.recall("night train", k=20, where={"text": {"contains": "turn 5"}})
    assert sorted(hit.text.split()[1] for hit in hits) == sorted(["5", *(f"{number}" for number in range(50, 60))])


def test_equal_texts_are_collapsed(vault: Vault) -> None:
    """Case and blanks aside; the best of them stays."""
    memory = vault.space()
    memory.remember_many([Draft("I like trains"), Draft("i  LIKE trains"), Draft("I like trains too")])
    assert len(memory.recall("I like trains", k=5)) == 3
    assert len(memory.recall("I like trains", k=5, collapse=True)) == 2
    assert len(memory.recall("I like trains", k=1, collapse=True)) == 1


def test_the_same_question_has_the_same_answer(memory: Memory, vaults: Any) -> None:
    """Hits, scores, lanes and shares, as of one moment; in another handle too."""
    asked: dict[str, Any] = {"k": 10, "explain": True, "as_of": "2027-01-01T00:00Z"}
    first = memory.recall("a walrus in the harbour", **asked)
    assert memory.recall("a walrus in the harbour", **asked) == first
    assert vaults.open().space().recall("a walrus in the harbour", **asked) == first


def test_what_is_superseded_names_its_successor(vault: Vault) -> None:
    """A hit of an older moment says by what its node was superseded."""
    memory = vault.space()
    old = memory.remember("aisle seats", at="2026-05-01T00:00Z")
    new = memory.supersede(old.id, "window seats", at="2026-06-01T00:00Z")
    (hit,) = memory.recall("seats", as_of="2026-05-02T00:00Z")
    assert (hit.id, hit.node.superseded_by) == (old.id, new.id)


def test_passages_given_in_place_of_the_text_are_shown(vault: Vault) -> None:
    """The passage is what matched; it has no place in the text, so start and end are 0."""
    memory = vault.space()
    memory.remember("a long report", index=["the walrus sleeps on the ice"])
    (hit,) = memory.recall("walrus")
    assert "walrus" in hit.passage
    assert (hit.start, hit.end, hit.text) == (0, 0, "a long report")


def test_questions_may_be_embedded_otherwise(vaults: Any) -> None:
    """An embedder with `embed_query` is asked by it."""

    class Asymmetric(HashEmbedder):
        asked: list[str]

        def embed_query(self, text: str) -> Any:
            self.asked.append(text)
            return self.embed([f"stored {text}"])[0]

    embedder = Asymmetric()
    embedder.asked = []
    memory = vaults.create(embedder=embedder).space()
    memory.remember_many([Draft("stored question"), Draft("something else")])
    hits = memory.recall("question", lanes=["dense"])
    assert embedder.asked == ["question"]
    assert hits[0].lanes["dense"].score == pytest.approx(1.0, abs=0.02)
    assert np.isfinite([hit.score for hit in hits]).all()


def test_the_embedder_is_not_asked_for_words_alone(vaults: Any) -> None:
    """`lanes=("lexical",)` and blank queries embed nothing."""
    embedder = HashEmbedder()
    memory = vaults.create(embedder=embedder).space()
    memory.remember("a zebra")
    embedder.embed = None  # type: ignore[method-assign,assignment]
    assert len(memory.recall("zebra", lanes=["lexical"])) == 1
    assert len(memory.recall("  ")) == 0


# -- passages of index= -----------------------------------------------------------------------------------------------


def test_each_passage_has_a_vector_of_its_own(vault: Vault) -> None:
    """The one that matches decides, and is shown; two short ones are not blurred into one."""
    memory = vault.space()
    listed = memory.remember("a report", index=["cats purr at night", "dogs bark by day"])
    memory.remember("cats purr at night dogs bark by day")
    with memory._space.read() as connection:
        assert connection.execute("SELECT count(*) FROM vector WHERE seq = 1").fetchall() == [(2,)]
    for passage in ("cats purr at night", "dogs bark by day"):
        (hit, *_) = memory.recall(passage, lanes=["dense"])
        assert (hit.id, hit.passage, hit.start, hit.end) == (listed.id, passage, 0, 0)
        assert hit.lanes["dense"].score > 0.99
    assert memory.recall("report", lanes=["lexical"]) == []


# -- a vector of the caller's -----------------------------------------------------------------------------------------


def test_a_query_may_bring_its_vector(memory: Memory) -> None:
    """It is not embedded then, at any length; words are searched as well where there are some."""
    memory._space.embedder.get().inner.embed = None  # type: ignore[method-assign,assignment]
    vector = 3 * HashEmbedder().embed(["turn 7 speaks of zebra and hotel"])[0]
    hits = memory.recall("", vector=vector)
    assert all(list(hit.lanes) == ["dense"] for hit in hits)
    assert ids(memory.recall("", vector=vector.tolist())) == ids(memory.recall("", vector=vector[None])) == ids(hits)
    mixed = memory.recall("walrus", vector=vector, k=60)
    assert {lane for hit in mixed for lane in hit.lanes} == {"dense", "lexical"}
    assert memory.recall("", vector=vector, lanes=["lexical"]) == []


def test_a_vector_in_an_empty_space_finds_nothing(vault: Vault) -> None:
    """Nor is it an error."""
    assert vault.space().recall("", vector=[1.0] * 64) == []


# -- views ------------------------------------------------------------------------------------------------------------


def test_a_view_finds_as_a_space_of_its_own_would(memory: Memory, vaults: Any) -> None:
    """Neighbours outside of it lend nothing: hits, ranks and cosines are those of its nodes alone."""
    alone = vaults.create("alone").space()
    alone.remember_many([
        Draft(
            node.text, session=node.session, user=node.user, speaker=node.speaker, tags=node.tags, at=node.at,
            metadata=node.metadata,
        )
        for node in memory.nodes(user="ada")
    ])  # fmt: skip
    view = memory.view(user="ada")
    for query in ("the night train to Trieste", "walrus", "turn 7"):
        expected = alone.recall(query, k=10, lanes=["dense"], as_of="2027-01-01T00:00Z")
        hits = view.recall(query, k=10, lanes=["dense"], as_of="2027-01-01T00:00Z")
        assert [hit.text for hit in hits] == [hit.text for hit in expected]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-4)


def test_a_view_gives_nothing_from_outside(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every path, however many hits are asked for, and whatever the filter says."""
    memory.remember_many([Draft(f"doc {number} of the night", ref=("docs", f"{number}")) for number in range(5)])
    for view, count in (
        (memory.view(user="ada"), 30),
        (memory.view(under=("docs",)), 5),
        (memory.view(session="s1"), 20),
    ):
        passing = {node.id for node in view.nodes()}
        assert len(passing) == count
        for where in (None, {"text": {"contains": "o"}}, {"not": {"tags": "tenth"}}):
            hits = view.recall("the night train", k=100, where=where)
            assert set(ids(hits)) <= passing
            assert hits


def test_a_ref_is_asked_again_of_the_opened_node(memory: Memory) -> None:
    """If the table of refs lies, nothing gets into another's subtree by it."""
    memory.remember("mine of the night", ref=("mine", "1"))
    memory.remember("theirs of the night", ref=("theirs", "1"))
    with memory._space.store.fresh.database.write() as connection:
        connection.execute("UPDATE ref SET seq = 61 + 62 - seq")
    memory._space.index.clear()
    view = memory.view(under=("mine",))
    assert [hit.node.ref for hit in view.recall("night", k=60)] in ([], [("mine", "1")])
    assert {node.ref for node in view.nodes()} <= {("mine", "1")}
