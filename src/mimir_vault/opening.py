"""`mimir.open()`: from nothing but the surroundings to a memory ready to use."""

from __future__ import annotations

import os
from pathlib import Path

from mimir_vault.creating import FIRST_SPACE
from mimir_vault.memory import Memory
from mimir_vault.surroundings import default_path
from mimir_vault.vault import Vault


def open(path: str | os.PathLike[str] | None = None, space: str = FIRST_SPACE) -> Memory:
    """Open a space of the vault at `path` (MIMIR_VAULT, or the platform's folder); closing it locks the vault.

    The secret comes from MIMIR_PASSPHRASE_FILE, MIMIR_PASSPHRASE_COMMAND or a prompt on the terminal.

    Raises:
        NotFoundError: there is no vault, or no such space. LockedError: there is no secret. And as `Vault.open`.
    """
    vault = Vault.open(default_path() if path is None else Path(path))
    try:
        return vault.memory_that_owns(space)
    except BaseException:
        vault.lock()
        raise
