"""What a backup never replaces: what is none of this vault, what holds more than it, and a good one by a bad one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backups import change
from mimir_vault import backing_up
from mimir_vault.errors import ExistsError, NotFoundError, TamperedError
from mimir_vault.model.draft import Draft
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where backups of these tests go."""
    return tmp_path / "backup"


def test_what_is_no_backup_of_this_vault_stays(vault: Vault, vaults: QuickVaults, place: Path, tmp_path: Path) -> None:
    """A letter, a folder, a backup of another vault, a backup of ours with a damaged header."""
    (tmp_path / "letter").write_bytes(b"dear Bo")
    (tmp_path / "folder").mkdir()
    vaults.create("other").backup(tmp_path / "of another")
    vault.backup(tmp_path / "damaged")
    change(tmp_path / "damaged", 40_000)
    for name in ("letter", "folder", "of another", "damaged"):
        before = (tmp_path / name).read_bytes() if (tmp_path / name).is_file() else b""
        with pytest.raises(ExistsError, match="no backup of this vault"):
            vault.backup(tmp_path / name)
        assert ((tmp_path / name).read_bytes() if (tmp_path / name).is_file() else b"") == before


def test_a_link_stays_a_link(vault: Vault, tmp_path: Path) -> None:
    """What it leads to is made and gone on from; a link to a disk that is not there is an error."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "backup")
    assert not vault.backup(tmp_path / "link").incremental
    assert vault.backup(tmp_path / "link").incremental
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["backup"]
    (tmp_path / "gone").symlink_to(tmp_path / "no disk" / "backup")
    with pytest.raises(NotFoundError, match="make it first"):
        vault.backup(tmp_path / "gone")


@pytest.mark.parametrize("meanwhile", ["nothing", "another way", "a space erased", "its turn"])
def test_a_backup_of_newer_states_stays(
    vaults: QuickVaults, place: Path, tmp_path: Path, meanwhile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vault that was rolled back does not overwrite the backup that holds what it lost, whatever else happened."""
    with vaults.create() as vault:
        vault.create_space("second")
    shutil.copytree(vaults.path(), tmp_path / "older")
    with vaults.open() as vault:
        vault.space().remember("only in the backup")
        vault.backup(place)
    shutil.rmtree(vaults.path())
    shutil.copytree(tmp_path / "older", vaults.path())
    with vaults.open(accept_rollback=True) as vault:
        before = place.read_bytes()
        if meanwhile == "another way":
            vault.space().remember("another way")
        elif meanwhile == "a space erased":
            vault.erase_space("second")
        elif meanwhile == "its turn":
            monkeypatch.setattr(backing_up, "SEGMENTS_MAX", 1)
        with pytest.raises(ExistsError, match="never was in"):
            vault.backup(place)
        assert place.read_bytes() == before
        vault.backup(tmp_path / "elsewhere")


def test_a_space_that_was_rolled_back_alone(vaults: QuickVaults, place: Path, tmp_path: Path) -> None:
    """The catalog knows nothing of it; its own chain does."""
    vaults.create().lock()
    shutil.copytree(vaults.path() / "spaces", tmp_path / "older")
    with vaults.open() as vault:
        vault.space().remember("only in the backup")
        vault.backup(place)
    shutil.rmtree(vaults.path() / "spaces")
    shutil.copytree(tmp_path / "older", vaults.path() / "spaces")
    with vaults.open(accept_rollback=True) as vault:
        vault.space().remember("another way")
        with pytest.raises(ExistsError, match="never was in"):
            vault.backup(place)


def test_two_replicas_do_not_overwrite_each_other(vaults: QuickVaults, place: Path, tmp_path: Path) -> None:
    """A copy that went its own way gives another place."""
    vaults.create().lock()
    shutil.copytree(vaults.path(), vaults.path("copy"))
    with vaults.open() as vault, vaults.adopt("copy") as copy:
        vault.space().remember("here")
        copy.space().remember("there")
        vault.backup(place)
        with pytest.raises(ExistsError, match="never was in"):
            copy.backup(place)


def test_a_restored_vault_goes_on_with_its_backup(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """It is the same line, though it is another replica."""
    vault.space().remember("turn")
    vault.backup(place)
    vault.lock()
    with vaults.restore(place) as restored:
        restored.space().remember("after")
        assert restored.backup(place).nodes == 2
        restored.space().remember("later")
        assert restored.backup(place).incremental


def test_a_damaged_vault_does_not_replace_a_good_backup(vault: Vault, place: Path) -> None:
    """A node that vanished from the database shows in its digest."""
    vault.space().remember_many([Draft(f"turn {number}") for number in range(5)])
    vault.backup(place)
    before = place.read_bytes()
    with vault.space()._space.store.fresh.database.write() as connection:
        connection.execute("DELETE FROM node WHERE seq = 2")
    with pytest.raises(TamperedError, match="space main is not what was last written to it"):
        vault.backup(place)
    assert place.read_bytes() == before
