"""Creating a vault: its files are made beside its place and moved there at once."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from mimir_vault.crypto.vault_keys import VaultKeys
from mimir_vault.errors import DiskFullError, ExistsError, MimirError, ReadOnlyError, StorageError
from mimir_vault.keyslots import header_file
from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.unlock import UnlockedRoot
from mimir_vault.spaces import SPACES_FOLDER, Spaces, sync_folder
from mimir_vault.store.catalog import HEADER_EPOCH, SPACE_FLOOR, Catalog
from mimir_vault.store.cipher import AegisPages
from mimir_vault.store.padding import SPACE_FLOOR as SPACE_FLOOR_BYTES
from mimir_vault.store.pins import PinOf
from mimir_vault.surroundings import Surroundings

FIRST_SPACE = "main"
"""Every vault begins with this space."""


SIZE_FLOOR_MIN = 1 << 20
"""Smallest size class a vault's spaces may begin with: for one space per user."""


def checked_place(path: str | os.PathLike[str]) -> Path:
    """Return where a vault may be made (ExistsError when something is there)."""
    folder = Path(path).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExistsError(f"there is something at {folder} already; choose another place, or open it")
    return folder


def checked_size_floor(size_floor: int | None) -> int:
    """Return the size floor of a vault's spaces in bytes (ValueError for an impossible one)."""
    floor = SPACE_FLOOR_BYTES if size_floor is None else size_floor
    if not isinstance(floor, int) or floor < SIZE_FLOOR_MIN or floor & (floor - 1):
        raise ValueError(f"size_floor is a power of two of at least {SIZE_FLOOR_MIN} bytes, not {size_floor!r}")
    return floor


def build(folder: Path, header: Header, root: UnlockedRoot, around: Surroundings, size_floor: int) -> None:
    """Make the files of a vault beside its place, then move them there at once: a vault is whole or not there."""
    new = folder.with_name(f"{folder.name}.new-{around.random(4).hex()}")
    keys = VaultKeys(root.vault_id, root.catalog_key, around.random)
    try:
        (new / SPACES_FOLDER).mkdir(parents=True, mode=0o700)
        new.chmod(0o700)
        header_file.write(new, header)
        catalog = Catalog.create(
            new / root.catalog_file, AegisPages(keys.catalog_page_key(), root.vault_id), keys.digests(),
            PinOf(None, "catalog", header.replica_id), around.clock,
        )  # fmt: skip
        with catalog.write() as change:
            catalog.put_setting(change, HEADER_EPOCH, header.epoch)
            catalog.put_setting(change, SPACE_FLOOR, size_floor)
            catalog.audit(change, "vault created", profile=header.profile.name.lower())
        Spaces(new, header.replica_id, catalog, keys, None, around).create(FIRST_SPACE)
        catalog.close()
        if folder.exists():
            folder.rmdir()
        os.rename(new, folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise _refusal(error, folder) from error
    finally:
        keys.wipe()
        if new.exists():
            shutil.rmtree(new, ignore_errors=True)


def _refusal(error: OSError, folder: Path) -> MimirError:
    if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
        return ExistsError(f"somebody else made something at {folder} just now; open it, or choose another place")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"the disk is full: no vault could be made at {folder}")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ReadOnlyError(f"no vault can be made at {folder}: its folder may not be written")
    return StorageError(f"no vault could be made at {folder}: {error.strerror}")
