"""Upkeep forgets what has expired or whose grace is over, where the times of storing agree."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mimir_vault import Draft, Memory, Vault
from mimir_vault import upkeep as module
from mimir_vault.open_space import OpenSpace
from mimir_vault.store import audit
from mimir_vault.testing import FixedClock
from mimir_vault.upkeep import Upkeep

DAY = timedelta(days=1)


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """An empty space."""
    return vault.space()


@pytest.fixture
def space(memory: Memory) -> OpenSpace:
    """What is behind it."""
    return memory._space.space


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no thread: upkeep is done when a test says so, and at close."""
    monkeypatch.setattr(Upkeep, "wrote", lambda _: None)


def eventually(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.01)


def stored(space: OpenSpace) -> int:
    """Return how many nodes there are, hidden and expired ones too."""
    with space.read() as connection:
        return int(connection.execute("SELECT count(*) FROM node").fetchall()[0][0])


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("way", ["expires", "grace"])
def test_what_has_ended_is_forgotten(memory: Memory, space: OpenSpace, clock: FixedClock, way: str) -> None:
    """Once another node was stored after that moment; with a tombstone and an event, as if forgotten by hand."""
    keep = memory.remember("stays", expires_at=clock.moment + 9 * DAY)
    node = memory.remember("ends", expires_at=clock.moment + DAY if way == "expires" else None)
    if way == "grace":
        memory.forget(node.id, grace=DAY)
    space.upkeep._purge()
    assert stored(space) == 2
    clock.advance(90_000)
    memory.remember("later")
    space.upkeep._purge()
    assert [one.text for one in memory.nodes()] == ["stays", "later"]
    with space.read() as connection:
        assert connection.execute("SELECT id FROM tombstone").fetchall() == [(bytes.fromhex(node.id),)]
        event = list(audit.events(connection, space.store.sealer))[-1]
    assert (event.verb, event.facts) == ("nodes expired", {"count": 1, "ids": [bytes.fromhex(node.id)]})
    assert memory.get(keep.id) == keep
    assert memory.verify(full=True) == []


@pytest.mark.usefixtures("by_hand")
def test_a_clock_that_jumps_ahead_deletes_nothing(memory: Memory, space: OpenSpace, clock: FixedClock) -> None:
    """What it hides is there again when it is set right: only the moments of storing decide."""
    node = memory.remember("ends tomorrow", expires_at=clock.moment + DAY)
    graced = memory.remember("graced")
    memory.forget(graced.id, grace=DAY)
    clock.advance(1_000_000)
    space.upkeep._purge()
    assert memory.get(node.id) is None
    assert stored(space) == 2
    clock.advance(-1_000_000)
    assert memory.get(node.id) == node
    assert memory.keep(graced.id) == graced


@pytest.mark.usefixtures("by_hand")
def test_a_clock_that_went_back_deletes_nothing(memory: Memory, space: OpenSpace, clock: FixedClock) -> None:
    """A node that was stored while it ran ahead is no proof of the present."""
    clock.advance(1_000_000)
    memory.remember("stored ahead")
    clock.advance(-1_000_000)
    node = memory.remember("ends tomorrow", expires_at=clock.moment + DAY)
    space.upkeep._purge()
    assert memory.get(node.id) == node


@pytest.mark.usefixtures("by_hand")
def test_what_ends_just_now_has_ended(memory: Memory, space: OpenSpace, clock: FixedClock) -> None:
    """At the very moment of the newest node; a microsecond later it has not."""
    micro = timedelta(microseconds=1)
    first = memory.remember("first")
    clock.advance(-1_000)  # So that each node is stored a microsecond after the one before.
    memory.remember("over", expires_at=first.recorded_at + 2 * micro)
    newest = memory.remember("not yet", expires_at=first.recorded_at + 3 * micro)
    assert newest.recorded_at == first.recorded_at + 2 * micro
    clock.advance(2_000)
    space.upkeep._purge()
    assert stored(space) == 2


@pytest.mark.usefixtures("by_hand")
def test_nothing_of_it_is_left_in_the_file(memory: Memory, space: OpenSpace) -> None:
    """Its text, its words and the names that went with it."""
    memory.remember_many([Draft(f"unique{number} words", user=f"owner{number}") for number in range(40)])
    memory.remember("unique77 words", user="owner77", tags=["tag77"], expires_at="2020-01-01T00:00Z")
    memory.remember("later")
    assert b"owner77" in space.store.fresh.database.connection().serialize("main")
    space.upkeep._purge()
    image = space.store.fresh.database.connection().serialize("main")
    for piece in (b"unique77", b"owner77", b"tag77"):
        assert piece not in image
    assert b"owner7" in image
    assert space.store.fresh.database.wal_bytes() == 0


@pytest.mark.usefixtures("by_hand")
def test_the_names_that_went_are_looked_for_too(
    memory: Memory, space: OpenSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are taken out of their table at the commit, after everything else."""
    looked: list[set[bytes]] = []
    monkeypatch.setattr(
        type(space.store.fresh), "remove_traces", lambda _, traces, wait_ms: looked.append(set(traces or ())) or True
    )
    memory.remember("unique77 words", user="owner77", expires_at="2020-01-01T00:00Z")
    memory.remember("later")
    space.upkeep._purge()
    monkeypatch.undo()
    assert {b"unique77", b"owner77"} <= looked[0]


@pytest.mark.usefixtures("by_hand")
def test_many_are_forgotten_in_several_transactions(
    memory: Memory, space: OpenSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None holds the lock for long."""
    monkeypatch.setattr("mimir_vault.erasing.BATCH_NODES", 3)
    memory.remember_many([Draft(f"{number}", expires_at="2020-01-01T00:00Z") for number in range(10)])
    memory.remember("later")
    before = space.store.freshness().generation
    space.upkeep._purge()
    assert stored(space) == 1
    assert space.store.freshness().generation >= before + 4
    assert memory.verify(full=True) == []


@pytest.mark.usefixtures("by_hand")
def test_only_who_holds_the_lease_forgets(memory: Memory, space: OpenSpace, clock: FixedClock) -> None:
    """Another process will, or this one later."""
    memory.remember("over", expires_at="2020-01-01T00:00Z")
    other = Upkeep(space.store, space.index, clock)
    assert other._take_lease()
    space.upkeep._purge()
    assert stored(space) == 1
    clock.advance(40)
    space.upkeep._purge()
    assert stored(space) == 0


def test_a_space_at_rest_forgets_by_itself(memory: Memory, space: OpenSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the background, a while after the last write."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    memory.remember("over", expires_at="2020-01-01T00:00Z")
    eventually(lambda: stored(space) == 0)
    assert memory.count() == 0


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("used", [False, True])
def test_closing_forgets_where_the_index_is_there_already(memory: Memory, vaults: Any, used: bool) -> None:
    """It is not made for that alone: closing must not take long. The next one who searches will."""
    memory.remember("over", expires_at="2020-01-01T00:00Z")
    if used:
        memory.recall("over")
    memory.vault.lock()
    assert stored(vaults.open().space()._space.space) == (0 if used else 1)
