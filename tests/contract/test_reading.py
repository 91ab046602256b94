"""What the contract says of reading: filters and scope of every verb, raw lanes, passages, vectors, what is there."""

from __future__ import annotations

import io
import string
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pytest

import mimir_vault as mimir
from mimir_vault import Draft, Hit, Lane, Memory, Node, Vault
from mimir_vault.testing import FixedClock, HashEmbedder
from quick_vaults import QuickVaults


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """The one space of an empty vault."""
    return vault.space()


def texts(found: Any) -> list[str]:
    """Return the texts of nodes or hits."""
    return [one.text for one in found]


# -- nodes ------------------------------------------------------------------------------------------------------------


def test_a_node_has_the_fields_of_the_contract_and_never_changes(memory: Memory) -> None:
    """Its id is 64 lowercase hexadecimal digits; nothing of it can be set."""
    node = memory.remember("hello")
    assert len(node.id) == 64
    assert set(node.id) <= set(string.digits + "abcdef")
    promised = (
        "id text data ref speaker role user agent session kind at recorded_at tags metadata links superseded_by"
        " expires_at pinned"
    )
    assert {field.name for field in fields(Node)} == set(promised.split())
    with pytest.raises(FrozenInstanceError):
        cast("Any", node).text = "other"
    assert (node.at.tzinfo, node.recorded_at.tzinfo) == (UTC, UTC)


