"""The border to SQLite: each of its errors becomes the one of Mimir's that says what to do."""

from __future__ import annotations

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
