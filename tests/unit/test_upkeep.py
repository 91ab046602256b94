"""Upkeep: what is due is done in the background or at once, by one process, and ends when it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from mimir_vault import Draft, Memory, Vault
from mimir_vault import upkeep as module
from mimir_vault.errors import MimirError, TamperedError
from mimir_vault.open_space import OpenSpace
from mimir_vault.store import vectors, words
from mimir_vault.store.freshness import last_check
from mimir_vault.testing import FixedClock
from mimir_vault.upkeep import Upkeep


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


@pytest.fixture
def few(by_hand: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let twenty vectors be many, so that the sketch is made in tests."""
    for name in ("upkeep", "space_index", "index.planner", "status"):
        monkeypatch.setattr(f"mimir_vault.{name}.EXACT_VECTORS_MAX", 20)
    monkeypatch.setattr(module, "SAVE_CHANGES", 30)
    monkeypatch.setattr(module, "SAVE_AT_CLOSE", 10)


def eventually(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.01)


def drafts(count: int, start: int = 0) -> list[Draft]:
    """Return drafts with a word of their own each."""
    return [Draft(f"word{number} stands in turn {number}") for number in range(start, start + count)]


def merged_through(space: OpenSpace) -> int:
    """Return the seq up to which postings are written."""
    with space.store.read() as connection:
        return words.through(connection)


def saved_sketch(space: OpenSpace) -> int | None:
    """Return the vid that the saved sketch reaches to."""
    with space.store.read() as connection:
        saved = vectors.load_sketch(connection, 1, module.SKETCH_VERSION)
    return None if saved is None else saved[0]


# -- the thread -------------------------------------------------------------------------------------------------------


def test_the_thread_begins_with_the_first_write_and_ends_with_the_space(memory: Memory, space: OpenSpace) -> None:
    """Reading starts none; closing waits for it no longer than its present work takes."""
    memory.count()
    assert space.upkeep._thread is None
    memory.remember("x")
    thread = space.upkeep._thread
    assert thread is not None
    assert thread.daemon
    memory.remember("y")
    assert space.upkeep._thread is thread
    memory.vault.lock()
    assert not thread.is_alive()


