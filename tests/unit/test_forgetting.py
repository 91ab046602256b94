"""Forgetting: what an erasure leaves where, and what its receipt says."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from mimir_vault import Draft, Link, Memory, Node, NotFoundError, ReadOnlyError, Vault
from mimir_vault import forgetting as module
from mimir_vault.forgetting import GRACE_MAX, forget, grace_micros
from mimir_vault.model.facets import Facets
from mimir_vault.store import audit, traces
from mimir_vault.testing import FixedClock


@pytest.fixture(autouse=True)
def upkeep_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no thread: upkeep is done when a test says so."""
    monkeypatch.setattr("mimir_vault.upkeep.Upkeep.wrote", lambda _: None)


@pytest.fixture
def memory(upkeep_by_hand: None, vault: Vault) -> Memory:
    """Thirty nodes."""
    memory = vault.space()
    memory.remember_many([Draft(f"unique{number} words", tags=[f"t{number}"], pinned=True) for number in range(30)])
    return memory


def test_what_is_not_there_is_no_error_here(memory: Memory) -> None:
    """Unknown seqs are passed over: the receipt names nothing, and no generation is made."""
    receipt = forget(memory._space, [999, 1_000])
    assert receipt.ids == ()
    assert receipt.generation_before == receipt.generation_after
    assert memory.count() == 30


def test_many_nodes_are_erased_in_several_transactions(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, all named in one receipt."""
    monkeypatch.setattr(module, "BATCH_NODES", 7)
    ids = [node.id for node in memory.nodes()]
    receipt = memory.forget(where={"tags": {"exists": True}})
    assert list(receipt.ids) == ids
    assert receipt.generation_after - receipt.generation_before >= 5
    assert memory.count() == 0
    assert memory.verify(full=True) == []


def test_what_another_process_forgot_meanwhile_is_passed_over(memory: Memory, vaults: Any) -> None:
    """Two erasures of one node: the second finds nothing more to do."""
    other = vaults.open().space()
    node = next(memory.nodes())
    other.forget(node.id)
    assert forget(memory._space, [1]).ids == ()


def test_nothing_of_it_is_in_any_page(memory: Memory) -> None:
    """Text, words, vector, envelopes and key are in no page, used or free, and not in the WAL."""
    database = memory._space.store.fresh.database
    with memory._space.store.read() as connection:
        rows = connection.execute("SELECT id, wrap, payload, metadata, state FROM node WHERE seq = 12").fetchall()[0]
        vector = connection.execute("SELECT data FROM vector WHERE seq = 12").fetchall()[0][0]
    assert memory.forget(rows[0].hex()).on_disk == "erased"
    image = database.connection().serialize("main")
    assert b"unique10" in image
    for piece in (b"unique11", b"t11", vector[:16], *(part[-24:] for part in rows[1:])):
        assert piece not in image
    assert database.wal_bytes() == 0
    with memory._space.store.read() as connection:
        assert not traces.are_due(connection)


def test_a_reader_that_holds_the_checkpoint_back_makes_it_pending(
    memory: Memory, vaults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receipt says so, the node is gone all the same, and a clean close finishes it."""
    monkeypatch.setattr(module, "CHECKPOINT_WAIT_MS", 20)
    other = vaults.open().space()
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        with other._space.store.read():
            ready.set()
            done.wait(30)

    reader = threading.Thread(target=hold)
    reader.start()
    ready.wait(30)
    node = next(memory.nodes())
    receipt = memory.forget(node.id)
    done.set()
    reader.join()
    assert receipt.on_disk == "pending"
    assert memory.get(node.id) is None
    path = memory._space.store.fresh.database.path
    other.vault.lock()
    memory.vault.lock()
    assert not path.with_name(path.name + "-wal").exists()
    again = vaults.open().space()
    assert b"unique0 " not in again._space.store.fresh.database.connection().serialize("main")


# -- a grace ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grace", "micros"),
    [
        (None, None),
        (timedelta(microseconds=1), 1),
        (timedelta(days=7), 604_800_000_000),
        (GRACE_MAX, 315_360_000 * 10**6),
    ],
)
def test_a_grace_is_told_in_microseconds(grace: timedelta | None, micros: int | None) -> None:
    """None for none; up to ten years."""
    assert grace_micros(grace) == micros


