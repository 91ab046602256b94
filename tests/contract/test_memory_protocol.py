"""One suite for whatever is a memory: remembering, reading and the space itself, over every implementation.

Each test proves a sentence of the contract. Another implementation is added by one line in `memory_implementations`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest

import mimir_vault as mimir
from memory_implementations import UNKNOWN, Kept, texts
from mimir_vault import Draft, Link, MemoryProtocol, Node
from quick_vaults import QuickVaults


def test_it_is_a_memory(memory: MemoryProtocol) -> None:
    """`MemoryProtocol` is the seam that every implementation fits, and that an adapter can ask for."""
    assert isinstance(memory, MemoryProtocol)
    assert memory.name == "main"
    assert (memory.embedder.name, memory.embedder.dimension) == ("hash-64", 64)


def test_asking_whether_it_is_a_memory_loads_no_model(vaults: QuickVaults) -> None:
    """`isinstance` looks at names alone."""
    memory = vaults.create(embedder=None).space()
    assert isinstance(memory, MemoryProtocol)
    assert memory.vault._around.embedder is None
    assert memory._space.embedder._made is None


# -- remembering ------------------------------------------------------------------------------------------------------


def test_remember_returns_the_node_that_is_stored(memory: MemoryProtocol) -> None:
    """Every field comes back, from `remember` and from `get` alike."""
    about = memory.remember("Ada flies a lot")
    node = memory.remember(
        "I prefer window seats", speaker="Ada", role="user", session="s1", user="ada", kind="preference",
        at="2026-05-01T09:00+02:00", tags=["travel"], metadata={"any": ["JSON", 1, None]},
        links=[Link("about", about.id)], ref=("prefs", "seat"), data=b"\x00\xff", expires_at="2030-01-01T00:00Z",
        pinned=True,
    )  # fmt: skip
    assert isinstance(node, Node)
    assert memory.get(node.id) == node
    assert (node.text, node.speaker, node.role, node.session, node.user, node.kind) == (
        "I prefer window seats", "Ada", "user", "s1", "ada", "preference",
    )  # fmt: skip
    assert (node.at, node.expires_at) == (datetime(2026, 5, 1, 7, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    assert (node.tags, node.metadata, node.links) == (("travel",), {"any": ["JSON", 1, None]}, (about_link(about),))
    assert (node.ref, node.data, node.pinned, node.superseded_by) == (("prefs", "seat"), b"\x00\xff", True, None)


def about_link(node: Node) -> Link:
    """Return the link that points to a node."""
    return Link("about", node.id)


def test_a_taken_ref_is_superseded(memory: MemoryProtocol) -> None:
    """A ref points at the newest version; the same content is the node that is there."""
    old = memory.remember("aisle", ref=("seat",), at="2026-05-01T09:00Z")
    assert memory.remember("aisle", ref=("seat",), at="2026-05-01T09:00Z").id == old.id
    new = memory.remember("window", ref=("seat",))
    assert memory.get(ref=("seat",)) == new
    former = memory.get(old.id)
    assert former is not None
    assert former.superseded_by == new.id


def test_index_and_vector_say_by_what_a_node_is_found(memory: MemoryProtocol) -> None:
    """False: never recalled; a list: these passages instead; a vector of the caller's is sealed as truth."""
    memory.remember("a plain giraffe", index=False)
    other = memory.remember("a text about giraffes", index=["the passage names a walrus"])
    mine = np.eye(64, dtype=np.float32)[3]
    given = memory.remember("by a vector", vector=mine)
    assert texts(memory.recall("plain", lanes=["lexical"])) == []
    assert [hit.id for hit in memory.recall("walrus", lanes=["lexical"])] == [other.id]
    assert memory.recall("whatever", vector=mine, lanes=["dense"])[0].id == given.id


