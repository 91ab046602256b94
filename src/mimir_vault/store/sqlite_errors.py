"""The border to SQLite: its errors become Mimir's, each with a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from mimir_vault.errors import (
    DiskFullError,
    MimirError,
    ReadOnlyError,
    StorageError,
    TamperedError,
    VaultBusyError,
)


def translate(error: apsw.Error, name: str) -> MimirError:
    """Return Mimir's error for SQLite's; `name` is the database as a person knows it."""
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return VaultBusyError(f"another process holds {name}; try again in a moment")
    if isinstance(error, apsw.FullError):
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


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn SQLite's errors inside the block into Mimir's."""
    try:
        yield
    except apsw.Error as error:
        raise translate(error, name) from error