@pytest.mark.parametrize(
    ("error", "says", "grace"),
    [
        (TypeError, "grace is a timedelta, for example timedelta.days=7., not int", 7),
        (TypeError, "grace is a timedelta", "7 days"),
        (TypeError, "grace is a timedelta", True),
        (ValueError, "grace is above nothing and at most 3,650 days", timedelta(0)),
        (ValueError, "grace is above nothing", timedelta(days=-1)),
        (ValueError, "grace is above nothing", timedelta(days=3_650, microseconds=1)),
    ],
)
def test_a_bad_grace_is_refused(memory: Memory, error: type[Exception], says: str, grace: Any) -> None:
    """Before anything is hidden, and in a dry run too."""
    node = next(memory.nodes())
    for dry_run in (False, True):
        with pytest.raises(error, match=says):
            memory.forget(node.id, grace=grace, dry_run=dry_run)
    assert memory.get(node.id) == node


def test_a_node_with_a_grace_is_hidden_until_it_ends(memory: Memory, clock: FixedClock) -> None:
    """The receipt says when; nothing is erased before."""
    node = next(memory.nodes())
    before = memory._space.store.freshness()
    receipt = memory.forget(node.id, grace=timedelta(days=7))
    after = memory._space.store.freshness()
    assert (receipt.ids, receipt.on_disk, receipt.dry_run) == ((node.id,), "hidden", False)
    assert datetime.fromisoformat(receipt.due or "") - datetime.fromisoformat(receipt.at) == timedelta(days=7)
    assert (receipt.generation_before, receipt.generation_after) == (before.generation, after.generation)
    assert receipt.digest == f"{after.digest:064x}"
    assert memory.get(node.id) is None
    assert memory.count() == 29
    assert node.id not in [hit.id for hit in memory.recall("unique0 words", k=30)]
    assert list(memory.nodes(hidden=True)) == [node]
    with memory._space.read() as connection:
        assert connection.execute("SELECT count(*) FROM tombstone").fetchall() == [(0,)]
        event = list(audit.events(connection, memory._space.store.sealer))[-1]
    assert (event.verb, set(event.facts)) == ("nodes hidden", {"count", "due"})
    assert memory.verify(full=True) == []


def test_a_dry_run_of_a_grace_hides_nothing(memory: Memory) -> None:
    """It names the nodes and the end."""
    node = next(memory.nodes())
    receipt = memory.forget(node.id, grace=timedelta(days=7), dry_run=True)
    assert (receipt.ids, receipt.dry_run, receipt.generation_after) == ((node.id,), True, receipt.generation_before)
    assert receipt.due is not None
    assert memory.get(node.id) == node


def test_the_earlier_of_two_ends_counts(memory: Memory, clock: FixedClock) -> None:
    """A second grace never puts off the first; without one a hidden node is destroyed at once."""
    node = next(memory.nodes())

    def ends() -> int:
        with memory._space.read() as connection:
            (data,) = connection.execute("SELECT data FROM facet WHERE seq = 1").fetchall()[0]
        return Facets.unpack(data).expires

    memory.forget(node.id, grace=timedelta(days=7))
    first = ends()
    memory.forget(node.id, grace=timedelta(days=9))
    assert ends() == first
    memory.forget(node.id, grace=timedelta(days=1))
    assert ends() < first
    assert memory.forget(node.id).on_disk == "erased"
    assert list(memory.nodes(hidden=True)) == []


def test_keeping_undoes_a_grace(memory: Memory, clock: FixedClock) -> None:
    """For good: when the end would have come, the node is still there."""
    node = next(memory.nodes())
    memory.forget(node.id, grace=timedelta(days=1))
    assert memory.keep(node.id[:10]) == node
    clock.advance(100_000)
    assert memory.get(node.id) == node
    assert memory.recall("unique0 words")[0].id == node.id


def test_forgetting_by_a_filter_reaches_hidden_ones(memory: Memory) -> None:
    """And takes them along at once, or gives them a grace too."""
    node = next(memory.nodes())
    memory.hide(node.id)
    assert memory.forget(where={"tags": "t0"}, grace=timedelta(days=1)).ids == (node.id,)
    assert memory.forget(where={"tags": "t0"}).ids == (node.id,)


