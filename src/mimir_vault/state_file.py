"""The state file of a vault, outside it: opening the pins that guard it against old copies."""

from __future__ import annotations

import logging

from mimir_vault.crypto.vault_keys import VaultKeys
from mimir_vault.errors import RollbackError, StorageError, TamperedError
from mimir_vault.spaces import unlink
from mimir_vault.store.cipher import AegisPages
from mimir_vault.store.pins import Pins
from mimir_vault.surroundings import Surroundings

log = logging.getLogger("mimir_vault")


def open_pins(keys: VaultKeys, around: Surroundings) -> Pins | None:
    """Return the pins of a vault, made where there are none yet; None where they cannot be kept, with a warning.

    Raises:
        RollbackError: the file is damaged, or another vault's, and rollbacks are not accepted.
    """
    name = keys.pins_file_name
    path = around.state_folder / "pins" / f"{name}.db"
    if around.read_only and not path.exists():
        return None
    try:
        return Pins(path, AegisPages(keys.pins_page_key(), bytes.fromhex(name)), read_only=around.read_only)
    except TamperedError:
        if not around.accept_rollback or around.read_only:
            raise RollbackError(
                f"the state file {path} that guards this vault against old copies is damaged or another vault's; "
                "accept the vault as it is with accept_rollback (--accept-rollback)"
            ) from None
        unlink(path)
        return Pins(path, AegisPages(keys.pins_page_key(), bytes.fromhex(name)))
    except (StorageError, OSError) as error:
        log.warning("old copies of this vault cannot be noticed: %s", error)
        return None
