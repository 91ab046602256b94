"""The state of a vault in figures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mimir_vault import Draft
from mimir_vault.status import bytes_below


def test_a_vault_in_figures(vaults: Any, state_folder: Any) -> None:
    """Path, id, profile, slots, spaces with nodes, sessions, bytes, index and model, state file, bytes on disk."""
    vault = vaults.create()
    memory = vault.space()
    vault.create_space("empty")
    nodes = memory.remember_many([Draft("one", session="s1"), Draft("two", session="s2"), Draft("three")])
    status = vault.status()
    assert (status.path, status.id, status.profile) == (vault.path, vault.id, "moderate")
    assert [slot.kind for slot in status.keyslots] == ["raw key"]
    assert status.state_file is not None
    assert status.state_file.is_relative_to(state_folder)
    assert status.bytes_on_disk == bytes_below(vault.path) > 2 << 20
    main, empty = status.spaces
    assert (main.name, main.nodes, main.sessions, main.model) == ("main", 3, 2, "hash-64")
    assert main.index == "in memory, all vectors"
    assert main.file_bytes == 1 << 20
    assert 0 < main.live_bytes < main.file_bytes
    assert main.newest is not None
    assert main.newest >= nodes[-1].recorded_at - timedelta(seconds=1)
    assert main.generation >= 1
    assert (empty.name, empty.nodes, empty.sessions, empty.model, empty.newest) == ("empty", 0, 0, "none yet", None)
    assert empty.live_bytes <= main.live_bytes


def test_forgotten_nodes_do_not_count(vaults: Any) -> None:
    """Nor their sessions."""
    vault = vaults.create()
    memory = vault.space()
    memory.remember("one", session="s1")
    memory.forget(session="s1")
    (main,) = vault.status().spaces
    assert (main.nodes, main.sessions) == (0, 0)


def test_many_vectors_are_a_sketch(vaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users read where the index is and of what kind."""
    vault = vaults.create()
    vault.space().remember_many([Draft(f"{number}") for number in range(4)])
    monkeypatch.setattr("mimir_vault.status.EXACT_VECTORS_MAX", 3)
    assert vault.status().spaces[0].index == "in memory, short codes"


def test_a_vault_opened_to_read_has_a_status_too(vaults: Any) -> None:
    """And writes nothing for it."""
    vaults.create().lock()
    reader = vaults.open(read_only=True)
    assert [space.name for space in reader.status().spaces] == ["main"]