# -- hiding -----------------------------------------------------------------------------------------------------------


def test_hidden_nodes_come_back_as_they_were(memory: Memory) -> None:
    """Out of every answer, then in it again; nothing is destroyed, and twice is once."""
    node = next(memory.nodes())
    assert memory.hide(node.id) == memory.hide(node.id[:12]) == node
    assert memory.get(node.id) is None
    with pytest.raises(NotFoundError, match="there is no node"):
        memory.history(node.id)
    assert memory.recall("unique0", lanes=["lexical"]) == []
    assert "unique0 " not in memory.context("unique0").text
    generation = memory._space.store.freshness().generation
    memory.hide(node.id)
    with memory._space.read() as connection:
        events = [event.verb for event in audit.events(connection, memory._space.store.sealer)]
    assert events == ["node hidden"]
    assert memory.keep(node.id) == memory.keep(node.id) == memory.get(node.id) == node
    assert memory.recall("unique0", lanes=["lexical"])[0].id == node.id
    assert memory._space.store.freshness().generation > generation
    memory.rebuild()
    assert memory.get(node.id) == node


def test_hiding_survives_a_rebuild_and_another_opening(memory: Memory, vaults: Any) -> None:
    """It stands in the node's state."""
    node = next(memory.nodes())
    memory.hide(node.id)
    memory.rebuild()
    memory.vault.lock()
    again = vaults.open().space()
    assert again.get(node.id) is None
    assert again.keep(node.id) == node


def test_a_hidden_version_supersedes_nothing(vault: Vault) -> None:
    """The one before holds again until it is kept, by its ref too."""
    memory = vault.space()
    old = memory.remember("a walrus sleeps", ref=("w",))
    new = memory.supersede(old.id, "a walrus wakes")
    memory.hide(ref=("w",))
    assert [hit.id for hit in memory.recall("walrus")] == [old.id]
    assert memory.get(ref=("w",)) == old
    assert memory.keep(ref=("w",)).id == new.id
    assert [hit.id for hit in memory.recall("walrus")] == [new.id]


def test_an_expired_node_stays_expired(memory: Memory, clock: FixedClock) -> None:
    """Keeping undoes a hiding, not an end that its owner set."""
    node = memory.remember("soon over", expires_at=clock.moment + timedelta(hours=1))
    memory.hide(node.id)
    clock.advance(7_200)
    assert memory.keep(node.id).id == node.id
    assert memory.get(node.id) is None


@pytest.mark.parametrize("verb", ["hide", "keep"])
def test_what_is_not_in_the_view_is_neither_hidden_nor_kept(memory: Memory, verb: str) -> None:
    """NotFoundError, and nothing is changed."""
    node = memory.remember("x", user="bo", ref=("bo",))
    ada = memory.view(user="ada")
    for given in ({"node_id": node.id}, {"ref": ("bo",)}, {"node_id": "0" * 64}, {"ref": ("nothing",)}):
        with pytest.raises(NotFoundError, match="there is no node"):
            getattr(ada, verb)(**given)
    with pytest.raises(ReadOnlyError, match="only reads"):
        getattr(memory.view(read_only=True), verb)(node.id)
    assert memory.get(node.id) == node


# -- what was derived -------------------------------------------------------------------------------------------------


@pytest.fixture
def chain(vault: Vault) -> tuple[Memory, list[Node]]:
    """A node, a summary of it, a summary of that one by somebody else, and one that is only about it."""
    memory = vault.space()
    nodes = [memory.remember("source", user="ada")]
    nodes.append(memory.remember("summary", user="ada", links=[Link("derived_from", nodes[0].id)]))
    nodes.append(memory.remember("of the summary", user="bo", links=[Link("derived_from", nodes[1].id)]))
    nodes.append(memory.remember("about it", user="ada", links=[Link("about", nodes[0].id)]))
    return memory, nodes


