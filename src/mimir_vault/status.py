"""The state of a vault in figures: spaces, sizes, index, model, key slots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mimir_vault.index.planner import EXACT_VECTORS_MAX
from mimir_vault.key_slots import KeySlotInfo
from mimir_vault.model.clock import from_micros
from mimir_vault.open_space import OpenSpace
from mimir_vault.store import vectors
from mimir_vault.store.query import fetch


@dataclass(frozen=True, slots=True)
class SpaceStatus:
    """A space in figures: bytes that hold something, bytes of the file (its size class), and how it is searched."""

    name: str
    nodes: int
    sessions: int
    live_bytes: int
    file_bytes: int
    index: str
    model: str
    newest: datetime | None
    generation: int


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """A vault in figures; `state_file` guards it against old copies, None where it cannot be kept."""

    path: Path
    id: str
    profile: str
    keyslots: list[KeySlotInfo]
    spaces: list[SpaceStatus]
    state_file: Path | None
    bytes_on_disk: int


def space_status(space: OpenSpace) -> SpaceStatus:
    """Return a space in figures."""
    state = space.store.freshness()
    with space.store.read() as connection:
        count = fetch(connection, "SELECT count(*) FROM node")[0][0]
        sessions = fetch(connection, "SELECT count(*) FROM thread")[0][0]
        held = vectors.models(connection)
        many = bool(held) and vectors.count(connection, held[0].code) > EXACT_VECTORS_MAX
    return SpaceStatus(
        name=space.name,
        nodes=int(count),
        sessions=int(sessions),
        live_bytes=space.store.fresh.live_bytes(),
        file_bytes=space.store.fresh.database.path.stat().st_size,
        index="in memory, short codes" if many else "in memory, all vectors",
        model=held[0].name if held else "none yet",
        newest=from_micros(state.recorded) if state.recorded else None,
        generation=state.generation,
    )


def bytes_below(folder: Path) -> int:
    """Return the bytes of all files in a folder and below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
