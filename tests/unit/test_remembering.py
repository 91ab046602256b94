"""Remembering: batches that are whole or not there, room that is made before, and what is stored of a draft."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from mimir_vault import Draft, InterruptedBatchError, Link, Memory, Vault, errors
from mimir_vault import remembering as module
from mimir_vault.embed.embedder import PROBE_SENTENCE
from mimir_vault.putting import Kept, Putting
from mimir_vault.store import audit, padding
from mimir_vault.testing import FixedClock, HashEmbedder


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """An empty space."""
    return vault.space()


def texts(memory: Memory) -> list[str]:
    """Return the texts of all nodes."""
    return [node.text for node in memory.nodes()]


def generation(memory: Memory) -> int:
    """Return the generation of the space."""
    return memory._space.store.freshness().generation


def drafts(count: int) -> list[Draft]:
    """Return drafts."""
    return [Draft(f"text {number}") for number in range(count)]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five nodes in a commit, ten embedded at a time."""
    monkeypatch.setattr(module, "BATCH_NODES", 5)
    monkeypatch.setattr(module, "EMBEDDED_NODES", 10)
    monkeypatch.setattr(module, "BATCH_MICROS", 60_000_000)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("count", [1, 4, 5, 6, 9, 10, 11, 20, 37])
@pytest.mark.parametrize("lazily", [False, True])
def test_every_count_of_drafts_is_stored_in_order(memory: Memory, count: int, lazily: bool) -> None:
    """Whatever borders of batches it meets; a commit holds no more than a batch; progress is told after each."""
    before = generation(memory)
    calls: list[tuple[int, int]] = []
    given: Any = iter(drafts(count)) if lazily else drafts(count)
    nodes = memory.remember_many(given, lambda *call: calls.append(call))
    assert [node.text for node in nodes] == texts(memory) == [draft.text for draft in drafts(count)]
    commits = [min(5, count - start) for start in range(0, count, 5)]
    assert generation(memory) - before == len(commits)
    assert [done for done, _ in calls] == [sum(commits[: place + 1]) for place in range(len(commits))]
    assert {total for _, total in calls} == ({count} if not lazily else {done for done, _ in calls})