def test_what_was_derived_goes_along(chain: tuple[Memory, list[Node]]) -> None:
    """At first hand and along a chain; what has other links stays."""
    memory, nodes = chain
    assert memory.forget(nodes[0].id, dry_run=True).ids == (nodes[0].id,)
    assert memory.forget(nodes[1].id, derived=True, dry_run=True).ids == tuple(node.id for node in nodes[1:3])
    receipt = memory.forget(nodes[0].id, derived=True)
    assert receipt.ids == tuple(node.id for node in nodes[:3])
    assert [node.text for node in memory.nodes()] == ["about it"]


def test_a_view_takes_along_what_it_sees(chain: tuple[Memory, list[Node]]) -> None:
    """Somebody else's is not reached, nor anything through it."""
    memory, nodes = chain
    further = memory.remember("of theirs", user="ada", links=[Link("derived_from", nodes[2].id)])
    assert memory.view(user="ada").forget(nodes[0].id, derived=True).ids == (nodes[0].id, nodes[1].id)
    assert {node.id for node in memory.nodes()} == {nodes[2].id, nodes[3].id, further.id}


def test_a_grace_may_be_given_to_all_of_them(chain: tuple[Memory, list[Node]]) -> None:
    """And each may be kept by itself."""
    memory, nodes = chain
    memory.forget(nodes[0].id, derived=True, grace=timedelta(days=1))
    assert [node.text for node in memory.nodes()] == ["about it"]
    memory.keep(nodes[1].id)
    assert [node.text for node in memory.nodes()] == ["summary", "about it"]


# -- refs and views ---------------------------------------------------------------------------------------------------


def test_all_versions_of_a_ref_are_forgotten(vault: Vault) -> None:
    """Whatever became of them; refs below it stay."""
    memory = vault.space()
    ids = [memory.remember(f"{number}", ref=("a",)).id for number in range(3)]
    memory.remember("below", ref=("a", "b"))
    memory.hide(ids[2])
    assert memory.forget(ref=("a",)).ids == tuple(ids)
    assert memory.refs() == [("a", "b")]
    with pytest.raises(NotFoundError, match=r"there is no node \('a',\)"):
        memory.forget(ref=("a",))


def test_a_subtree_is_forgotten(vault: Vault) -> None:
    """A prefix with all that is below, beside a filter if one is given; nothing there is an empty receipt."""
    memory = vault.space()
    for ref in (("a",), ("a", "1"), ("a", "2"), ("ab",)):
        memory.remember(ref[-1], ref=ref, tags=["odd"] if ref[-1] == "1" else [])
    assert len(memory.forget(under=("a",), where={"tags": "odd"}).ids) == 1
    assert len(memory.forget(under=("a",)).ids) == 2
    assert memory.forget(under=("a",)).ids == ()
    assert memory.refs() == [("ab",)]


def test_a_view_forgets_its_own(vault: Vault) -> None:
    """By id, ref, prefix and filter: never what it does not see, and all of it when asked by its own fields."""
    memory = vault.space()
    mine = [memory.remember(f"mine {number}", user="ada", ref=("r", f"{number}")) for number in range(3)]
    theirs = memory.remember("theirs", user="bo", ref=("r", "theirs"))
    ada = memory.view(user="ada")
    for given in ({"node_id": theirs.id}, {"ref": ("r", "theirs")}):
        with pytest.raises(NotFoundError, match="there is no node"):
            ada.forget(**given)
    with pytest.raises(ValueError, match="this view is of user 'ada'"):
        ada.forget(user="bo")
    with pytest.raises(ValueError, match="that is not empty"):
        ada.forget()
    assert ada.forget(under=("r", "0")).ids == (mine[0].id,)
    assert ada.forget(where={"text": {"contains": "mine 1"}}).ids == (mine[1].id,)
    assert ada.forget(user="ada").ids == (mine[2].id,)
    assert [node.id for node in memory.nodes()] == [theirs.id]


def test_what_is_current_again_is_named_where_it_is_seen(vault: Vault) -> None:
    """A receipt tells a view nothing of others' nodes."""
    memory = vault.space()
    old = memory.remember("old", user="bo")
    new = memory.remember("new", user="ada", links=[Link("supersedes", old.id)])
    assert memory.view(user="ada").forget(new.id).current_again == ()
    again = memory.remember("again", user="ada", links=[Link("supersedes", old.id)])
    assert memory.forget(again.id).current_again == (old.id,)
