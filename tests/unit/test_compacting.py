"""Compacting: the file falls to its size class, everything it holds stays, and others may have it open."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mimir_vault import compacting
from mimir_vault.compacting import Compacted
from mimir_vault.errors import LockedError, NotFoundError, ReadOnlyError, VaultBusyError
from mimir_vault.memory import Memory
from mimir_vault.model.draft import Draft
from mimir_vault.store import padding, traces, vectors, words
from mimir_vault.store.query import fetch
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

MIB = 1 << 20


def fill(memory: Memory, count: int = 300) -> None:
    """Remember so many turns of 3,000 characters."""
    memory.remember_many(
        [
            Draft(f"turn {number} " + f"{number:05} " * 500, session="talk", tags=["goes"] if number >= 10 else [])
            for number in range(count)
        ]
    )


def forget_most(memory: Memory) -> None:
    """Forget all nodes but ten."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory._space.store.fresh, "remove_traces", lambda *given: True)
        memory.forget(where={"tags": {"contains": "goes"}})


@pytest.fixture
def grown(vaults: QuickVaults) -> Iterator[Vault]:
    """A vault whose first space had 300 long nodes and has ten."""
    vault = vaults.create()
    fill(vault.space())
    forget_most(vault.space())
    yield vault
    vault.lock()


def test_the_file_falls_to_its_class(grown: Vault) -> None:
    """Bytes before and after are said; the length is a class, and the reserve of an eighth is there."""
    nodes = list(grown.space().nodes())
    (done,) = grown.compact()
    file = grown.space()._space.store.fresh.database.path
    assert done == Compacted("main", done.bytes_before, file.stat().st_size, False)
    assert done.bytes_before >= 3 * MIB
    assert done.bytes_after == MIB
    assert list(grown.space().nodes()) == nodes
    assert grown.verify(full=True) == []
    with grown.space()._space.store.read() as connection:
        count, free, padded = padding.pages(connection)
    assert free + padded >= count // padding.RESERVE_SHARE


def test_it_goes_on(grown: Vault, vaults: QuickVaults) -> None:
    """Remembering, recalling and reopening work as before."""
    grown.compact()
    grown.space().remember("after that", session="talk")
    assert grown.space().recall("after that", k=1)[0].node.text == "after that"
    grown.lock()
    with vaults.open() as vault:
        assert vault.space().count() == 11
        assert vault.verify(full=True) == []


def test_again_changes_nothing(grown: Vault) -> None:
    """The class is kept."""
    grown.compact()
    (done,) = grown.compact()
    assert done.bytes_before == done.bytes_after


def test_one_space_or_all(vault: Vault) -> None:
    """By name, or every one, with progress."""
    vault.create_space("second")
    told: list[tuple[int, int]] = []
    assert [done.space for done in vault.compact(progress=lambda now, total: told.append((now, total)))] == [
        "main", "second",
    ]  # fmt: skip
    assert told == [(1, 2), (2, 2)]
    assert [done.space for done in vault.compact("second")] == ["second"]
    with pytest.raises(NotFoundError):
        vault.compact("third")


def test_words_are_merged_and_dead_notes_go(vault: Vault) -> None:
    """No tail is left; of the notes that a node changed only the newest stays; a sketch without vectors goes."""
    memory = vault.space()
    memory.remember_many([Draft(f"turn {number}") for number in range(4)])
    with memory._space.store.write() as writer:
        writer.connection.execute("INSERT OR IGNORE INTO change VALUES (1, 1), (1, 2), (2, 1)")
        vectors.save_sketch(writer.connection, 1, 1, 4, b"in use")
        vectors.save_sketch(writer.connection, 9, 1, 4, b"of no vectors")
    vault.compact()
    with memory._space.store.read() as connection:
        assert words.tail_nodes(connection) == 0
        assert fetch(connection, "SELECT generation, seq FROM change ORDER BY seq") == [(2, 1), (1, 2)]
        assert fetch(connection, "SELECT DISTINCT model FROM sketch") == [(1,)]
        assert fetch(connection, "SELECT kind FROM derived WHERE kind LIKE 'sketch%'") == [("sketch 1",)]


def test_an_erasure_that_was_due_is_done(vault: Vault) -> None:
    """Nothing of an erased node is left in a file that is made anew."""
    memory = vault.space()
    node = memory.remember("to be forgotten")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory._space.store.fresh, "remove_traces", lambda *given: False)
        memory.forget(node.id)
    vault.compact()
    with memory._space.store.read() as connection:
        assert not traces.are_due(connection)


def test_another_opening_reads_meanwhile(grown: Vault, vaults: QuickVaults, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees its state to the end; the file gets shorter when it has ended, and the result says so."""
    monkeypatch.setattr(compacting, "CHECKPOINT_WAIT_MS", 10)
    with vaults.open() as other:
        with other.space()._space.store.read() as connection:
            (done,) = grown.compact()
            assert done.pending
            assert fetch(connection, "SELECT count(*) FROM node") == [(10,)]
        assert other.space().count() == 10
        other.space().remember("written by the other")
    (done,) = grown.compact()
    assert (done.pending, done.bytes_after) == (False, MIB)
    assert grown.space().count() == 11
    assert grown.verify(full=True) == []


def test_another_opening_writes_meanwhile(grown: Vault, vaults: QuickVaults) -> None:
    """One that does not stop is a VaultBusyError, in one sentence, and nothing is lost."""
    with vaults.open() as other:
        grown.space()._space.store.fresh.database._busy_ms = 50
        grown.space()._space.store.fresh.database.connection().set_busy_timeout(50)
        inside, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            with other.space()._space.store.fresh.database.write():
                inside.set()
                go_on.wait(20)

        thread = threading.Thread(target=hold)
        thread.start()
        assert inside.wait(20)
        with pytest.raises(VaultBusyError) as caught:
            grown.compact()
        go_on.set()
        thread.join()
        assert "\n" not in str(caught.value)
    assert grown.space().count() == 10
    assert grown.verify(full=True) == []


def test_writers_go_on(vault: Vault, vaults: QuickVaults) -> None:
    """Two openings write while a third packs, again and again; nothing is lost."""
    fill(vault.space(), 30)
    told: list[BaseException] = []

    def work(name: str) -> None:
        try:
            with vaults.open() as other:
                for number in range(8):
                    other.space().remember(f"{name} {number}")
        except BaseException as error:
            told.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        vault.compact()
    assert told == []
    assert vault.space().count() == 46
    assert vault.verify(full=True) == []


def test_read_only_and_locked(vaults: QuickVaults, vault: Vault) -> None:
    """Neither can be packed."""
    vault.lock()
    with pytest.raises(LockedError):
        vault.compact()
    with vaults.open(read_only=True) as reader, pytest.raises(ReadOnlyError):
        reader.compact()