def test_a_commit_that_takes_long_is_ended(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that others get their turn: with no time at all every node is a commit of its own."""
    monkeypatch.setattr(module, "BATCH_MICROS", -1)
    before = generation(memory)
    memory.remember_many(drafts(6))
    assert generation(memory) - before == 6
    assert texts(memory) == [f"text {number}" for number in range(6)]
    assert memory.verify(full=True) == []


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("error", [ValueError, OSError, KeyError, errors.NotFoundError])
@pytest.mark.parametrize("place", [0, 3, 5, 10, 14, 23])
def test_what_came_before_a_failure_is_stored_and_named(memory: Memory, place: int, error: type[Exception]) -> None:
    """An iterable that raises after so many drafts: exactly those are stored, and the error names them."""

    def broken() -> Iterator[Draft]:
        yield from drafts(place)
        raise error("it broke off")

    if place == 0:
        with pytest.raises(error, match="it broke off"):
            memory.remember_many(broken())
    else:
        with pytest.raises(
            InterruptedBatchError, match=rf"after {place} nodes, which are stored: .*it broke off"
        ) as caught:
            memory.remember_many(broken())
        assert [node.text for node in caught.value.done] == [draft.text for draft in drafts(place)]
        assert isinstance(caught.value.__cause__, error)
    assert texts(memory) == [draft.text for draft in drafts(place)]
    assert memory.verify(full=True) == []


@pytest.mark.usefixtures("small_batches")
def test_a_bad_draft_in_the_middle_of_an_iterable_is_such_a_failure(memory: Memory) -> None:
    """In a list it is found before anything is stored."""
    bad = [*drafts(12), Draft("")]
    with pytest.raises(InterruptedBatchError, match=r"after 12 nodes.*the text is empty") as caught:
        memory.remember_many(iter(bad))
    assert len(caught.value.done) == memory.count() == 12
    with pytest.raises(ValueError, match="the text is empty"):
        memory.remember_many(bad)
    assert memory.count() == 12


@pytest.mark.usefixtures("small_batches")
def test_an_interruption_passes_through_and_leaves_whole_commits(memory: Memory) -> None:
    """Ctrl-C is no error of a batch; what was committed stays, nothing is half-written."""

    def interrupted() -> Iterator[Draft]:
        yield from drafts(12)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.remember_many(interrupted())
    assert texts(memory) == [f"text {number}" for number in range(memory.count())]
    assert memory.verify(full=True) == []


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_store_that_fails_leaves_the_commits_before(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """A full disk in the middle: the error says how many are stored, and not one word of the others is left."""
    real, calls = Putting.put, [0]

    def full(*given: Any) -> Any:
        calls[0] += 1
        if calls[0] == 5 * call - 1:
            raise errors.DiskFullError
        return real(*given)

    monkeypatch.setattr(Putting, "put", full)
    kind = errors.DiskFullError if call == 1 else InterruptedBatchError
    with pytest.raises(kind):
        memory.remember_many([Draft(f"unique{number}") for number in range(20)])
    monkeypatch.undo()
    stored = 5 * (call - 1)
    assert texts(memory) == [f"unique{number}" for number in range(stored)]
    with memory._space.store.read() as connection:
        terms = {text for (text,) in connection.execute("SELECT text FROM term")}
    assert terms == {f"unique{number}" for number in range(stored)}
    assert memory.verify(full=True) == []


def test_the_embedder_is_asked_outside_of_transactions(vaults: Any) -> None:
    """Embedding is what takes long: nobody waits for it with the write lock held."""
    held: list[bool] = []

    class Asking(HashEmbedder):
        def embed(self, given: Any) -> Any:
            with vault._spaces._open[space_id].store.read() as connection:
                held.append(connection.in_transaction and connection.txn_state() == 2)
            return super().embed(given)

    vault = vaults.create(embedder=Asking())
    memory = vault.space()
    space_id = bytes.fromhex(vault.spaces()[0].id)
    memory.remember_many(drafts(3))
    memory.remember("x", at="2026-05-01T09:00Z")
    assert held
    assert not any(held)


BIG = {
    "text": {"text": "x" * 50_000},
    "words": {"text": " ".join(f"word{number}" for number in range(5_000))},
    "data": {"data": bytes(300_000)},
    "metadata": {"metadata": {"all": "v" * 60_000}},
    "attributes": {"metadata": {f"name{number}": f"value{number}" for number in range(1_000)}},
    "passages": {"index": ["p" * 30_000, "q" * 30_000]},
    "accents": {"text": "é" * 50_000},
    "tags": {"tags": [f"tag{number} {'t' * 200}" for number in range(64)]},
    "vectors": {"vector": np.ones((255, 64), np.float32)},
}


@pytest.mark.parametrize("kind", BIG)
def test_room_for_a_node_is_made_before_it_is_written(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Whatever makes it large: the file does not grow inside the transaction, where it would outgrow its class."""
    began: list[int] = []
    real = padding.release

    def noted(connection: Any, needed: int) -> None:
        began.append(int(connection.pragma("page_count")))
        real(connection, needed)

    monkeypatch.setattr(padding, "release", noted)
    memory.remember_many([Draft(**{"text": f"text {number}", **BIG[kind]}) for number in range(30)])
    monkeypatch.undo()
    with memory._space.store.read() as connection:
        assert int(connection.pragma("page_count")) <= max(began)


def test_a_checked_draft_that_is_prepared_says_what_room_it_needs(memory: Memory) -> None:
    """At least the bytes of what is sealed."""
    (one,) = module.prepare(memory._space, [module.ready(memory._space, Draft("x" * 5_000, data=bytes(7_000)))])
    assert one.bytes_needed > 12_000
    assert one.ready.draft.text == "x" * 5_000
    assert one.found.terms


def test_what_comes_with_a_draft_is_reckoned_in(memory: Memory) -> None:
    """Vectors sealed and stored, passages, and those taken over from the node before."""
    space = memory._space

    def needed(draft: Draft, **given: Any) -> int:
        (one,) = module.prepare(space, [replace(module.ready(space, draft), **given)])
        return one.bytes_needed

    bare = needed(Draft("x"))
    assert needed(Draft("x", vector=np.ones((10, 64)))) - bare > 10 * 64 * 5
    assert needed(Draft("x", index=["p" * 1_000])) - bare > 1_000
    assert needed(Draft("x"), kept=Kept(bytes(32), 5_000)) > 5_000


def test_a_draft_is_made_ready_by_its_view(memory: Memory) -> None:
    """Checked and filled in, its vectors at length 1; a ref of its own is drawn by chance."""
    view = memory.view(user="ada", under=("docs",))._space
    one, two = (module.ready(view, Draft("x", at="2026-05-01T00:00Z", vector=[2.0] + 63 * [0.0])) for _ in range(2))
    assert one.draft.user == "ada"
    assert one.draft.ref is not None
    assert two.draft.ref is not None
    assert one.draft.ref[:1] == two.draft.ref[:1] == ("docs",)
    assert len(one.draft.ref[1]) == 32
    assert one.draft.ref != two.draft.ref
    assert one.vectors is not None
    assert one.vectors.tolist() == [[1.0] + 63 * [0.0]]
    assert one.draft.at == datetime(2026, 5, 1, tzinfo=UTC)
    assert one.mergeable
    assert not module.ready(memory._space, Draft("x", ref=("r",))).mergeable
    assert not module.ready(memory.view(session="s")._space, Draft("x")).mergeable


@pytest.mark.parametrize(
    ("index", "passages"), [(True, ("text",)), (False, ()), (["one", "two"], ("one", "two")), ([], ())]
)
def test_a_draft_is_found_by_these_passages(index: Any, passages: tuple[str, ...]) -> None:
    """Its text, nothing, or those given."""
    assert module.passages_of(Draft("text", index=index)) == passages


def test_the_embedder_is_asked_for_its_probe_before_the_lock(vaults: Any) -> None:
    """Where all vectors are given it is asked for nothing else; where there are none, not at all."""
    asked: list[str] = []

    class Noting(HashEmbedder):
        def embed(self, given: Any) -> Any:
            asked.extend(given)
            with memory._space.store.read() as connection:
                assert not (connection.in_transaction and connection.txn_state() == 2)
            return super().embed(given)

    memory = vaults.create(embedder=Noting()).space()
    memory.remember("listed", index=False)
    assert asked == []
    memory.remember("given", vector=np.ones(64))
    assert asked == [PROBE_SENTENCE]
    memory.remember("own")
    assert asked == [PROBE_SENTENCE, "own"]


# -- what is stored ---------------------------------------------------------------------------------------------------


def test_a_ref_that_brings_something_new_supersedes_whatever_it_is(memory: Memory) -> None:
    """Any field but the links and the moment of expiry makes a new version; the same content makes none."""
    same: dict[str, Any] = {"text": "x", "ref": ("r",), "tags": ["a"], "metadata": {"n": 1}, "data": b"d"}
    first = memory.remember(**same)
    assert memory.remember(**same).id == first.id
    versions = [first.id]
    for change in (
        {"text": "y"}, {"tags": ["b"]}, {"metadata": {"n": 2}}, {"data": None}, {"speaker": "Ada"}, {"role": "user"},
        {"kind": "fact"}, {"user": "ada"}, {"agent": "a"}, {"session": "s"}, {"index": False}, {"index": ["p"]},
    ):  # fmt: skip
        node = memory.remember(**{**same, **change})
        assert Link("supersedes", versions[-1]) in node.links, change
        versions.append(node.id)
        again = memory.remember(**same)
        assert Link("supersedes", versions[-1]) in again.links, change
        versions.append(again.id)
    versions.append(memory.remember(**same, at="2026-05-01T09:00Z").id)
    assert memory.remember(**same).id == versions[-1]
    assert [node.id for node in memory.history(first.id)] == versions[::-1]


def test_one_batch_may_take_a_ref_twice(memory: Memory) -> None:
    """The later draft supersedes the earlier one, in order."""
    one, two = memory.remember_many([Draft("one", ref=("r",)), Draft("two", ref=("r",))])
    assert Link("supersedes", one.id) in two.links
    assert memory.get(ref=("r",)) == two


def test_a_link_may_point_at_a_node_of_the_same_call_only_when_it_is_known(memory: Memory) -> None:
    """Links are to older nodes by id: given twice they are one."""
    node = memory.remember("x")
    linked = memory.remember("y", links=[Link("about", node.id), Link("derived_from", node.id), Link("about", node.id)])
    assert linked.links == (Link("about", node.id), Link("derived_from", node.id))
    with memory._space.store.read() as connection:
        assert connection.execute("SELECT count(*) FROM link").fetchall() == [(2,)]


def test_forgetting_is_audited_by_ids_alone(memory: Memory) -> None:
    """The event tells how many and which, nothing of what they said."""
    node = memory.remember("a secret zebra", speaker="Ada")
    memory.forget(node.id)
    with memory._space.store.read() as connection:
        event = list(audit.events(connection, memory._space.store.sealer))[-1]
    assert event.verb == "nodes forgotten"
    assert event.facts == {"count": 1, "ids": [bytes.fromhex(node.id)]}


def test_a_moment_given_by_text_keeps_its_zone(vaults: Any) -> None:
    """Two nodes of one moment in different zones are equal in time and told apart in form."""
    memory = vaults.create(clock=FixedClock(step=1)).space()
    one = memory.remember("x", at="2026-05-01T09:00+02:00")
    two = memory.remember("y", at="2026-05-01T07:00Z")
    assert one.at == two.at
    assert (str(one.at.utcoffset()), str(two.at.utcoffset())) == ("2:00:00", "0:00:00")
    assert memory.count({"at": "2026-05-01T07:00Z"}) == 2


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 512, 1_000, 2_000, 2_049, 10_000])
def test_the_portions_that_are_embedded_shrink_towards_the_end_of_a_list(count: int) -> None:
    """They are whole commits but for the last one, which is no more than a commit, and none is above the bound."""
    portions = list(module._portions(count))
    assert sum(portions) == count
    assert portions == sorted(portions, reverse=True)
    assert all(portion <= module.EMBEDDED_NODES and portion % module.BATCH_NODES == 0 for portion in portions[:-1])
    assert all(portion <= module.BATCH_NODES for portion in portions[-1:])