def test_duplicates_are_marked_or_merged(memory: MemoryProtocol) -> None:
    """Default hygiene never destroys; "merge" gives back the node that says the same already."""
    first, second = memory.remember("the same"), memory.remember("the same")
    assert first.id != second.id
    assert memory.remember("the same", duplicates="merge").id in (first.id, second.id)
    assert memory.count() == 2


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, ValueError), ({"text": "x", "at": "2026-05-01T09:00"}, ValueError), ({"text": 7}, TypeError),
        ({"text": "x", "metadata": {"n": float("nan")}}, ValueError), ({"text": "x", "ref": "seat"}, TypeError),
        ({"text": "x", "colour": "red"}, TypeError), ({"text": "x", "links": [Link("about", UNKNOWN)]},
        mimir.NotFoundError), ({"text": "x", "duplicates": "burn"}, ValueError),
        ({"text": "x", "vector": [1.0, 2.0]}, ValueError),
    ],
)  # fmt: skip
def test_what_cannot_be_remembered_is_refused(
    memory: MemoryProtocol, fields: dict[str, Any], error: type[Exception]
) -> None:
    """ValueError and TypeError for a programmer's nonsense; a link to a node that is not here is not found."""
    with pytest.raises(error):
        memory.remember(**fields)
    assert memory.count() == 0


def test_remember_many_gives_one_node_per_draft_in_order(memory: MemoryProtocol) -> None:
    """Any iterable of drafts; turns of a session are linked by themselves; progress says how many of how many."""
    calls: list[tuple[int, int]] = []
    nodes = memory.remember_many(
        [Draft(f"turn {number}", session="s1") for number in range(300)], lambda *call: calls.append(call)
    )
    assert texts(nodes) == [f"turn {number}" for number in range(300)]
    assert [link.target for node in nodes for link in node.links if link.kind == "follows"] == [
        node.id for node in nodes[:-1]
    ]
    assert calls[-1] == (300, 300)
    assert texts(memory.remember_many(Draft(text) for text in "ab")) == ["a", "b"]
    assert memory.remember_many([]) == []


def test_an_error_of_a_batch_carries_what_is_done(memory: MemoryProtocol) -> None:
    """Outside a transaction batches commit as they go."""

    def drafts() -> Iterator[Draft]:
        yield from (Draft(f"text {number}") for number in range(600))
        raise OSError("the file broke off")

    with pytest.raises(mimir.InterruptedBatchError, match="the file broke off") as caught:
        memory.remember_many(drafts())
    assert [node.id for node in memory.nodes()] == [node.id for node in caught.value.done]
    assert len(caught.value.done) >= 512
    nonsense: Any = "text"
    with pytest.raises(TypeError, match="iterable of Drafts"):
        memory.remember_many(nonsense)


def test_supersede_keeps_history_and_carries_over(memory: MemoryProtocol) -> None:
    """What is not given is carried over; history is newest first."""
    old = memory.remember("I like aisle seats", speaker="Ada", tags=["seat"], ref=("seat",))
    new = memory.supersede(old.id, "I like window seats")
    newest = memory.supersede(new.id, metadata={"sure": True})
    assert (newest.text, newest.speaker, newest.tags, newest.ref) == (
        "I like window seats", "Ada", ("seat",), ("seat",),
    )  # fmt: skip
    assert [node.id for node in memory.history(old.id)] == [newest.id, new.id, old.id]
    assert texts(memory.recall("seats")) == ["I like window seats"]
    with pytest.raises(mimir.NotFoundError):
        memory.supersede(UNKNOWN, "nothing")
    with pytest.raises(TypeError, match="no field 'colour'"):
        memory.supersede(newest.id, "x", **cast("Any", {"colour": "red"}))
    with pytest.raises(mimir.NotFoundError):
        memory.history(UNKNOWN)


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def seats(memory: MemoryProtocol) -> MemoryProtocol:
    """A memory that knows something of seats."""
    memory.remember_many(
        [
            Draft("I prefer the seat by the window", speaker="Ada", session="s1", at="2026-01-01T00:00Z", ref=("a",)),
            Draft("The aisle is better for long legs", speaker="Bo", session="s1", at="2026-02-01T00:00Z", pinned=True),
            Draft("The night train leaves at nine", speaker="Ada", session="s2", at="2026-03-01T00:00Z", ref=("b",)),
        ]
    )
    return memory


