"""Places that may not be written, and file systems where locks do not hold: one clear sentence, and reading goes on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crash.killing import run_and_kill
from crash.mounting import SmallDisk, small_disk, why_not
from mimir_vault.errors import MimirError, ReadOnlyError, VaultBusyError
from mimir_vault.store.database import Database
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

needs_mount = pytest.mark.skipif(why_not() != "", reason=why_not() or "-")


def one_sentence(error: MimirError) -> bool:
    """Say whether an error speaks in one line."""
    return 10 < len(str(error)) < 300 and "\n" not in str(error)


def files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 24 MiB."""
    with small_disk(tmp_path / "disk", "24m") as disk:
        yield disk


@pytest.fixture
def on_disk(disk: SmallDisk, tmp_path: Path) -> Iterator[QuickVaults]:
    """Vaults on a disk of its own; their state folder lies elsewhere."""
    quick = QuickVaults(disk.path, tmp_path / "state")
    yield quick
    quick.lock_all()


def read_all(vault: Vault, count: int) -> None:
    """Read a vault in every way, and see that each way of writing is refused in one sentence."""
    memory = vault.space()
    assert memory.count() == count
    assert memory.recall("turn about things", k=3)
    assert not vault.verify(full=True)
    first = next(memory.nodes())
    for write in (
        lambda: memory.remember("more"), lambda: memory.forget(first.id), lambda: memory.supersede(first.id, "other"),
        memory.rebuild, lambda: vault.create_space("other"), lambda: vault.erase_space("main"),
        lambda: vault.rename_space("main", "other"), vault.keyslots.add_recovery_code,
    ):  # fmt: skip
        with pytest.raises(ReadOnlyError) as caught:
            write()
        assert one_sentence(caught.value)


def remember_some(vault: Vault) -> None:
    """Remember five turns."""
    for number in range(5):
        vault.space().remember(f"turn {number} about things", session="talk")


@needs_mount
def test_read_only_file_system(on_disk: QuickVaults, disk: SmallDisk) -> None:
    """A vault on a read-only file system says so when opened, opens with read_only, and is left as it was."""
    with on_disk.create() as vault:
        remember_some(vault)
    disk.remount("ro")
    before = files(disk.path)
    with pytest.raises(ReadOnlyError) as caught:
        on_disk.open()
    assert one_sentence(caught.value)
    with on_disk.open(read_only=True) as vault:
        read_all(vault, 5)
    with pytest.raises(ReadOnlyError) as caught:
        on_disk.create("another")
    assert one_sentence(caught.value)
    assert files(disk.path) == before


@needs_mount
def test_left_wal_on_a_read_only_file_system(on_disk: QuickVaults, disk: SmallDisk, tmp_path: Path) -> None:
    """What a crash left in a WAL is read on a read-only file system too, from sealed copies elsewhere."""
    on_disk.create().lock()
    (disk.path / "state").mkdir()
    acknowledged = run_and_kill(disk.path, "remember", lines=12)
    disk.remount("ro")
    assert list(disk.path.rglob("*-wal"))
    with on_disk.open(read_only=True) as vault:
        there = [node.id for node in vault.space().nodes()]
        assert set(acknowledged) <= set(there)
        read_all(vault, len(there))


def test_opening_to_read_changes_nothing(vaults: QuickVaults, tmp_path: Path) -> None:
    """A vault opened with read_only where it could be written is left as it was, byte for byte."""
    with vaults.create() as vault:
        remember_some(vault)
    before = files(vaults.path())
    with vaults.open(read_only=True) as vault:
        read_all(vault, 5)
    assert files(vaults.path()) == before


@needs_mount
def test_state_folder_that_may_not_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A vault whose state folder may not be written works, and warns that old copies will not be noticed."""
    with small_disk(tmp_path / "small", "2m") as disk:
        vaults = QuickVaults(tmp_path, disk.path / "state")
        vaults.create().lock()
        disk.remount("ro")
        with vaults.open() as vault:
            vault.space().remember("a turn")
            assert vault.space().count() == 1
        assert any(record.levelname == "WARNING" for record in caplog.records)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every folder lie on a network file system."""
    defaults: Any = Database.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "file_system", lambda path: "nfs4")


def test_network_file_system(vaults: QuickVaults, tmp_path: Path, network: None) -> None:
    """A vault on a network file system is neither opened nor made, in one sentence that names the file system."""
    with pytest.raises(VaultBusyError, match="nfs4") as caught:
        vaults.create()
    assert one_sentence(caught.value)
    assert not vaults.path().exists()
    assert not list(tmp_path.glob("vault*"))


def test_opening_on_a_network_file_system(vaults: QuickVaults, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault that was moved to a network file system is refused before anything is read or written."""
    with vaults.create() as vault:
        remember_some(vault)
    before = files(vaults.path())
    defaults: Any = Database.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "file_system", lambda path: "cifs" if "vault" in path.parts else "ext4")
    with pytest.raises(VaultBusyError, match="cifs"):
        vaults.open()
    assert files(vaults.path()) == before
    monkeypatch.undo()
    with vaults.open() as vault:
        assert vault.space().count() == 5


def test_a_folder_without_its_files(vaults: QuickVaults, tmp_path: Path) -> None:
    """A vault of which a part is missing is refused in one sentence, and nothing new is made in its place."""
    with vaults.create() as vault:
        remember_some(vault)
    for gone in ("catalog.db", "spaces"):
        place = tmp_path / f"without {gone}"
        shutil.copytree(vaults.path(), place)
        (shutil.rmtree if gone == "spaces" else Path.unlink)(place / gone)
        before = files(place)
        with pytest.raises(MimirError) as caught, vaults.open(place) as vault:
            vault.space()
        assert one_sentence(caught.value)
        assert files(place) == before
