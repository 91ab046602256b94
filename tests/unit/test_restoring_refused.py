"""Backups that are not restored, and restores that do not end: one sentence, and nothing at the target or beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from backups import change, fill
from mimir_vault import restoring
from mimir_vault.backup_file import PORTION_BYTES, PORTIONS_START, BackupReader
from mimir_vault.crypto.backup_sealer import BackupSealer
from mimir_vault.errors import DiskFullError, ExistsError, FormatError, MimirError, NotFoundError, TamperedError
from mimir_vault.model.draft import Draft
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where backups of these tests go."""
    return tmp_path / "backup"


def beside(vaults: QuickVaults) -> set[str]:
    """Return the names in the folder of the tests."""
    return {path.name for path in vaults.folder.iterdir()}


def test_no_backup(vaults: QuickVaults, place: Path) -> None:
    """Nothing there, and a file that is none."""
    with pytest.raises(NotFoundError, match="there is no backup at"):
        vaults.restore(place)
    place.write_bytes(b"a letter")
    with pytest.raises(FormatError, match="is not a backup"):
        vaults.restore(place)
    assert not vaults.path("restored").exists()


def contents_at(vault: Vault, place: Path) -> int:
    """Return where the contents of a backup begin."""
    with BackupReader(place) as reader:
        reader.unlock(BackupSealer(vault._keys.backup_key(), vault._keys.vault_id, reader.id, os.urandom))
        return PORTIONS_START + PORTION_BYTES * sum(segment.portions for segment in reader.guide.segments)


DAMAGE = {
    "header": 1_000, "guide": 70_000, "first portion": PORTIONS_START + 9, "second portion": PORTIONS_START + 70_000,
}  # fmt: skip


@pytest.mark.parametrize("where", [*DAMAGE, "contents"])
def test_a_damaged_backup(vaults: QuickVaults, vault: Vault, place: Path, where: str) -> None:
    """One sentence, and nothing at the target or beside it."""
    vault.space().remember_many([Draft(f"turn {number} " + "x" * 900) for number in range(50)])
    vault.backup(place)
    change(place, DAMAGE.get(where) or contents_at(vault, place))
    before = beside(vaults)
    with pytest.raises(TamperedError) as caught:
        vaults.restore(place)
    assert str(caught.value) == f"the backup {place} was changed or cut since it was made; take another one"
    assert beside(vaults) == before


def test_a_backup_that_was_not_whole_to_begin_with(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """Were a node missing in a backup that is otherwise well made, the digest would tell."""
    vault.space().remember_many([Draft(f"turn {number}") for number in range(5)])
    taken = restoring.transfer.rows_above

    def one_less(connection: Any, table: str, above: int) -> Any:
        rows = list(taken(connection, table, above))
        return iter(rows[:-1] if table == "node" else rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mimir_vault.store.transfer.rows_above", one_less)
        vault.backup(place)
    with pytest.raises(TamperedError):
        vaults.restore(place)
    assert not vaults.path("restored").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DiskFullError()])
def test_an_error_in_between(vaults: QuickVaults, vault: Vault, place: Path, error: BaseException) -> None:
    """Leaves nothing at the target, and nothing beside it."""
    fill(vault)
    vault.backup(place)
    before = beside(vaults)

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise error

    with pytest.raises(type(error)):
        vaults.restore(place, progress=stop)
    assert beside(vaults) == before
    vaults.restore(place).lock()


def test_somebody_makes_something_there_meanwhile(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """It stays."""
    fill(vault)
    vault.backup(place)

    def meddle(done: int, total: int) -> None:
        vaults.path("restored").mkdir(exist_ok=True)
        (vaults.path("restored") / "letter").write_text("mine")

    with pytest.raises(ExistsError):
        vaults.restore(place, progress=meddle)
    assert os.listdir(vaults.path("restored")) == ["letter"]


def test_impossible_rows(vaults: QuickVaults, vault: Vault, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables and columns that its format does not have are refused, whoever sealed them."""
    fill(vault)
    for names in (["seq"], ["seq", "nonsense"]):
        with monkeypatch.context() as patch:
            patch.setattr("mimir_vault.store.transfer.columns", lambda connection, table, names=names: names)
            vault.backup(place)
        with pytest.raises(MimirError):
            vaults.restore(place)
        assert not vaults.path("restored").exists()
        place.unlink()


def test_a_newer_release(vaults: QuickVaults, vault: Vault, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup with tables of a later format is a FormatError."""
    with vault.space()._space.store.fresh.database.write() as connection:
        connection.pragma("user_version", 9)
    vault.backup(place)
    with pytest.raises(FormatError, match="newer version"):
        vaults.restore(place)