def test_recall_returns_the_best_first(seats: MemoryProtocol) -> None:
    """`hit.score` is 0 to 1 and falls with rank; `hit.lanes` has raw values; `hit.passage` is what matched."""
    hits = seats.recall("a seat by the window", k=2, explain=True)
    assert len(hits) == 2
    assert hits[0].text == "I prefer the seat by the window"
    assert 1 >= hits[0].score > hits[1].score > 0
    assert -1 <= hits[0].lanes["dense"].score <= 1
    assert hits[0].text[hits[0].start : hits[0].end] == hits[0].passage
    assert hits[0].why


def test_recall_is_narrowed_by_every_keyword(seats: MemoryProtocol) -> None:
    """where, session, under, lanes, min_score, as_of and known_at each leave fewer."""
    narrowed: list[tuple[dict[str, Any], set[str]]] = [
        ({"where": {"speaker": "Bo"}}, {"s1"}), ({"session": "s2"}, {"s2"}), ({"under": ("b",)}, {"s2"}),
        ({"as_of": "2026-01-15T00:00Z"}, {"s1"}), ({"known_at": "2020-01-01T00:00Z"}, set()),
        ({"min_score": 1.0, "lanes": ["lexical"], "where": {"speaker": "nobody"}}, set()),
    ]  # fmt: skip
    for keywords, sessions in narrowed:
        assert {hit.node.session for hit in seats.recall("seat train aisle", **keywords)} == sessions, keywords


@pytest.mark.parametrize(
    "keywords",
    [{"k": 0}, {"k": "many"}, {"lanes": ["taste"]}, {"min_score": 2}, {"as_of": "yesterday"}, {"where": {"colour": 1}}],
)
def test_what_cannot_be_recalled_is_refused(memory: MemoryProtocol, keywords: dict[str, Any]) -> None:
    """An impossible argument is a ValueError or a TypeError."""
    with pytest.raises((ValueError, TypeError)):
        memory.recall("a question", **keywords)


def test_context_fits_a_budget(seats: MemoryProtocol) -> None:
    """Dated, quoted passages with ids; without a query what is pinned comes first, then the newest."""
    context = seats.context("window", budget=200, counter=len)
    assert context.tokens <= 200
    assert "window" in context.text
    assert texts(seats.context().hits)[:2] == ["The aisle is better for long legs", "The night train leaves at nine"]
    assert texts(seats.context(session="s2").hits) == ["The night train leaves at nine"]
    nonsense: Any = 7
    for refused in ({"budget": 0}, {"counter": nonsense}):
        with pytest.raises((ValueError, TypeError)):
            seats.context("window", **refused)


def test_get_takes_an_id_its_beginning_or_a_ref(seats: MemoryProtocol) -> None:
    """None for what is not here; what is no id at all is not found; neither or both is a ValueError."""
    node = seats.get(ref=("a",))
    assert node is not None
    assert seats.get(node.id) == seats.get(node.id[:12]) == node
    assert (seats.get(UNKNOWN), seats.get(ref=("nothing",))) == (None, None)
    with pytest.raises(mimir.NotFoundError):
        seats.get("no id")
    with pytest.raises(ValueError, match="a node id or a ref"):
        seats.get()
    with pytest.raises(ValueError, match="a node id or a ref"):
        seats.get(node.id, ref=("a",))


