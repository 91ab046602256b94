"""The border to SQLite: each of its errors becomes the one of Mimir's that says what to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

from mimir_vault.errors import (
    DiskFullError,
    MimirError,
    ReadOnlyError,
    StorageError,
    TamperedError,
    VaultBusyError,
)
from mimir_vault.store import sqlite_errors as module
from mimir_vault.store.sqlite_errors import translate, translated

TABLE: list[tuple[type[apsw.Error], type[MimirError]]] = [
    (apsw.BusyError, VaultBusyError),
    (apsw.LockedError, VaultBusyError),
    (apsw.FullError, DiskFullError),
    (apsw.NotADBError, TamperedError),
    (apsw.CorruptError, TamperedError),
    (apsw.ReadOnlyError, ReadOnlyError),
    (apsw.PermissionsError, ReadOnlyError),
    (apsw.CantOpenError, ReadOnlyError),
    (apsw.IOError, StorageError),
    (apsw.NoMemError, StorageError),
    (apsw.TooBigError, StorageError),
    (apsw.SQLError, StorageError),
    (apsw.InternalError, StorageError),
]


@pytest.mark.parametrize(("theirs", "ours"), TABLE, ids=lambda kind: kind.__name__)
def test_each_error_of_sqlite_has_one_of_ours(theirs: type[apsw.Error], ours: type[MimirError]) -> None:
    """The class fits exactly, the sentence is one line, and the cause is chained."""
    assert type(translate(theirs("details"), "space main")) is ours
    with pytest.raises(ours) as caught, translated("space main"):
        raise theirs("details")
    assert isinstance(caught.value.__cause__, theirs)
    message = str(caught.value)
    assert "\n" not in message
    assert "full" in message or "space main" in message


def test_other_errors_pass_through() -> None:
    """Only SQLite's errors are translated."""
    with pytest.raises(KeyError), translated("space main"):
        raise KeyError("mine")


@pytest.mark.parametrize(("free", "error"), [(0, DiskFullError), (1 << 40, StorageError)])
def test_a_disk_without_room_is_full_whatever_sqlite_calls_it(
    free: int, error: type[MimirError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some systems answer a full disk with an I/O error: the folder is looked at."""
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert type(translate(apsw.IOError("disk I/O error"), "space main", tmp_path)) is error
    assert type(translate(apsw.IOError("disk I/O error"), "space main")) is StorageError


def test_a_folder_that_cannot_be_looked_at_is_not_called_full(tmp_path: Path) -> None:
    """Then the I/O error stays one."""
    assert type(translate(apsw.IOError("disk I/O error"), "space main", tmp_path / "gone")) is StorageError
