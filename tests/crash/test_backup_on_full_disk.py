"""A backup or a restore where there is no room, or nothing may be written: one sentence, and what was there stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from crash.mounting import small_disk, why_not
from mimir_vault.errors import DiskFullError, ReadOnlyError
from mimir_vault.model.draft import Draft
from quick_vaults import QuickVaults

pytestmark = pytest.mark.skipif(why_not() != "", reason=why_not() or "-")


def test_a_backup_that_has_no_room(vaults: QuickVaults, tmp_path: Path) -> None:
    """The old one stays whole and nothing lies beside it; with room it goes on."""
    with small_disk(tmp_path / "disk", "3m") as disk, vaults.create() as vault:
        vault.space().remember_many([Draft(f"turn {number}") for number in range(20)])
        place = disk.path / "backup"
        vault.backup(place)
        before = place.read_bytes()
        disk.fill(leaving=300_000)
        vault.space().remember("one more")
        with pytest.raises(DiskFullError) as caught:
            vault.backup(place)
        assert "\n" not in str(caught.value)
        assert place.read_bytes() == before
        assert {path.name for path in disk.path.iterdir()} == {"backup", "ballast"}
        (disk.path / "ballast").unlink()
        assert vault.backup(place).incremental
        assert vault.verify(full=True) == []


def test_a_backup_where_nothing_may_be_written(vaults: QuickVaults, tmp_path: Path) -> None:
    """A disk that is mounted read-only."""
    with small_disk(tmp_path / "disk", "3m") as disk, vaults.create() as vault:
        vault.backup(disk.path / "backup")
        disk.remount("ro")
        with pytest.raises(ReadOnlyError):
            vault.backup(disk.path / "backup")
        with vaults.restore(disk.path / "backup") as restored:
            assert restored.verify(full=True) == []


@pytest.mark.parametrize("size", ["600k", "1500k", "2m"])
def test_a_restore_that_has_no_room(vaults: QuickVaults, tmp_path: Path, size: str) -> None:
    """Nothing is left on the disk."""
    with small_disk(tmp_path / "disk", size) as disk:
        with vaults.create() as vault:
            vault.space().remember_many([Draft(f"turn {number} " + "x" * 3_000) for number in range(100)])
            vault.backup(tmp_path / "backup")
        elsewhere = QuickVaults(disk.path, tmp_path / "state")
        with pytest.raises(DiskFullError) as caught:
            elsewhere.restore(tmp_path / "backup")
        assert "\n" not in str(caught.value)
        assert list(disk.path.iterdir()) == []


def test_a_restore_where_nothing_may_be_written(vaults: QuickVaults, tmp_path: Path) -> None:
    """A disk that is mounted read-only."""
    with small_disk(tmp_path / "disk", "3m") as disk:
        with vaults.create() as vault:
            vault.backup(tmp_path / "backup")
        disk.remount("ro")
        with pytest.raises(ReadOnlyError):
            QuickVaults(disk.path, tmp_path / "state").restore(tmp_path / "backup")


def test_compacting_without_room(tmp_path: Path) -> None:
    """The packed pages find no room: nothing is lost, and with room it is done."""
    with small_disk(tmp_path / "disk", "9m") as disk:
        vaults = QuickVaults(disk.path, tmp_path / "state")
        with vaults.create() as vault:
            vault.space().remember_many([Draft(f"turn {number} " + f"{number:05} " * 400) for number in range(100)])
            vault.space()._space.store.fresh.checkpoint()
            disk.fill(leaving=200_000)
            with pytest.raises(DiskFullError) as caught:
                vault.compact()
            assert "\n" not in str(caught.value)
            (disk.path / "ballast").unlink()
            assert vault.space().count() == 100
            assert vault.verify(full=True) == []
            assert not vault.compact()[0].pending
        with vaults.open() as vault:
            assert vault.verify(full=True) == []
        vaults.lock_all()
