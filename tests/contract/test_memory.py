"""What the contract says of remembering and of letting go, sentence by sentence."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import Draft, Link, Memory, Node, Vault
from mimir_vault.testing import FIRST_MOMENT, FixedClock

ROME = timezone(timedelta(hours=2))


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """The one space of an empty vault."""
    return vault.space()


def texts(nodes: Any) -> list[str]:
    """Return the texts of nodes or hits."""
    return [node.text for node in nodes]


# -- remembering ------------------------------------------------------------------------------------------------------


def test_every_field_comes_back(memory: Memory) -> None:
    """A node has the fields it was remembered with, from `remember` and from `get` alike."""
    about = memory.remember("Ada flies a lot")
    node = memory.remember(
        "I prefer window seats", speaker="Ada", role="user", session="s1", user="ada", agent="travel",
        kind="preference", at="2026-05-01T09:00+02:00", tags=["travel", "seat"],
        metadata={"any": ["JSON", 1, 1.5, True, None, {"a": {}}]},
        links=[Link("about", about.id)], ref=("prefs", "ada", "seat"), data=b"\x00\xff", expires_at="2030-01-01T00:00Z",
        pinned=True,
    )  # fmt: skip
    assert isinstance(node, Node)
    assert len(node.id) == 64
    assert set(node.id) <= set("0123456789abcdef")
    expected = {
        "text": "I prefer window seats", "speaker": "Ada", "role": "user", "session": "s1", "user": "ada",
        "agent": "travel", "kind": "preference", "at": datetime(2026, 5, 1, 9, tzinfo=ROME),
        "tags": ("travel", "seat"), "metadata": {"any": ["JSON", 1, 1.5, True, None, {"a": {}}]},
        "links": (Link("about", about.id),), "ref": ("prefs", "ada", "seat"), "data": b"\x00\xff",
        "expires_at": datetime(2030, 1, 1, tzinfo=UTC), "pinned": True, "superseded_by": None,
    }  # fmt: skip
    for one in (node, memory.get(node.id)):
        assert {name: getattr(one, name) for name in expected} == expected
    assert node.at.utcoffset() == timedelta(hours=2)


def test_what_is_left_out_has_its_default(memory: Memory, clock: FixedClock) -> None:
    """A node is a turn that happened when it was stored, with nothing else to it."""
    node = memory.remember("hello")
    assert (node.kind, node.speaker, node.role, node.session, node.user, node.agent) == ("turn",) + (None,) * 5
    assert (node.tags, node.metadata, node.links, node.ref, node.data, node.pinned) == ((), {}, (), None, None, False)
    assert node.at == node.recorded_at
    assert node.recorded_at.utcoffset() == timedelta(0)
    assert node.recorded_at <= clock.moment


def test_text_may_be_empty_where_ref_metadata_or_data_is_given(memory: Memory) -> None:
    """Such a node is listed and read, and no recall finds it."""
    given: list[dict[str, Any]] = [{"ref": ("a",)}, {"metadata": {"a": 1}}, {"data": b"bytes"}]
    ids = [memory.remember("", **fields).id for fields in given]
    assert [node.id for node in memory.nodes()] == ids
    assert not memory.recall("a")


def test_storing_moments_always_rise(vaults: Any) -> None:
    """Also when the clock stands or goes back: `recorded_at` orders the nodes."""
    clock = FixedClock()
    memory = vaults.create(clock=clock).space()
    nodes = memory.remember_many([Draft("one"), Draft("two")])
    clock.advance(-3_600)
    nodes.append(memory.remember("three"))
    moments = [node.recorded_at for node in nodes]
    assert moments == sorted(set(moments))
    assert moments[2] - moments[1] == timedelta(microseconds=1)


def test_many_drafts_give_exactly_one_node_each_in_order(memory: Memory) -> None:
    """Equal drafts too; any iterable will do; more than one commit is needed for many."""
    drafts = [Draft(f"text {number % 250}") for number in range(600)]
    nodes = memory.remember_many(iter(drafts))
    assert texts(nodes) == [draft.text for draft in drafts]
    assert len({node.id for node in nodes}) == 600
    assert [node.id for node in memory.nodes()] == [node.id for node in nodes]
    assert memory.remember_many([]) == []
    assert memory.remember_many(draft for draft in ()) == []


def test_progress_says_how_many_of_how_many(memory: Memory) -> None:
    """After every commit; the last call says all of all."""
    calls: list[tuple[int, int]] = []
    memory.remember_many([Draft(f"{number}") for number in range(300)], progress=lambda *call: calls.append(call))
    assert calls == sorted(calls)
    assert calls[-1] == (300, 300)
    assert {total for _, total in calls} == {300}


def follows(node: Node) -> list[str]:
    """Return the ids that a node follows."""
    return [link.target for link in node.links if link.kind == "follows"]


def test_drafts_of_one_session_are_linked_in_order(memory: Memory) -> None:
    """Each follows the one before, across calls; chains of (ref prefix, user, agent, session) never cross."""
    sessions: list[dict[str, Any]] = [
        {"session": "s1"}, {"session": "s2"}, {"session": "s1", "user": "ada"}, {"session": "s1", "agent": "travel"},
        {"session": "s1", "user": "ada", "agent": "travel"}, {"session": "s1", "ref": ("chat", "1")},
    ]  # fmt: skip
    last: list[str | None] = [None] * len(sessions)
    for turn in range(3):
        drafts = []
        for number, fields in enumerate(sessions):
            given = {**fields, "ref": ("chat", f"{turn}")} if "ref" in fields else fields
            drafts.append(Draft(f"turn {turn} of {number}", **given))
        for number, node in enumerate(memory.remember_many(drafts)):
            assert follows(node) == ([] if last[number] is None else [last[number]])
            last[number] = node.id


def test_without_a_session_nothing_follows(memory: Memory) -> None:
    """Nodes outside of sessions stand alone."""
    assert [follows(node) for node in memory.remember_many([Draft("one"), Draft("two")])] == [[], []]


def test_a_taken_ref_is_superseded_in_one_transaction(memory: Memory) -> None:
    """The new node supersedes the old; a ref points at the newest version."""
    ref = ("prefs", "seat")
    old = memory.remember("aisle", ref=ref)
    new = memory.remember("window", ref=ref)
    assert Link("supersedes", old.id) in new.links
    assert memory.get(ref=ref) == new
    assert memory.get(old.id).superseded_by == new.id  # type: ignore[union-attr]


def test_the_same_content_under_a_ref_is_the_node_that_is_there(memory: Memory) -> None:
    """Nothing is stored twice."""
    first = memory.remember("aisle", ref=("seat",), tags=["a"], at="2026-05-01T09:00Z")
    again = memory.remember("aisle", ref=("seat",), tags=["a"], at="2026-05-01T09:00Z")
    assert (again.id, memory.count()) == (first.id, 1)


def test_data_is_opaque_and_never_found(memory: Memory) -> None:
    """Bytes come back as they were, and no lane reads them."""
    node = memory.remember("a receipt", data=b"zebra " * 1_000)
    assert memory.get(node.id).data == b"zebra " * 1_000  # type: ignore[union-attr]
    assert not memory.recall("zebra", lanes=["lexical"])


def test_index_says_by_what_a_node_is_found(memory: Memory) -> None:
    """True: the text; False: never recalled; a list: these passages instead."""
    memory.remember("plain giraffe")
    hidden = memory.remember("hidden giraffe", index=False)
    other = memory.remember("a text about giraffe", index=["the passage names a walrus", "and another an okapi"])
    assert hidden.id not in [hit.id for hit in memory.recall("hidden giraffe", k=10)]
    assert other.id not in [hit.id for hit in memory.recall("giraffe", lanes=["lexical"])]
    assert memory.recall("okapi", lanes=["lexical"])[0].id == other.id
    assert memory.get(hidden.id) is not None


def test_superseding_carries_over_what_is_not_given(memory: Memory, clock: FixedClock) -> None:
    """The new node has the old one's fields but for those given, and happens now; history is kept."""
    fields: dict[str, Any] = {
        "speaker": "Ada", "role": "user", "session": "s1", "user": "ada", "agent": "travel", "kind": "fact",
        "tags": ("a", "b"), "metadata": {"n": 1}, "data": b"d", "pinned": True,
        "expires_at": datetime(2030, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    old = memory.remember("I like aisle seats", at="2026-01-01T00:00Z", **fields)
    new = memory.supersede(old.id, "I like window seats", tags=["c"])
    assert {name: getattr(new, name) for name in fields} == {**fields, "tags": ("c",)}
    assert new.text == "I like window seats"
    assert new.at == new.recorded_at
    assert Link("supersedes", old.id) in new.links
    newer = memory.supersede(new.id[:10], metadata={"n": 2}, at="2026-07-01T00:00Z")
    assert (newer.text, newer.metadata) == ("I like window seats", {"n": 2})
    assert newer.at == datetime(2026, 7, 1, tzinfo=UTC)
    assert texts(memory.history(old.id)) == ["I like window seats", "I like window seats", "I like aisle seats"]
    assert memory.get(old.id).superseded_by == new.id  # type: ignore[union-attr]


def test_what_is_superseded_is_not_recalled_even_when_what_came_between_has_expired(
    memory: Memory, clock: FixedClock
) -> None:
    """A fact that was replaced twice does not come back beside its newest version."""
    three = memory.remember("the meeting is at three")
    four = memory.supersede(three.id, "the meeting is at four", expires_at="2026-05-02T00:00Z")
    memory.supersede(four.id, "the meeting is at five", expires_at=None)
    assert texts(memory.recall("when is the meeting?")) == ["the meeting is at five"]
    clock.advance(3 * 86_400)
    assert texts(memory.recall("when is the meeting?")) == ["the meeting is at five"]


def test_default_hygiene_never_destroys(memory: Memory) -> None:
    """The same text twice is two nodes; a context shows it once, recall does so with `collapse`."""
    memory.remember_many([Draft("I prefer window seats"), Draft("I prefer  WINDOW seats")])
    assert memory.count() == 2
    assert len(memory.recall("window seats")) == 2
    assert len(memory.recall("window seats", collapse=True)) == 1
    assert memory.context("window seats").text.lower().count("window seats") == 1


def test_an_error_carries_what_is_done(memory: Memory) -> None:
    """Batches commit as they go: `.done` are the nodes that are stored, the cause is chained."""

    def drafts() -> Iterator[Draft]:
        yield from (Draft(f"text {number}") for number in range(600))
        raise OSError("the file broke off")

    with pytest.raises(
        mimir.InterruptedBatchError, match=r"after .* nodes, which are stored: the file broke"
    ) as caught:
        memory.remember_many(drafts())
    assert isinstance(caught.value.__cause__, OSError)
    done = caught.value.done
    assert texts(done) == [f"text {number}" for number in range(len(done))]
    assert [node.id for node in memory.nodes()] == [node.id for node in done]
    assert len(done) >= 512
    assert memory.verify(full=True) == []


def test_when_nothing_was_stored_the_cause_itself_comes(memory: Memory) -> None:
    """A bad draft in a list is found before anything is done; an empty generator that raises leaves nothing."""
    with pytest.raises(ValueError, match="the text is empty"):
        memory.remember_many([Draft("good")] * 300 + [Draft("")])

    def nothing() -> Iterator[Draft]:
        raise KeyError("mine")
        yield

    with pytest.raises(KeyError, match="mine"):
        memory.remember_many(nothing())
    assert memory.count() == 0


def test_an_expired_node_is_not_there(memory: Memory, clock: FixedClock) -> None:
    """Expiry hides: no verb gives it any more, but an erasure still reaches it."""
    node = memory.remember("the gate is B7", expires_at=datetime(2026, 5, 2, tzinfo=UTC), user="ada")
    assert memory.count() == 1
    clock.advance(86_400)
    assert (memory.count(), list(memory.nodes()), list(memory.recall("gate")), memory.get(node.id)) == (0, [], [], None)
    assert memory.forget(user="ada").ids == (node.id,)


# -- letting go -------------------------------------------------------------------------------------------------------


def test_forgetting_destroys_and_returns_a_receipt(memory: Memory) -> None:
    """The node is gone from every verb; the receipt says what, when, between which generations, and the new digest."""
    keep, gone = memory.remember("keep this"), memory.remember("a zebra to forget", tags=["t"])
    receipt = memory.forget(gone.id)
    assert receipt.ids == (gone.id,)
    assert receipt.generation_after > receipt.generation_before
    assert len(receipt.digest) == 64
    assert datetime.fromisoformat(receipt.at).utcoffset() is not None
    assert (receipt.on_disk, receipt.dry_run, receipt.current_again) == ("erased", False, ())
    assert memory.get(gone.id) is None
    assert texts(memory.nodes()) == ["keep this"]
    assert not memory.recall("zebra", lanes=["lexical"])
    assert memory.count({"tags": "t"}) == 0
    assert texts(memory.recall("keep this")) == [keep.text]
    with pytest.raises(mimir.NotFoundError):
        memory.forget(gone.id)


def test_forgetting_the_newer_makes_the_older_current_again(memory: Memory) -> None:
    """And the receipt says so."""
    old = memory.remember("aisle seats", ref=("seat",))
    new = memory.supersede(old.id, "window seats")
    receipt = memory.forget(new.id)
    assert (receipt.ids, receipt.current_again) == ((new.id,), (old.id,))
    assert texts(memory.recall("seats")) == ["aisle seats"]
    assert memory.get(ref=("seat",)) == old


def test_a_filter_forgets_all_that_pass(memory: Memory) -> None:
    """By where, user, agent or session, more than one transaction holds; a dry run says the same and does nothing."""
    memory.remember_many([Draft(f"{number}", user="ada" if number % 2 else "bo") for number in range(20)])
    dry = memory.forget(user="ada", dry_run=True)
    assert (len(dry.ids), dry.dry_run, memory.count()) == (10, True, 20)
    assert dry.generation_before == dry.generation_after
    assert memory.forget(user="ada").ids == dry.ids
    assert memory.forget(where={"text": {"in": ["0", "2"]}}, user="bo").ids
    assert sorted(texts(memory.nodes())) == sorted(f"{number}" for number in range(4, 20, 2))
    assert memory.forget(session="nobody").ids == ()


@pytest.mark.parametrize("empty", [{}, {"where": {}}, {"where": None}, {"user": None}, {"where": {"and": [{}]}}])
def test_an_empty_filter_is_a_value_error(memory: Memory, empty: dict[str, Any]) -> None:
    """Nothing is forgotten by having said nothing."""
    memory.remember("stay")
    with pytest.raises(ValueError, match="filter"):
        memory.forget(**empty)
    assert memory.count() == 1


def test_only_whole_ids_are_forgotten(memory: Memory) -> None:
    """A shortened id is a ValueError; an unknown one is not found; two ways at once are a ValueError."""
    node = memory.remember("stay", user="ada", ref=("r",))
    for short in (node.id[:8], node.id[:63], node.id.upper(), ""):
        with pytest.raises(ValueError, match="whole node ids of 64"):
            memory.forget(short)
    with pytest.raises(mimir.NotFoundError, match="there is no node 000"):
        memory.forget("0" * 64)
    with pytest.raises(mimir.NotFoundError, match="there is no node"):
        memory.forget(ref=("unknown",))
    for two in (
        {"node_id": node.id, "user": "ada"},
        {"ref": ("r",), "user": "ada"},
        {"node_id": node.id, "ref": ("r",)},
    ):
        with pytest.raises(ValueError, match="a node id, or a ref, or a filter"):
            memory.forget(**two)
    assert memory.count() == 1


def test_a_forgotten_turn_leaves_its_neighbours_in_order(memory: Memory) -> None:
    """The next turn keeps a link to nowhere, and later turns follow on."""
    one, two, three = memory.remember_many([Draft(f"turn {n}", session="s1") for n in range(3)])
    memory.forget(two.id)
    assert follows(memory.get(three.id)) == [two.id]  # type: ignore[arg-type]
    four = memory.remember("turn 3", session="s1")
    assert follows(four) == [three.id]
    assert [node.id for node in memory.nodes(session="s1")] == [one.id, three.id, four.id]


def test_threads_may_share_a_memory(memory: Memory) -> None:
    """Four that remember and recall at once lose nothing."""
    errors: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for number in range(5):
                memory.remember(f"thread{name} says word{name}x{number}", session=f"s{name}")
                assert memory.recall(f"word{name}x{number}", lanes=["lexical"])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert memory.count() == 20
    for name in range(4):
        chain = list(memory.nodes(session=f"s{name}"))
        assert [follows(node) for node in chain] == [[], *([before.id] for before, _ in itertools.pairwise(chain))]


def test_moments_are_microseconds_of_the_clock(memory: Memory) -> None:
    """`recorded_at` is what the clock said."""
    assert (memory.remember("x").recorded_at - FIRST_MOMENT).microseconds == 0
