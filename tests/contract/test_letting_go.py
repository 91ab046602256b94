"""What the contract says of letting go: hide, forget, grace, keep, expire and erase, and what a receipt says."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import Draft, Link, Memory, Receipt, Vault
from mimir_vault.testing import FixedClock
from quick_vaults import QuickVaults

DAY = 86_400


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """The one space of an empty vault."""
    return vault.space()


def texts(found: Any) -> list[str]:
    """Return the texts of nodes or hits."""
    return [one.text for one in found]


def everything(memory: Memory) -> list[str]:
    """Return the texts of all nodes that a space still holds, hidden and expired ones too."""
    with memory._space.read() as connection:
        seqs = [row[0] for row in connection.execute("SELECT seq FROM node ORDER BY seq")]
        return [one.payload.text for one in memory._space.opened(connection, seqs).values()]


# -- the five ways ----------------------------------------------------------------------------------------------------


def test_superseding_keeps_and_hiding_can_be_undone(memory: Memory) -> None:
    """Both leave the answers and neither is gone: history has the one, `keep` brings the other back."""
    old, other = memory.remember("aisle"), memory.remember("a walrus")
    new = memory.supersede(old.id, "window")
    assert memory.hide(other.id).id == other.id
    assert texts(memory.recall("aisle window walrus")) == ["window"]
    assert [node.id for node in memory.history(new.id)] == [new.id, old.id]
    assert memory.keep(other.id) == other
    assert sorted(texts(memory.recall("aisle window walrus"))) == ["a walrus", "window"]
    assert memory.keep(other.id) == other


def test_forgetting_destroys_for_ever(memory: Memory, vaults: QuickVaults) -> None:
    """No verb brings it back, nothing of it is in the space any more, also after a new opening."""
    node = memory.remember("a secret walrus", ref=("w",), tags=["unheard-of"], speaker="Zephyrine")
    receipt = memory.forget(node.id)
    assert receipt.on_disk == "erased"
    with pytest.raises(mimir.NotFoundError):
        memory.keep(node.id)
    path = memory.vault.path
    memory.vault.lock()
    memory = vaults.open(path).space()
    assert (memory.get(node.id), memory.get(ref=("w",)), memory.count(), everything(memory)) == (None, None, 0, [])
    assert memory.verify(full=True) == []


def test_an_expired_node_is_out_of_answers_at_once_and_then_forgotten(vaults: QuickVaults, clock: FixedClock) -> None:
    """By the upkeep, once something newer was stored; no clock that goes back brings it up again."""
    memory = vaults.create(clock=clock).space()
    node = memory.remember("the gate is B7", expires_at=clock.moment + timedelta(days=1), ref=("gate",))
    clock.advance(2 * DAY)
    assert (memory.count(), everything(memory)) == (0, ["the gate is B7"])
    with pytest.raises(mimir.NotFoundError):
        memory.supersede(node.id, "the gate is B8")
    memory.remember("we have landed")
    memory._space.upkeep._purge()
    assert everything(memory) == ["we have landed"]
    clock.advance(-2 * DAY)
    assert (texts(memory.nodes()), memory.get(ref=("gate",))) == (["we have landed"], None)
    assert memory.verify(full=True) == []


def test_closing_forgets_what_has_expired(vaults: QuickVaults, clock: FixedClock) -> None:
    """A program that runs for a moment only leaves it to nobody else."""
    memory = vaults.create(clock=clock).space()
    memory.remember("the gate is B7", expires_at=clock.moment + timedelta(days=1))
    clock.advance(2 * DAY)
    memory.remember("we have landed")
    assert memory.recall("gate", lanes=["lexical"]) == []
    memory.vault.lock()
    assert everything(vaults.open().space()) == ["we have landed"]


def test_a_clock_that_jumps_ahead_forgets_nothing(vaults: QuickVaults, clock: FixedClock) -> None:
    """As long as nothing was stored at that time, what has expired is only hidden."""
    memory = vaults.create(clock=clock).space()
    memory.remember("the gate is B7", expires_at=clock.moment + timedelta(days=1))
    clock.advance(20 * DAY)
    memory._space.upkeep._purge()
    clock.advance(-20 * DAY)
    assert texts(memory.nodes()) == ["the gate is B7"]


@pytest.mark.parametrize("gone", ["hidden", "expired", "in a grace", "forgotten"])
def test_a_newest_version_that_is_gone_gives_its_place_to_the_one_before(
    memory: Memory, clock: FixedClock, gone: str
) -> None:
    """For recall, context, get by ref, refs and history alike, however it went."""
    ref = ("meeting",)
    older = memory.remember("at three", ref=ref)
    newer = memory.remember("at four", ref=ref, expires_at=clock.moment + timedelta(1) if gone == "expired" else None)
    assert memory.get(ref=ref) == newer
    if gone == "expired":
        clock.advance(2 * DAY)
    elif gone == "hidden":
        memory.hide(ref=ref)
    else:
        memory.forget(newer.id, grace=timedelta(7) if gone == "in a grace" else None)
    found = memory.get(ref=ref)
    assert found is not None
    assert found.id == older.id
    assert memory.refs() == [ref]
    assert texts(memory.recall("at three four")) == texts(memory.context().hits) == ["at three"]
    assert texts(memory.history(older.id)) == ["at three"]
    assert (found.superseded_by, memory.recall("at three")[0].node.superseded_by) == (None, None)
    if gone in ("hidden", "in a grace"):
        assert memory.keep(ref=ref) == newer == memory.get(ref=ref)


@pytest.mark.parametrize("gone", ["hidden", "expired", "forgotten"])
def test_what_came_between_and_is_gone_supersedes_nothing_by_itself(
    memory: Memory, clock: FixedClock, gone: str
) -> None:
    """The newest version does, through it: an old fact does not come back, and names what took its place."""
    three = memory.remember("at three")
    four = memory.supersede(three.id, "at four", expires_at=clock.moment + timedelta(1) if gone == "expired" else None)
    five = memory.supersede(four.id, "at five", expires_at=None)
    if gone == "expired":
        clock.advance(2 * DAY)
    elif gone == "hidden":
        memory.hide(four.id)
    else:
        memory.forget(four.id)
    assert texts(memory.recall("at three four five")) == texts(memory.context().hits) == ["at five"]
    assert texts(memory.history(five.id)) == ["at five", "at three"]
    assert [node.superseded_by for node in memory.nodes()] == [five.id, None]


def test_erasing_forgets_a_whole_space(vaults: QuickVaults) -> None:
    """Its keys first, then its file; memories of it are closed."""
    vault = vaults.create()
    work = vault.create_space("work")
    work.remember("a memo")
    vault.erase_space("work")
    assert [space.name for space in vault.spaces()] == ["main"]
    assert len(list((vault.path / "spaces").glob("*.db"))) == 1
    with pytest.raises(mimir.LockedError):
        work.count()
    with pytest.raises(mimir.NotFoundError):
        vault.space("work")


# -- forget -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(memory: Memory) -> Memory:
    """Six nodes: two versions of a ref, one more below the same prefix, one of another user, and two made of them."""
    first = memory.remember("one", ref=("docs", "a"))
    memory.remember("two", ref=("docs", "a"))
    memory.remember("three", ref=("docs", "b"), tags=["t"])
    memory.remember("four", user="bo", session="s")
    made = memory.remember("five", links=[Link("derived_from", first.id)])
    memory.remember("six", links=[Link("derived_from", made.id)])
    return memory


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        ({"ref": ("docs", "a")}, ["one", "two"]), ({"under": ("docs",)}, ["one", "two", "three"]),
        ({"where": {"tags": "t"}}, ["three"]), ({"user": "bo"}, ["four"]), ({"session": "s"}, ["four"]),
        ({"agent": "nobody"}, []), ({"under": ("docs",), "where": {"tags": "t"}}, ["three"]),
        ({"ref": ("docs", "a"), "derived": True}, ["one", "two", "five", "six"]),
        ({"where": {"text": {"in": ["one", "four"]}}, "user": "bo"}, ["four"]),
    ],
)  # fmt: skip
def test_what_forget_takes(shelf: Memory, given: dict[str, Any], gone: list[str]) -> None:
    """A ref with all its versions, a prefix, a filter; with `derived` what was made of it, along the chain. A dry run
    names the same nodes and changes nothing."""
    by_id = {node.id: node.text for node in shelf.nodes()}
    before = texts(shelf.nodes())
    plan = shelf.forget(**given, dry_run=True)
    assert ([by_id[one] for one in plan.ids], plan.dry_run, texts(shelf.nodes())) == (gone, True, before)
    receipt = shelf.forget(**given)
    assert (receipt.ids, receipt.dry_run) == (plan.ids, False)
    assert texts(shelf.nodes()) == [text for text in before if text not in gone]


@pytest.mark.parametrize(
    "given",
    [
        {}, {"where": {}}, {"where": {"and": [{}]}}, {"under": ()}, {"user": None}, {"dry_run": True},
        {"derived": True}, {"grace": timedelta(1)}, {"node_id": "abcdef0123"}, {"node_id": ""},
        {"ref": ("docs", "a"), "user": "bo"}, {"ref": ("docs", "a"), "under": ("docs",)},
        {"user": "bo", "node_id": "a" * 64},
        {"user": "bo", "grace": timedelta(0)}, {"user": "bo", "grace": timedelta(days=-1)},
    ],
)  # fmt: skip
def test_what_is_not_said_clearly_is_a_value_error(shelf: Memory, given: dict[str, Any]) -> None:
    """Whole ids only, one way to name nodes, no empty filter, a grace that is one."""
    with pytest.raises(ValueError, match=r"forget|filter|under|grace|ids"):
        shelf.forget(**given)
    assert shelf.count() == 6


@pytest.mark.parametrize("given", [{}, {"where": {}}, {"where": None}, {"under": ()}, {"dry_run": True}])
def test_what_a_view_fixes_is_no_filter_that_was_given(shelf: Memory, given: dict[str, Any]) -> None:
    """In a view too, nothing is forgotten by having said nothing."""
    view = shelf.view(user="bo", session="s")
    with pytest.raises(ValueError, match=r"filter|under"):
        view.forget(**given)
    assert (view.count(), shelf.count()) == (1, 6)


def test_a_receipt_says_what_is_gone_and_what_is_out_of_reach(shelf: Memory, clock: FixedClock) -> None:
    """Whole ids, when, between which generations, the digest afterwards, what became current again, the copies."""
    node = shelf.get(ref=("docs", "a"))
    assert node is not None
    older = shelf.history(node.id)[1]
    receipt = shelf.forget(node.id)
    assert isinstance(receipt, Receipt)
    assert (receipt.ids, receipt.current_again, receipt.on_disk) == ((node.id,), (older.id,), "erased")
    assert (receipt.due, receipt.dry_run) == (None, False)
    assert datetime.fromisoformat(receipt.at).utcoffset() == timedelta(0)
    assert receipt.generation_after > receipt.generation_before
    assert receipt.digest != shelf.forget(older.id).digest
    assert "Copies and backups" in receipt.out_of_reach


def test_a_grace_hides_now_and_forgets_later(memory: Memory, clock: FixedClock) -> None:
    """The receipt says when; until then `keep` undoes it, afterwards nothing does."""
    kept, gone = memory.remember("to be kept"), memory.remember("to be gone")
    receipt = memory.forget(where={"text": {"contains": "to be"}}, grace=timedelta(days=7))
    assert receipt.on_disk == "hidden"
    assert receipt.due is not None
    assert datetime.fromisoformat(receipt.due) - datetime.fromisoformat(receipt.at) == timedelta(days=7)
    assert (memory.count(), memory.recall("to be"), memory.get(gone.id)) == (0, [], None)
    assert texts(memory.nodes(hidden=True)) == ["to be kept", "to be gone"]
    clock.advance(6 * DAY)
    memory._space.upkeep._purge()
    assert memory.keep(kept.id) == kept
    clock.advance(2 * DAY)
    memory.remember("something newer")
    memory._space.upkeep._purge()
    assert everything(memory) == ["to be kept", "something newer"]
    with pytest.raises(mimir.NotFoundError):
        memory.keep(gone.id)


# -- movement ---------------------------------------------------------------------------------------------------------


def test_an_import_is_idempotent_by_ref_and_says_how_to_undo_it(memory: Memory) -> None:
    """`metadata.import_id` is written; the same lines again store nothing; the undoing takes just what came."""
    memory.remember("was here")
    lines = '{"text": "one", "ref": ["a"]}\n{"text": "two", "at": "2026-05-01T09:00Z"}\n{"text": "three"}\n'
    done = memory.import_from(io.StringIO(lines), import_id="mine")
    again = memory.import_from(io.StringIO(lines), import_id="mine")
    assert ((done.stored, done.known), (again.stored, again.known)) == ((3, 0), (0, 3))
    assert [node.metadata["import_id"] for node in memory.nodes({"metadata.import_id": "mine"})] == ["mine"] * 3
    memory.remember("one more", ref=("a",))
    receipt = memory.forget(where=done.undo)
    assert len(receipt.ids) == 3
    assert texts(memory.nodes()) == ["was here", "one more"]


def test_what_is_exported_is_imported_as_it_was(memory: Memory, vaults: QuickVaults) -> None:
    """JSON Lines hold every field: another vault that reads them has the same nodes, by the same refs."""
    nodes = memory.remember_many(
        [
            Draft(
                "one", speaker="Ada", role="user", user="ada", agent="a", session="s", tags=["t"], metadata={"n": [1]}
            ),
            Draft(
                "two", ref=("r",), data=b"\x00\xff", pinned=True, at="2026-05-01T09:00+02:00", kind="fact", role="user"
            ),
        ]
    )
    file = io.StringIO()
    assert memory.export_to(file, format="jsonl") == 2
    other = vaults.create("other").space()
    assert other.import_from(io.StringIO(file.getvalue())).stored == 2
    names = ["text", "speaker", "role", "user", "agent", "session", "kind", "at", "tags", "data", "pinned"]
    for old, new in zip(nodes, other.nodes(), strict=True):
        assert {name: getattr(new, name) for name in names} == {name: getattr(old, name) for name in names}
    assert texts([found for found in [other.get(ref=("r",))] if found]) == ["two"]
