"""The secret and surroundings that a caller hands in to restore a backup or adopt a copy, as for `Vault.open`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.slot import KeySlot
from mimir_vault.keyslots.unlock import UnlockedRoot, unlock
from mimir_vault.model.clock import Clock
from mimir_vault.surroundings import Random, Surroundings
from mimir_vault.unlockers import UnlockChain

if TYPE_CHECKING:
    from mimir_vault.embed.embedder import Embedder


class Opening(TypedDict, total=False):
    """One secret (with none, the chain of `mimir_vault.unlockers` is asked), and what a vault works with."""

    passphrase: str | bytearray | None
    recovery_code: str | None
    raw_key: bytes | None
    keyslot: KeySlot | None
    embedder: Embedder | None
    clock: Clock | None
    random: Random
    state_folder: str | os.PathLike[str] | None
    memory_budget: int | str | None


def unlock_given(path: Path, opening: Opening, header: Header) -> UnlockedRoot:
    """Return the root that the given secret opens; errors as in `Vault.open`."""
    passphrase, recovery_code = opening.get("passphrase"), opening.get("recovery_code")
    raw_key, keyslot = opening.get("raw_key"), opening.get("keyslot")
    if all(one is None for one in (passphrase, recovery_code, raw_key, keyslot)):
        return UnlockChain.of_this_process().unlock(path, header)
    return unlock(header, passphrase=passphrase, recovery_code=recovery_code, raw_key=raw_key, keyslot=keyslot)


def surroundings_given(opening: Opening) -> Surroundings:
    """Return the surroundings with what was not given filled in."""
    return Surroundings.of(
        opening.get("embedder"), opening.get("clock"), opening.get("random", os.urandom), opening.get("state_folder"),
        memory_budget=opening.get("memory_budget"),
    )  # fmt: skip
