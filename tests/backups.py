"""What the tests of backups do to vaults and files: change a state, change a byte, read all that is held."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from mimir_vault.memory import Memory
from mimir_vault.model.codec import decode_state
from mimir_vault.model.draft import Draft
from mimir_vault.model.link import Link
from mimir_vault.store import nodes
from mimir_vault.testing import HashEmbedder
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults


def pin(memory: Memory, node_id: str) -> None:
    """Change the state of a node through the store."""
    with memory._space.store.write() as writer:
        (stored,) = nodes.find(writer.connection, node_id)

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


def fill(vault: Vault) -> None:
    """Remember nodes with every field there is, superseded, forgotten and changed ones, in two spaces."""
    memory = vault.space()
    first = memory.remember(
        "I prefer window seats", speaker="Ada", role="user", session="s1", user="ada", agent="travel", kind="fact",
        at="2026-05-01T09:00+02:00", tags=["travel", "seat"], metadata={"a": {"b": [1, None, "x"]}}, pinned=True,
        ref=("prefs", "ada", "seat"), data=b"\0\1\2", expires_at="2036-05-01T09:00Z",
    )  # fmt: skip
    memory.remember("no, aisle", ref=("prefs", "ada", "seat"), links=[Link("about", first.id)])
    many = memory.remember_many([Draft(f"turn {n} of the talk", session="talk", tags=["t"]) for n in range(30)])
    memory.remember("not to be found", index=False)
    memory.supersede(many[3].id, "said otherwise")
    memory.forget(many[5].id)
    memory.forget(many[29].id)
    pin(memory, many[7].id)
    memory.hide(many[8].id)
    memory.forget(many[9].id, grace=timedelta(days=30))
    memory.remember("with a vector of its own", vector=HashEmbedder().embed(["another text"])[0])
    memory.remember("of two passages", index=["the first of them", "the second of them"])
    foreign = memory.view(embedder=HashEmbedder(32, "foreign"), user="bo")
    foreign.remember("in the words of another model")
    other = vault.create_space("other")
    other.remember("elsewhere", speaker="Bo")
    vault.create_space("empty")
