"""Adopting a copy of a vault: it becomes a replica of its own, so that it is no older state of the one it came from."""

from __future__ import annotations

from pathlib import Path

from mimir_vault.crypto.vault_keys import VaultKeys
from mimir_vault.keyslots import change, header_file
from mimir_vault.keyslots.unlock import UnlockedRoot
from mimir_vault.store.catalog import HEADER_EPOCH, Catalog
from mimir_vault.store.cipher import AegisPages
from mimir_vault.store.pins import PinOf
from mimir_vault.surroundings import Surroundings


def adopt(folder: Path, root: UnlockedRoot, around: Surroundings) -> None:
    """Give the vault in a folder a new replica id, under its lock, and note it in its audit.

    It is not compared with the state last seen here; pins of other replicas stay as they are, so the vault that this is
    a copy of is guarded as before.
    """
    keys = VaultKeys(root.vault_id, root.catalog_key, around.random)
    try:
        catalog = Catalog.open(
            folder / root.catalog_file, AegisPages(keys.catalog_page_key(), root.vault_id), keys.digests(),
            PinOf(None, "catalog", b""), around.clock, read_only=False, accept_rollback=False,
        )  # fmt: skip
        try:
            with catalog.write() as changing:
                header = change.new_replica(header_file.read(folder).header, root, random=around.random)
                # The header goes first: if the power fails between the two, the catalog still accepts the newer one.
                header_file.write(folder, header)
                root.refresh(header)
                catalog.put_setting(changing, HEADER_EPOCH, header.epoch)
                catalog.audit(changing, "adopted")
        finally:
            catalog.close()
    finally:
        keys.wipe()
