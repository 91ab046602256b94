"""Erasing: what goes with a node inside one write transaction, and the codes of its vectors in a saved sketch."""

from __future__ import annotations

import pytest

from mimir_vault import Draft, Memory, Vault
from mimir_vault.erasing import erase, erase_codes
from mimir_vault.store import audit, vectors


@pytest.fixture(autouse=True)
def upkeep_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no thread: upkeep is done when a test says so."""
    monkeypatch.setattr("mimir_vault.upkeep.Upkeep.wrote", lambda _: None)


@pytest.fixture
def memory(upkeep_by_hand: None, vault: Vault) -> Memory:
    """Thirty nodes."""
    memory = vault.space()
    memory.remember_many([Draft(f"unique{number} words", user=f"u{number}") for number in range(30)])
    return memory


def test_nodes_are_erased_and_named(memory: Memory) -> None:
    """Ids of those that were there, seqs of what they had superseded, an event, and the traces to look for."""
    first, old = next(memory.nodes()), memory.remember("old")
    new = memory.supersede(old.id, "new")
    with memory._space.store.write() as writer:
        gone, again = erase(writer, [32, 1, 999], "nodes forgotten", 5)
        traces = writer.change.erased
        assert traces is not None
        assert b"unique0" in traces
        assert b"u0" not in traces
    assert b"u0" in traces  # Names that nothing uses any more go at the commit.
    assert set(gone) == {first.id, new.id}
    assert again == [31]
    with memory._space.store.read() as connection:
        event = list(audit.events(connection, memory._space.store.sealer))[-1]
    assert (event.verb, event.at, event.facts["count"]) == ("nodes forgotten", 5, 2)
    assert {one.hex() for one in event.facts["ids"]} == set(gone)
    assert memory.count() == 30
    assert memory.verify(full=True) == []


def test_two_erasures_in_one_transaction_gather_their_traces(memory: Memory) -> None:
    """In one set."""
    with memory._space.store.write() as writer:
        erase(writer, [1], "nodes forgotten", 5)
        first = writer.change.erased
        erase(writer, [2], "nodes forgotten", 5)
        assert writer.change.erased is first
        assert first is not None
        assert {b"unique0", b"unique1"} <= first


def test_nothing_to_erase_is_no_error(memory: Memory) -> None:
    """It is audited all the same, by a count of nothing."""
    with memory._space.store.write() as writer:
        assert erase(writer, [], "nodes forgotten", 5) == ([], [])
    assert memory.count() == 30


def test_codes_in_a_saved_sketch_are_overwritten_with_zeros(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the erased vectors and no others; the length stays."""
    for name in ("upkeep", "space_index"):
        monkeypatch.setattr(f"mimir_vault.{name}.EXACT_VECTORS_MAX", 5)
    monkeypatch.setattr("mimir_vault.upkeep.SAVE_CHANGES", 5)
    memory._space.upkeep.run_now()
    with memory._space.store.read() as connection:
        saved = vectors.load_sketch(connection, 1, 1)
    assert saved is not None
    cleaned = erase_codes(1, saved[1], [3, 4])
    assert len(cleaned) == len(saved[1])
    changed = [place for place in range(len(cleaned)) if cleaned[place] != saved[1][place]]
    assert changed
    assert not any(cleaned[place] for place in changed)
    assert erase_codes(1, saved[1], []) == saved[1]
    assert erase_codes(1, saved[1], [9_999]) == saved[1]


def test_a_saved_sketch_that_is_damaged_is_emptied() -> None:
    """It is made anew; nothing of an erased code can hide in it."""
    assert erase_codes(1, b"nonsense", [1]) == b""
    assert erase_codes(1, b"", [1]) == b""
