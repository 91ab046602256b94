"""What the tests of backups do to vaults and files: change a state, change a byte, read all that is held."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from mimir_vault.memory import Memory
from mimir_vault.model.codec import decode_state
from mimir_vault.store import nodes
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults


def pin(memory: Memory, node_id: str) -> None:
    """Change the state of a node through the store."""
    with memory._space.store.write() as writer:
        stored = nodes.by_id(writer.connection, bytes.fromhex(node_id))
        assert stored is not None
        state = decode_state(memory._space.store.sealer.open_state(stored.sealed))
        writer.replace_state(stored, msgspec.structs.replace(state, pinned=not state.pinned))


def held(vaults: QuickVaults, place: Path) -> dict[str, list[Any]]:
    """Return all nodes of a backup, restored to a place of its own."""
    name = f"restored {os.urandom(4).hex()}"
    with vaults.restore(place, name) as vault:
        assert vault.verify(full=True) == []
        return {info.name: list(vault.space(info.name).nodes()) for info in vault.spaces()}


def contents(vault: Vault) -> dict[str, list[Any]]:
    """Return all nodes of an open vault."""
    return {info.name: list(vault.space(info.name).nodes()) for info in vault.spaces()}


def change(path: Path, at: int) -> None:
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