def test_closing_never_waits_for_the_idle_time(vaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the stop comes, between the steps of the thread too, it is heard: with an idle time of a minute."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 60.0)
    vaults.create().lock()
    begin = time.monotonic()
    for _ in range(12):
        vault = vaults.open()
        vault.space().remember("x")
        vault.lock()
    assert time.monotonic() - begin < 40


def test_a_stopped_upkeep_is_not_started_again(space: OpenSpace) -> None:
    """A write that ends after the stop leaves no thread behind."""
    upkeep = Upkeep(space.store, space.index, space.clock)
    upkeep.stop()
    upkeep.wrote()
    assert upkeep._thread is None
    upkeep.stop()


def test_after_a_while_without_writes_the_wal_is_moved_into_the_file(
    memory: Memory, space: OpenSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what a crash leaves behind is little; then the thread sleeps until the next write."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    database = space.store.fresh.database
    memory.remember("x")
    eventually(lambda: database.wal_bytes() == 0 and space.upkeep._last_write == 0.0)
    memory.remember("y")
    eventually(lambda: database.wal_bytes() == 0 and space.upkeep._last_write == 0.0)


def test_trouble_of_the_upkeep_is_put_off(memory: Memory, space: OpenSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy file or a full disk ends neither the thread nor the closing."""
    runs: list[int] = []

    def fail(**_: Any) -> None:
        runs.append(1)
        raise MimirError("busy")

    monkeypatch.setattr(space.upkeep, "run_now", fail)
    memory.remember("x")
    eventually(lambda: len(runs) >= 1)
    memory.remember("y")
    eventually(lambda: len(runs) >= 2)
    memory.vault.lock()
    assert len(runs) >= 3


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("by_hand")
def test_words_are_merged_when_the_tail_is_long(
    memory: Memory, space: OpenSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before; every word is found before and after."""
    monkeypatch.setattr(module, "WORDS_TAIL_MAX", 10)
    memory.remember_many(drafts(9))
    space.upkeep.run_now()
    assert merged_through(space) == 0
    assert memory.recall("word4", lanes=["lexical"])[0].text.startswith("word4 ")
    memory.remember_many(drafts(3, start=9))
    space.upkeep.run_now()
    assert merged_through(space) == 12
    for number in (0, 4, 11):
        assert memory.recall(f"word{number}", lanes=["lexical"])[0].text.startswith(f"word{number} ")


@pytest.mark.usefixtures("by_hand")
def test_only_who_holds_the_lease_does_the_upkeep(
    memory: Memory, space: OpenSpace, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process's lease is waited for, until it gave no sign of life for half a minute."""
    monkeypatch.setattr(module, "WORDS_TAIL_MAX", 1)
    other = Upkeep(space.store, space.index, clock)
    assert other._take_lease()
    assert other._take_lease()
    memory.remember("x")
    space.upkeep.run_now()
    assert merged_through(space) == 0
    clock.advance(40)
    space.upkeep.run_now()
    assert merged_through(space) == 1
    assert not other._take_lease()


def test_a_reader_does_no_upkeep(vaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault opened to read writes nothing."""
    vault = vaults.create()
    vault.space().remember("x")
    vault.lock()
    monkeypatch.setattr(module, "WORDS_TAIL_MAX", 0)
    space = vaults.open(read_only=True).space()._space.space
    space.upkeep.run_now()
    space.upkeep.wrote()
    assert space.upkeep._thread is None


# -- the sketch -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few")
def test_many_vectors_become_a_sketch_that_is_saved(memory: Memory, space: OpenSpace, vaults: Any) -> None:
    """Made when there are many, saved after enough changes, taken up at the next opening, added to after that."""
    memory.remember_many(drafts(20))
    space.upkeep.run_now()
    assert saved_sketch(space) is None
    memory.remember_many(drafts(20, start=20))
    space.upkeep.run_now()
    dense = space.index.dense[1]
    assert dense.sketch is not None
    assert (dense.count, dense.through, dense.unsaved) == (40, 40, 0)
    assert saved_sketch(space) == 40
    assert memory.recall("word33 turn 33", lanes=["dense"])[0].text.startswith("word33 ")
    memory.remember_many(drafts(15, start=40))
    assert memory.recall("word50 turn 50", lanes=["dense"])[0].text.startswith("word50 ")
    memory.vault.lock()
    again = vaults.open().space()
    assert saved_sketch(again._space.space) == 55
    assert again.recall("word50 turn 50", lanes=["dense"])[0].text.startswith("word50 ")
    dense = again._space.index.dense[1]
    assert dense.sketch is not None
    assert dense.unsaved == 0
    assert again.verify(full=True) == []


@pytest.mark.usefixtures("few")
def test_mean_and_rotation_are_fixed_once(memory: Memory, space: OpenSpace) -> None:
    """The first sketch of a model decides, whichever process made it."""
    memory.remember_many(drafts(30))
    space.upkeep.run_now()
    with space.store.read() as connection:
        (model,) = vectors.models(connection)
    assert model.frozen is not None
    assert space.upkeep._freeze(model).to_bytes() == model.frozen


@pytest.mark.usefixtures("few")
def test_an_index_made_anew_takes_up_the_saved_sketch(memory: Memory, space: OpenSpace) -> None:
    """Also where the model was known here before it had one; a transaction's own index does so too."""
    memory.remember_many(drafts(40))
    memory.recall("word3 turn 3")
    space.upkeep.run_now()
    space.index.clear()
    assert memory.recall("word33 turn 33", lanes=["dense"])[0].text.startswith("word33 ")
    assert space.index.dense[1].sketch is not None
    with memory.transaction():
        memory.remember("word90 stands in turn 90")
        assert memory.recall("word90 turn 90", lanes=["dense"])[0].text.startswith("word90 ")
        assert space.transaction is not None
        assert space.transaction.index(space.index).dense[1].sketch is not None


@pytest.mark.usefixtures("few")
def test_erased_nodes_leave_the_sketch(memory: Memory, space: OpenSpace, vaults: Any) -> None:
    """In memory and in what is saved; their codes are overwritten, and nobody finds them."""
    nodes = memory.remember_many(drafts(40))
    space.upkeep.run_now()
    with space.store.read() as connection:
        before = vectors.load_sketch(connection, 1, module.SKETCH_VERSION)
    gone = [node.id for node in nodes[5:9]]
    for one in gone:
        memory.forget(one)
    with space.store.read() as connection:
        after = vectors.load_sketch(connection, 1, module.SKETCH_VERSION)
    assert before is not None
    assert after is not None
    assert before[1] != after[1]
    for where in (memory, vaults.open().space()):
        found = {hit.id for number in range(5, 9) for hit in where.recall(f"word{number} turn {number}", k=20)}
        assert not found & set(gone)
    memory.vault.lock()


@pytest.mark.usefixtures("few")
def test_a_damaged_saved_sketch_is_made_anew(memory: Memory, space: OpenSpace, vaults: Any) -> None:
    """It is derived: what does not decode is passed over, and recall finds as before."""
    memory.remember_many(drafts(40))
    space.upkeep.run_now()
    with space.store.write() as writer:
        vectors.save_sketch(writer.connection, 1, module.SKETCH_VERSION, 40, b"nonsense")
    memory.vault.lock()
    again = vaults.open().space()
    assert again.recall("word7 turn 7", lanes=["dense"])[0].text.startswith("word7 ")


@pytest.mark.usefixtures("few")
def test_somebody_else_s_additions_are_in_the_sketch_of_both(memory: Memory, vaults: Any) -> None:
    """Two handles on one space: each follows what the other writes and forgets."""
    memory.remember_many(drafts(30))
    memory._space.upkeep.run_now()
    other = vaults.open().space()
    assert other.recall("word3 turn 3", lanes=["dense"])[0].text.startswith("word3 ")
    node = other.remember("an orang-utan hangs in the tree")
    assert memory.recall("orang-utan in the tree", lanes=["dense"])[0].id == node.id
    memory.forget(node.id)
    assert node.id not in [hit.id for hit in other.recall("orang-utan in the tree", lanes=["dense"])]


@pytest.mark.usefixtures("few")
def test_a_filter_finds_in_a_sketch_what_it_finds_without(memory: Memory, space: OpenSpace) -> None:
    """Few allowed nodes are fetched, many are asked of the sketch: the best are those of an exact search."""
    memory.remember_many([
        Draft(f"word{number} in turn {number}", tags=["rare"] if number % 10 == 0 else [], user="ada")
        for number in range(60)
    ])  # fmt: skip
    queries = [f"word{number} turn" for number in range(0, 60, 7)]
    wheres: list[Any] = [None, {"tags": "rare"}, {"user": "ada"}, {"text": {"contains": "word5"}}]

    def best() -> list[str]:
        return [memory.recall(query, k=1, where=where, lanes=["dense"])[0].id for query in queries for where in wheres]

    exact = best()
    space.upkeep.run_now()
    assert space.index.dense[1].sketch is not None
    assert best() == exact


# -- the daily check --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("by_hand")
def test_once_a_day_the_digests_are_compared(memory: Memory, space: OpenSpace, clock: FixedClock) -> None:
    """When they fit, the moment is noted; not again before a day has passed."""
    memory.remember("x")
    with space.store.read() as connection:
        assert last_check(connection) == 0
    space.upkeep._check_digests()
    with space.store.read() as connection:
        first = last_check(connection)
    assert first > 0
    space.upkeep._check_digests()
    with space.store.read() as connection:
        assert last_check(connection) == first
    clock.advance(90_000)
    space.upkeep._check_digests()
    with space.store.read() as connection:
        assert last_check(connection) > first
    assert memory.verify() == []


@pytest.mark.usefixtures("by_hand")
def test_what_is_not_as_it_was_written_is_not_read_any_more(
    memory: Memory, space: OpenSpace, caplog: pytest.LogCaptureFixture
) -> None:
    """After a failed check every verb raises TamperedError, and the log has no content."""
    node = memory.remember("a secret zebra", pinned=True)
    with space.store.fresh.database.write() as connection:
        connection.execute("UPDATE node SET state = zeroblob(length(state))")
    space.upkeep._check_digests()
    for verb in (lambda: memory.get(node.id), memory.count, lambda: memory.remember("y"), memory.verify):
        with pytest.raises(TamperedError, match="run `mimir verify` and restore a backup"):
            verb()
    assert "restore a backup" in caplog.text
    assert "zebra" not in caplog.text
    assert threading.active_count() < 50
