"""`mimir.open()`: from nothing but the surroundings to a memory ready to use."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from mimir_vault.creating import FIRST_SPACE
from mimir_vault.memory import Memory
from mimir_vault.surroundings import Surroundings, default_path
from mimir_vault.unlockers import UnlockChain
from mimir_vault.vault import Vault


def open(
    path: str | os.PathLike[str] | None = None,
    space: str = FIRST_SPACE,
    *,
    memory_budget: int | str | None = None,
) -> Memory:
    """Open a space of the vault at `path` (MIMIR_VAULT, or the platform's folder); closing it locks the vault.

    Where a keeper holds the vault open already, the memory is the keeper's, and closing it leaves the vault open.
    Else the secret comes from what other packages add (a keyring, a TPM), from MIMIR_PASSPHRASE_FILE, from
    MIMIR_PASSPHRASE_COMMAND, or from a prompt at the terminal or in a notebook. `memory_budget` is as for `Vault.open`,
    and does not change a vault that is open already.

    Raises:
        NotFoundError: there is no vault, or no such space. LockedError: there is no secret; the sentence lists what
        was tried. And as `Vault.open`.
    """
    folder = Path(default_path() if path is None else path).absolute()
    around = Surroundings.of(None, None, os.urandom, None, memory_budget=memory_budget)
    chain = UnlockChain.of_this_process()
    kept: Memory | None = chain.memory(folder, space)
    if kept is not None:
        return kept
    vault = Vault.open_unlocked(folder, partial(chain.unlock, folder), around)
    try:
        return vault.memory_that_owns(space)
    except BaseException:
        vault.lock()
        raise