def test_nodes_are_listed_in_order_from_a_place_on(seats: MemoryProtocol) -> None:
    """Lazy; oldest, newest or by ref; where, under and session narrow; `after` goes on behind a node."""
    oldest = list(seats.nodes())
    assert texts(seats.nodes(order="newest")) == texts(oldest)[::-1]
    assert [node.ref for node in seats.nodes(order="ref")] == [("a",), ("b",), None]
    assert list(seats.nodes(limit=2)) == oldest[:2]
    assert list(seats.nodes(after=oldest[0].id)) == oldest[1:]
    assert list(seats.nodes({"speaker": "Ada"}, session="s2")) == list(seats.nodes(under=("b",))) == oldest[2:]
    some = iter(seats.nodes())
    assert next(some) == oldest[0]
    refused: list[dict[str, Any]] = [{"order": "sideways"}, {"limit": 0}, {"where": {"colour": 1}}]
    for keywords in refused:
        with pytest.raises(ValueError, match=r"order|limit|colour"):
            list(seats.nodes(**keywords))
    with pytest.raises(mimir.NotFoundError):
        list(seats.nodes(after=UNKNOWN))


def test_long_lists_come_whole_and_in_order(memory: MemoryProtocol) -> None:
    """However many batches they take."""
    memory.remember_many([Draft(f"number {number}") for number in range(520)])
    assert texts(memory.nodes()) == [f"number {number}" for number in range(520)]
    assert texts(memory.nodes(limit=513))[-1] == "number 512"


def test_count_counts_what_nodes_lists(seats: MemoryProtocol) -> None:
    """By the same filters."""
    assert seats.count() == 3
    assert seats.count({"speaker": "Ada"}) == 2
    assert (seats.count(session="s1"), seats.count(under=("a",)), seats.count(user="nobody")) == (2, 1, 0)
    with pytest.raises(ValueError, match="colour"):
        seats.count({"colour": "red"})


def test_refs_are_distinct_and_cut(memory: MemoryProtocol) -> None:
    """`refs(under, depth)` gives distinct refs below a beginning, cut to depth."""
    for ref in (("docs", "a", "1"), ("docs", "a", "2"), ("docs", "b"), ("prefs",)):
        memory.remember("x", ref=ref)
    assert memory.refs() == [("docs", "a", "1"), ("docs", "a", "2"), ("docs", "b"), ("prefs",)]
    assert memory.refs(("docs",), 2) == [("docs", "a"), ("docs", "b")]
    assert memory.refs(("nothing",)) == []
    with pytest.raises(ValueError, match="depth"):
        memory.refs(depth=0)


def test_move_gives_a_node_or_a_subtree_another_ref(memory: MemoryProtocol) -> None:
    """Nothing at the old place is not found; a taken place is refused, and nothing is moved."""
    node = memory.remember("x", ref=("docs", "a"))
    memory.remember("y", ref=("docs", "b", "1"))
    memory.remember("z", ref=("taken",))
    assert memory.move(("docs",), ("papers", "old")) == 2
    moved = memory.get(ref=("papers", "old", "a"))
    assert moved is not None
    assert moved.id == node.id
    with pytest.raises(mimir.NotFoundError):
        memory.move(("docs",), ("elsewhere",))
    with pytest.raises(mimir.ExistsError):
        memory.move(("papers", "old", "a"), ("taken",))
    with pytest.raises(ValueError, match="itself"):
        memory.move(("papers",), ("papers", "new"))
    assert memory.refs() == [("papers", "old", "a"), ("papers", "old", "b", "1"), ("taken",)]


def test_vectors_are_float32_rows_of_length_one(seats: MemoryProtocol) -> None:
    """`vectors(node_ids)` gives float32 (n, d) in the order of the ids; a node without one is not found."""
    ids = [node.id for node in seats.nodes()]
    rows = seats.vectors(ids[::-1])
    assert (rows.shape, str(rows.dtype)) == ((3, 64), "float32")
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)
    np.testing.assert_array_equal(seats.vectors(ids[:1])[0], rows[2])
    with pytest.raises(mimir.NotFoundError):
        seats.vectors([UNKNOWN])


# -- the space itself -------------------------------------------------------------------------------------------------


