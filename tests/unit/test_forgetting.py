"""Forgetting: what an erasure leaves where, and what its receipt says."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mimir_vault import Draft, Memory, Vault
from mimir_vault import forgetting as module
from mimir_vault.forgetting import forget
from mimir_vault.store import traces


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
