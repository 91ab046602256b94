"""The border to SQLite: its errors become Mimir's, each with a sentence that says what to do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from mimir_vault.errors import (
    DiskFullError,
    MimirError,
    ReadOnlyError,
    StorageError,
    TamperedError,
    VaultBusyError,
)

ROOM_BYTES_MIN = 1 << 20
"""With less room than this, an I/O error is taken for a full disk: SQLite does not always tell the two apart."""


def translate(error: apsw.Error, name: str, folder: Path | None = None) -> MimirError:
    """Return Mimir's error for SQLite's; `name` is the database as a person knows it, `folder` where it lies."""
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return VaultBusyError(f"another process holds {name}; try again in a moment")
    if isinstance(error, apsw.FullError) or (isinstance(error, apsw.IOError) and _is_full(folder)):
        return DiskFullError("the disk is full; free some room and try again, nothing that was stored is lost")
    if isinstance(error, (apsw.NotADBError, apsw.CorruptError)):
        return TamperedError(f"{name} was changed by something other than Mimir; restore a backup")
    if isinstance(error, (apsw.ReadOnlyError, apsw.PermissionsError, apsw.CantOpenError)):
        return ReadOnlyError(f"{name} cannot be opened for writing here; check the permissions of its folder")
    if isinstance(error, apsw.IOError):
        return StorageError(f"the operating system could not read or write {name}; check the disk, then open it again")
    if isinstance(error, (apsw.NoMemError, apsw.TooBigError)):
        return StorageError(f"there is not enough memory to work with {name}")
    return StorageError(f"{name} could not be read or written: {error}")


def _is_full(folder: Path | None) -> bool:
    try:
        return folder is not None and shutil.disk_usage(folder).free < ROOM_BYTES_MIN
    except OSError:
        return False


@contextmanager
def translated(name: str, folder: Path | None = None) -> Iterator[None]:
    """Turn SQLite's errors inside the block into Mimir's."""
    try:
        yield
    except apsw.Error as error:
        raise translate(error, name, folder) from error