def test_verify_finds_nothing_and_rebuild_changes_nothing(seats: MemoryProtocol) -> None:
    """An empty list is good news; both say how far they are."""
    calls: list[tuple[int, int]] = []
    everything = 3 if seats.count({"agent": "tester"}) == 0 else 6
    assert seats.verify(full=True, progress=lambda *call: calls.append(call)) == []
    before = texts(seats.recall("a seat by the window"))
    assert seats.rebuild(lambda *call: calls.append(call)) == everything
    assert texts(seats.recall("a seat by the window")) == before
    assert calls == [(everything, everything)] * 2


def test_an_export_is_read_by_an_import_each_line_once(seats: MemoryProtocol) -> None:
    """Imports write `metadata.import_id`, are idempotent, and say how to undo them; an export has what a view sees."""
    file = io.StringIO()
    assert seats.export_to(file) == 3
    lines = file.getvalue()
    elsewhere = seats.view(session="s3")
    done = elsewhere.import_from(io.StringIO('{"text": "one"}\n{"text": "two"}\n'), import_id="mine")
    assert (done.import_id, done.stored, elsewhere.count()) == ("mine", 2, 2)
    again = elsewhere.import_from(io.StringIO('{"text": "one"}\n{"text": "two"}\n'), import_id="mine")
    assert (again.stored, again.known, elsewhere.count()) == (0, 2, 2)
    assert len(elsewhere.forget(where=done.undo).ids) == 2
    assert seats.import_from(io.StringIO(lines)).stored == 0
    assert seats.count() == 3
    markdown = io.StringIO()
    assert seats.export_to(markdown, "markdown", session="s2") == 1
    assert "night train" in markdown.getvalue()
    with pytest.raises(ValueError, match="format"):
        seats.export_to(io.StringIO(), "stone")
    with pytest.raises(ValueError, match="line 1"):
        seats.import_from(io.StringIO("no JSON\n"))
    with pytest.raises(mimir.NotFoundError):
        seats.import_from("there/is/no/such/file")


def test_it_is_a_context_manager(kept: Kept) -> None:
    """Leaving it, or closing it, leaves a vault open that somebody else opened."""
    with kept.memory as memory:
        assert memory.count() == 0
    kept.memory.close()
    assert kept.memory.count() == 0


VERBS: dict[str, Callable[[MemoryProtocol], object]] = {
    "remember": lambda memory: memory.remember("x"),
    "remember_many": lambda memory: memory.remember_many([Draft("x")]),
    "supersede": lambda memory: memory.supersede(UNKNOWN, "x"),
    "recall": lambda memory: memory.recall("x"),
    "context": lambda memory: memory.context("x"),
    "get": lambda memory: memory.get(UNKNOWN),
    "history": lambda memory: memory.history(UNKNOWN),
    "nodes": lambda memory: list(memory.nodes()),
    "count": lambda memory: memory.count(),
    "refs": lambda memory: memory.refs(),
    "move": lambda memory: memory.move(("a",), ("b",)),
    "vectors": lambda memory: memory.vectors([UNKNOWN]),
    "forget": lambda memory: memory.forget(UNKNOWN),
    "hide": lambda memory: memory.hide(UNKNOWN),
    "keep": lambda memory: memory.keep(UNKNOWN),
    "view": lambda memory: memory.view(session="s").count(),
    "transaction": lambda memory: memory.transaction().__enter__(),
    "export_to": lambda memory: memory.export_to(io.StringIO()),
    "import_from": lambda memory: memory.import_from(io.StringIO('{"text": "x"}\n')),
    "verify": lambda memory: memory.verify(),
    "rebuild": lambda memory: memory.rebuild(),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_a_locked_vault_says_so(kept: Kept, verb: str) -> None:
    """LockedError, whatever is asked."""
    kept.memory.remember("x")
    kept.lock()
    with pytest.raises(mimir.LockedError, match="open"):
        VERBS[verb](kept.memory)


def test_every_verb_is_tried() -> None:
    """A verb that is added to the protocol has its line in VERBS, and tests of its own above."""
    verbs = {name for name in vars(MemoryProtocol) if not name.startswith("_")}
    assert verbs - set(VERBS) == {"name", "close"}
