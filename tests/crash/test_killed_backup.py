"""A process is killed while it backs up, restores or compacts: the old backup is whole, and no half vault is there."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from crash.killing import Working, run_and_kill
from mimir_vault.model.draft import Draft
from mimir_vault.store.padding import size_class
from quick_vaults import QuickVaults

ROUNDS = int(os.environ.get("MIMIR_CRASH_ROUNDS", "3"))


@pytest.fixture
def moments() -> random.Random:
    """Where the moments of killing come from."""
    return random.Random(97 if ROUNDS <= 10 else None)


def restored_nodes(vaults: QuickVaults) -> list[str]:
    """Restore the backup there is, see that nothing is wrong with it, and return the ids of its nodes."""
    with vaults.restore(vaults.folder / "backup", "look") as vault:
        assert vault.verify(full=True) == []
        ids = [node.id for node in vault.space().nodes()]
    shutil.rmtree(vaults.path("look"))
    return ids


@pytest.mark.parametrize("words", [(), ("anew",)], ids=["going on", "anew"])
def test_the_old_backup_stays_whole(
    vaults: QuickVaults, tmp_path: Path, moments: random.Random, words: tuple[str, ...]
) -> None:
    """What lies at the place is the last acknowledged backup or the one after it, and the next one cleans up."""
    with vaults.create() as vault:
        vault.space().remember_many([Draft(f"turn {number} " + "x" * 3_000) for number in range(60)])
    last = 0
    for _ in range(ROUNDS):
        said = run_and_kill(tmp_path, "back_up", *words, lines=moments.randrange(1, 4), seconds=moments.random() * 0.1)
        last = int(said[-1]) if said else last
        if not (tmp_path / "backup").exists():
            assert not said
            continue
        ids = restored_nodes(vaults)
        with vaults.open() as vault:
            if not words:
                assert ids == [node.id for node in vault.space().nodes()][: len(ids)]
                assert len(ids) in (last, last + 1) or (not said and len(ids) >= last)
            vault.backup(tmp_path / "backup")
            assert restored_nodes(vaults) == [node.id for node in vault.space().nodes()]
            last = vault.space().count()
        assert not list(tmp_path.glob(".backup*"))


def test_a_killed_restore_leaves_nothing_at_the_place(
    vaults: QuickVaults, tmp_path: Path, moments: random.Random
) -> None:
    """What lies at a place is a whole vault."""
    with vaults.create() as vault:
        vault.space().remember_many([Draft(f"turn {number}") for number in range(200)])
        vault.backup(tmp_path / "backup")
        ids = [node.id for node in vault.space().nodes()]
    for _ in range(ROUNDS):
        made = run_and_kill(tmp_path, "restore", lines=moments.randrange(0, 2), seconds=moments.random() * 0.8)
        there = {path.name for path in tmp_path.glob("restored *") if ".new-" not in path.name}
        assert set(made) <= there
        assert len(there) - len(made) <= 1
        for name in there:
            with vaults.open(name) as vault:
                assert [node.id for node in vault.space().nodes()] == ids
                assert vault.verify(full=True) == []
            shutil.rmtree(tmp_path / name)
        for left in tmp_path.glob("*.new-*"):
            shutil.rmtree(left)


def test_a_killed_compacting_loses_nothing(vaults: QuickVaults, tmp_path: Path, moments: random.Random) -> None:
    """All nodes are there, and the file has the length of a class after the next close."""
    with vaults.create() as vault:
        vault.space().remember_many([Draft(f"turn {number} " + "x" * 3_000) for number in range(200)])
        ids = [node.id for node in vault.space().nodes()]
    for _ in range(ROUNDS):
        run_and_kill(tmp_path, "compact", lines=1, seconds=moments.random() * 0.15)
        with vaults.open() as vault:
            assert [node.id for node in vault.space().nodes()] == ids
            assert vault.verify(full=True) == []
        (size,) = (path.stat().st_size for path in (tmp_path / "vault" / "spaces").iterdir())
        assert size == size_class(size, 1 << 20)


def test_two_processes_at_one_place(vaults: QuickVaults, tmp_path: Path) -> None:
    """A backup beside another process that remembers and forgets all the time is of one moment, whole."""
    vaults.create().lock()
    with Working(tmp_path, "remember", "Ada") as ada, vaults.open() as vault:
        assert ada.hear() == "open"
        done = []
        for _ in range(5):
            ada.hear()
            done.append(vault.backup(tmp_path / "backup").nodes)
            assert len(restored_nodes(vaults)) == done[-1]
    assert done == sorted(done)
