"""What a vault is handed: embedder, clock, randomness, state folder, and how it may be opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mimir_vault.model.clock import Clock, SystemClock

if TYPE_CHECKING:
    from mimir_vault.embed.embedder import Embedder

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that a vault takes from outside; `embedder` None stands for the bundled model, loaded when first needed."""

    embedder: Embedder | None
    clock: Clock
    random: Random
    state_folder: Path
    read_only: bool = False
    accept_rollback: bool = False

    @classmethod
    def of(
        cls,
        embedder: Embedder | None,
        clock: Clock | None,
        random: Random,
        state_folder: str | os.PathLike[str] | None,
        read_only: bool = False,
        accept_rollback: bool = False,
    ) -> Surroundings:
        """Return the surroundings with what was not given filled in."""
        folder = default_state_folder() if state_folder is None else Path(state_folder)
        return cls(embedder, clock or SystemClock(), random, folder, read_only, accept_rollback)


def default_path() -> Path:
    """Return where the vault lies when nobody says: MIMIR_VAULT, else the platform's folder for user data."""
    if given := os.environ.get("MIMIR_VAULT"):
        return Path(given)
    import platformdirs

    return platformdirs.user_data_path("mimir", appauthor=False) / "vault"


def default_state_folder() -> Path:
    """Return where the newest state seen of each vault is kept, outside all vaults."""
    import platformdirs

    return platformdirs.user_state_path("mimir", appauthor=False)
