"""A disk that is full: one clear error, nothing acknowledged lost, and the same vault goes on once there is room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.mounting import SmallDisk, small_disk, why_not
from mimir_vault.errors import DiskFullError, InterruptedBatchError, MimirError
from mimir_vault.model.draft import Draft
from mimir_vault.testing import RAW_KEY, HashEmbedder
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

pytestmark = pytest.mark.skipif(why_not() != "", reason=why_not() or "-")
LONG = "a long turn about many things " * 60


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 6 MiB."""
    with small_disk(tmp_path / "disk", "6m") as disk:
        yield disk


@pytest.fixture
def on_disk(disk: SmallDisk, tmp_path: Path) -> Iterator[QuickVaults]:
    """Vaults on the small disk; their state folder lies elsewhere."""
    quick = QuickVaults(disk.path, tmp_path / "state")
    yield quick
    quick.lock_all()


def one_sentence(error: MimirError) -> bool:
    """Say whether an error speaks in one line."""
    return 10 < len(str(error)) < 300 and "\n" not in str(error)


def remember_until_full(vault: Vault) -> list[str]:
    """Remember long turns one by one until the disk is full; return the ids that were acknowledged."""
    ids: list[str] = []
    try:
        for number in range(10_000):
            ids.append(vault.space().remember(f"{number} {LONG}", session="talk").id)
    except DiskFullError as error:
        assert one_sentence(error)  # noqa: PT017 (how far it came is wanted)
    assert len(ids) < 10_000
    return ids


def test_writing_until_it_is_full(on_disk: QuickVaults, disk: SmallDisk) -> None:
    """All that was acknowledged is there, at once and after reopening on a disk still full; with room it goes on."""
    with on_disk.create() as vault:
        ids = remember_until_full(vault)
        assert len(ids) > 50
        assert [node.id for node in vault.space().nodes()] == ids
        assert vault.space().recall("many things", k=3)
    with on_disk.open() as vault:
        assert [node.id for node in vault.space().nodes()] == ids
    disk.remount("size=24m")
    with on_disk.open() as vault:
        ids.append(vault.space().remember("now there is room").id)
        assert [node.id for node in vault.space().nodes()] == ids
        assert not vault.verify(full=True)
    assert not list(disk.path.rglob("*-wal"))


def test_the_open_vault_goes_on(on_disk: QuickVaults, disk: SmallDisk) -> None:
    """A vault that met a full disk need not be opened anew once there is room."""
    with on_disk.create() as vault:
        ids = remember_until_full(vault)
        disk.remount("size=24m")
        ids.append(vault.space().remember("now there is room").id)
        assert [node.id for node in vault.space().nodes()] == ids
        assert not vault.verify(full=True)


def test_a_batch_on_a_full_disk(on_disk: QuickVaults) -> None:
    """A batch says what was stored before the disk was full, and just that is stored."""
    with on_disk.create() as vault:
        with pytest.raises(InterruptedBatchError) as caught:
            vault.space().remember_many([Draft(f"turn {number} about many things") for number in range(9_000)])
        assert isinstance(caught.value.__cause__, DiskFullError)
        assert [node.id for node in caught.value.done] == [node.id for node in vault.space().nodes()]
        assert caught.value.done
        assert one_sentence(caught.value)


def test_making_a_vault_or_space(on_disk: QuickVaults, disk: SmallDisk) -> None:
    """Where there is no room for a vault or a space, nothing of it is left behind."""
    with on_disk.create() as vault:
        disk.fill(leaving=300_000)
        before = sorted(path.name for path in disk.path.rglob("*"))
        with pytest.raises(DiskFullError) as caught:
            vault.create_space("another")
        assert one_sentence(caught.value)
        assert [info.name for info in vault.spaces()] == ["main"]
        with pytest.raises(DiskFullError) as caught:
            on_disk.create("second")
        assert one_sentence(caught.value)
        assert {path.name for path in disk.path.rglob("*") if "-wal" not in path.name} <= set(before)
        (disk.path / "ballast").unlink()
        vault.create_space("another").remember("there is room")
        assert not vault.verify(full=True)


def test_changing_key_slots(on_disk: QuickVaults, disk: SmallDisk) -> None:
    """A key slot that could not be added for want of room leaves the vault as it was, and opens with what it had."""
    with on_disk.create() as vault:
        disk.fill(leaving=20_000)
        with pytest.raises(DiskFullError) as caught:
            vault.keyslots.add_raw_key(bytes(32))
        assert one_sentence(caught.value)
        (disk.path / "ballast").unlink()
        assert len(vault.keyslots.list()) == 1
    with on_disk.open(raw_key=RAW_KEY) as vault:
        assert not vault.verify()
    assert sorted(path.name for path in on_disk.path().iterdir()) == ["catalog.db", "header", "header.copy", "spaces"]


def test_forgetting_on_a_full_disk(on_disk: QuickVaults, disk: SmallDisk) -> None:
    """A forget either happens, be it pending, or says that the disk is full; with room it is finished."""
    with on_disk.create() as vault:
        ids = remember_until_full(vault)
        try:
            done = vault.space().forget(ids[3]).on_disk in ("erased", "pending")
        except DiskFullError as error:
            done = not one_sentence(error)
        there = [node.id for node in vault.space().nodes()]
        assert there == ([one for one in ids if one != ids[3]] if done else ids)
        disk.remount("size=24m")
        if not done:
            assert vault.space().forget(ids[3]).on_disk == "erased"
        assert vault.space().get(ids[3]) is None
        assert not vault.verify(full=True)


def test_a_full_state_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A state folder that is full costs the guard against old copies, with a warning, but no node."""
    with small_disk(tmp_path / "small", "1m") as disk:
        vaults = QuickVaults(tmp_path, disk.path / "state", HashEmbedder())
        with vaults.create() as vault:
            disk.fill()
            ids = [vault.space().remember(f"turn {number}").id for number in range(40)]
            assert "could not be noted" in caplog.text
        (disk.path / "ballast").unlink()
        with vaults.open() as vault:
            assert [node.id for node in vault.space().nodes()] == ids
            assert not vault.verify(full=True)