# -- where ------------------------------------------------------------------------------------------------------------

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    """Four nodes that differ in every field a filter may name; no test of this file changes them."""
    folder = tmp_path_factory.mktemp("people")
    with Vault.create(
        folder / "vault", raw_key=bytes(32), recovery=False, size_floor=1 << 20, embedder=HashEmbedder(),
        clock=FixedClock(step=1), state_folder=folder / "state",
    ) as vault:  # fmt: skip
        for number, name in enumerate(["ada", "bo", "cy", "di"]):
            vault.space().remember(
                f"Seat number {number} is taken", user=name, agent=f"a{number}", session=f"s{number}", speaker=name,
                role=f"r{number}", kind=f"k{number}", tags=[f"t{number}", "all"], at=MARCH + timedelta(number),
                metadata={"n": number, "a.b": {"c": [number]}, **({"odd": True} if number % 2 else {})},
                ref=("seats", name),
            )  # fmt: skip
        yield vault.space()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        *(({field: f"{letter}1"}, [1]) for field, letter in (("agent", "a"), ("session", "s"), ("kind", "k"))),
        ({"user": "bo"}, [1]), ({"speaker": "bo"}, [1]), ({"role": "r1"}, [1]), ({"tags": "t1"}, [1]),
        ({"at": "2026-03-02T00:00Z"}, [1]), ({"text": "Seat number 1 is taken"}, [1]), ({"metadata.n": 1}, [1]),
        ({("metadata", "a.b", "c"): {"contains": 2}}, [2]), ({("user",): "cy"}, [2]),
        ({"user": {"eq": "ada"}}, [0]), ({"user": {"ne": "ada"}}, [1, 2, 3]), ({"user": {"in": ["ada", "di"]}}, [0, 3]),
        ({"user": {"nin": ["ada", "di"]}}, [1, 2]), ({"metadata.n": {"gt": 1}}, [2, 3]),
        ({"metadata.n": {"gte": 1, "lt": 3}}, [1, 2]), ({"at": {"lte": MARCH + timedelta(1)}}, [0, 1]),
        ({"text": {"contains": "number 3"}}, [3]), ({"text": {"contains": "seat"}}, []),
        ({"text": {"icontains": "seat NUMBER 0"}}, [0]), ({"metadata.odd": {"exists": True}}, [1, 3]),
        ({"metadata.odd": {"exists": False}}, [0, 2]), ({"tags": {"contains": ["all", "t2"]}}, [2]),
        ({"and": [{"tags": "all"}, {"metadata.n": {"gt": 2}}]}, [3]),
        ({"or": [{"user": "ada"}, {"role": "r2"}]}, [0, 2]),
        ({"not": {"user": {"in": ["ada", "bo"]}}}, [2, 3]), ({"tags": "all", "user": "di"}, [3]), ({}, [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_every_field_and_operator_narrows_every_verb_alike(people: Memory, where: Any, expected: list[int]) -> None:
    """Recall in every lane, context, nodes and count, and what forget would take, give the same nodes."""
    wanted = [f"Seat number {number} is taken" for number in expected]
    assert texts(people.nodes(where)) == wanted
    assert people.count(where) == len(expected)
    for lanes in (None, ["dense"], ["lexical"]):
        assert sorted(texts(people.recall("which seat is taken?", where=where, lanes=lanes))) == wanted
    assert sorted(texts(people.context("seat", where=where).hits)) == wanted
    assert sorted(texts(people.context(where=where).hits)) == wanted
    if where:
        ids = [node.id for node in people.nodes(where)]
        assert sorted(people.forget(where=where, dry_run=True).ids) == sorted(ids)


@pytest.mark.parametrize(
    "where",
    [
        {"colour": "red"}, {"user": {"like": "a"}}, {"metadata": 1}, {"and": []}, {"or": {"user": "a"}}, {"not": {}},
        {"at": "yesterday"}, {"tags": {"gt": "a"}}, {"user": {}}, {"user.name": "a"}, "user", {"user": {"in": "ada"}},
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_is_refused(people: Memory, where: Any) -> None:
    """An unknown field or operator, an empty part, a value that can never be compared."""
    for verb in (people.nodes, people.count, lambda where: people.recall("x", where=where)):
        with pytest.raises((ValueError, TypeError)):
            verb(where)


WHO: list[dict[str, str]] = [
    {"user": "bo"}, {"agent": "a1"}, {"session": "s1"}, {"user": "bo", "agent": "a1", "session": "s1"},
]  # fmt: skip


@pytest.mark.parametrize("who", WHO, ids=lambda who: "+".join(who))
def test_every_reading_verb_takes_user_agent_and_session(people: Memory, who: dict[str, Any]) -> None:
    """As `remember` does: what is of somebody else is not there."""
    own, other = people.get(ref=("seats", "bo")), people.get(ref=("seats", "cy"))
    assert own is not None
    assert other is not None
    assert texts(people.recall("seat", **who)) == texts(people.context("seat", **who).hits) == [own.text]
    assert texts(people.context(**who).hits) == texts(people.nodes(**who)) == [own.text]
    assert (people.count(**who), people.refs(**who)) == (1, [("seats", "bo")])
    assert (people.get(own.id, **who), people.get(ref=("seats", "bo"), **who)) == (own, own)
    assert (people.get(other.id, **who), people.get(ref=("seats", "cy"), **who)) == (None, None)
    assert (people.history(own.id, **who), people.vectors([own.id], **who).shape) == ([own], (1, 64))
    calls: list[Callable[[], object]] = [
        lambda: people.history(other.id, **who), lambda: people.vectors([other.id], **who),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(mimir.NotFoundError):
            call()


# -- hits -------------------------------------------------------------------------------------------------------------


def test_hits_are_a_list_best_first(people: Memory) -> None:
    """Scores lie in 0..1 and fall with the rank; every hit forwards what is asked most."""
    hits = people.recall("Seat number 2 is taken", k=4)
    assert isinstance(hits, list)
    assert hits[0].text == "Seat number 2 is taken"
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    for hit in hits:
        assert isinstance(hit, Hit)
        node = hit.node
        assert (hit.id, hit.text, hit.at, hit.metadata, hit.speaker) == (
            node.id, node.text, node.at, node.metadata, node.speaker,
        )  # fmt: skip
        assert all(isinstance(lane, Lane) and lane.rank >= 1 for lane in hit.lanes.values())
    assert people.recall("") == []


@pytest.mark.parametrize(
    "keywords",
    [
        {"k": 0}, {"k": 10_001}, {"k": True}, {"lanes": []}, {"lanes": ["taste"]}, {"lanes": "dense"},
        {"min_score": 1.5}, {"min_score": "much"}, {"as_of": "2026-05-01T09:00"}, {"known_at": 7},
        {"vector": [1.0]}, {"vector": np.ones((2, 64))}, {"under": "seats"}, {"user": ""},
    ],
)  # fmt: skip
def test_a_keyword_that_cannot_be_is_refused(people: Memory, keywords: dict[str, Any]) -> None:
    """ValueError or TypeError, and nothing else."""
    with pytest.raises((ValueError, TypeError)):
        people.recall("seat", **keywords)


class Windowed(HashEmbedder):
    """An embedder that reads forty characters at a time."""

    def windows(self, text: str, prefix: str, suffix: str) -> list[tuple[int, int]]:
        """Return windows of forty characters."""
        return [(start, min(start + 40, len(text))) for start in range(0, len(text), 40)]


def test_the_dense_lane_tells_the_cosine_of_the_window_that_matched(vaults: QuickVaults) -> None:
    """Also of a text of several windows, and never more than 1; the passage lies where the window does."""
    memory = vaults.create(embedder=Windowed()).space()
    parts = [f"part {number} speaks of nothing in particular".ljust(40)[:40] for number in range(6)]
    parts[4] = "the walrus lives on a cold northern isle"
    memory.remember("".join(parts))
    memory.remember("a short text about the weather")
    for query in ("where does the walrus live on the isle", parts[4]):
        hit = memory.recall(query, lanes=["dense"])[0]
        one, two = HashEmbedder().embed([query, parts[4]])
        assert hit.lanes["dense"].score == pytest.approx(float(one @ two), abs=0.02)
        assert hit.lanes["dense"].score <= 1
        assert hit.text[hit.start : hit.end] == hit.passage
        assert 160 <= hit.start < hit.end <= 200


def test_the_lexical_lane_tells_a_raw_score(people: Memory) -> None:
    """BM25: above 0, without an upper bound, the same whatever the other lane says."""
    both, alone = people.recall("Seat number 2", k=1)[0], people.recall("Seat number 2", k=1, lanes=["lexical"])[0]
    assert both.lanes["lexical"] == alone.lanes["lexical"]
    assert alone.lanes["lexical"].score > 0
    assert set(alone.lanes) == {"lexical"}


def test_a_vector_of_the_callers_asks_in_place_of_the_text(people: Memory) -> None:
    """The dense lane compares it, and the text is not embedded."""
    node = people.get(ref=("seats", "cy"))
    assert node is not None
    vector = 7 * people.vectors([node.id])[0]
    hits = people.recall("", vector=vector, lanes=["dense"])
    assert hits[0].id == node.id
    assert hits[0].lanes["dense"].score == pytest.approx(1, abs=0.01)


# -- lists ------------------------------------------------------------------------------------------------------------


def test_nodes_take_their_arguments_in_the_order_of_the_contract(people: Memory) -> None:
    """where, under, order, limit, after."""
    newest = list(people.nodes(None, ("seats",), "newest"))
    assert [node.user for node in newest] == ["di", "cy", "bo", "ada"]
    assert list(people.nodes({"tags": "all"}, (), "newest", 2)) == newest[:2]
    assert list(people.nodes(None, (), "ref", None, newest[2].id)) == newest[1::-1]
    assert people.refs(("seats",), 1) == [("seats",)]


def test_vectors_are_float32_rows_in_the_order_asked(people: Memory) -> None:
    """(n, d), a node twice where it is asked for twice, (0, d) for none."""
    ids = [node.id for node in people.nodes(order="newest")]
    rows = people.vectors([ids[2], ids[0], ids[2]])
    assert (rows.shape, rows.dtype) == ((3, 64), np.float32)
    np.testing.assert_array_equal(rows[0], rows[2])
    assert people.vectors([]).shape == (0, people.embedder.dimension)


def test_what_is_hidden_or_expired_is_in_no_answer(memory: Memory, clock: FixedClock) -> None:
    """Neither for recall, context, get, nodes, count, refs, history, vectors nor an export."""
    hidden = memory.remember("a hidden walrus", ref=("h",))
    expired = memory.remember("an expired walrus", ref=("e",), expires_at=clock.moment + timedelta(hours=1))
    memory.hide(hidden.id)
    clock.advance(7_200)
    assert (list(memory.nodes()), memory.count(), memory.refs()) == ([], 0, [])
    assert (memory.recall("walrus"), memory.context("walrus").text, memory.context().text) == ([], "", "")
    for node in (hidden, expired):
        assert (memory.get(node.id), memory.get(ref=node.ref)) == (None, None)
        calls: list[Callable[[], object]] = [
            lambda node=node: memory.history(node.id), lambda node=node: memory.vectors([node.id]),  # type: ignore[misc]
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(mimir.NotFoundError):
                call()
    file = io.StringIO()
    assert memory.export_to(file) == 0
    assert "walrus" not in file.getvalue()
    newer = memory.remember("a walrus again", ref=("h",))
    assert memory.history(newer.id) == [newer]


def test_moments_come_as_datetimes_or_text_with_a_zone(memory: Memory) -> None:
    """`at` keeps its zone; a moment without one is a ValueError wherever a moment is taken."""
    node = memory.remember("x", at="2026-05-01T09:00+02:00")
    assert node.at.isoformat() == "2026-05-01T09:00:00+02:00"
    same = datetime.fromisoformat("2026-05-01T09:00+02:00")
    assert memory.remember("y", at=same).at == node.at
    calls: list[Callable[[Any], object]] = [
        lambda moment: memory.remember("x", at=moment), lambda moment: memory.remember("x", expires_at=moment),
        lambda moment: memory.recall("x", as_of=moment), lambda moment: memory.context(known_at=moment),
        lambda moment: memory.count({"at": moment}), lambda moment: memory.remember_many([Draft("x", at=moment)]),
    ]  # fmt: skip
    for call in calls:
        for moment in ("2026-05-01T09:00", datetime(2026, 5, 1), "soon"):
            with pytest.raises(ValueError, match=r"zone|moment|date|ISO"):
                call(moment)
