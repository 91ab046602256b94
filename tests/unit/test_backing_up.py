"""Backing up: what goes into the file, when it goes on from the one that is there, and when that is written anew."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from backups import change, contents, held, pin
from mimir_vault import backing_up
from mimir_vault.backing_up import LAST_BACKUP
from mimir_vault.backup_file import PORTIONS_START, SEGMENTS_MAX, BackupReader
from mimir_vault.crypto.backup_sealer import BackupSealer
from mimir_vault.errors import LockedError, NotFoundError, VaultBusyError
from mimir_vault.model.draft import Draft
from mimir_vault.store import audit
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where backups of these tests go."""
    return tmp_path / "backup"


def test_what_was_done_is_said(vault: Vault, place: Path) -> None:
    """How many nodes, how many of them new, how long the file is, and when."""
    vault.space().remember_many([Draft(f"turn {number}") for number in range(5)])
    first = vault.backup(place)
    assert (first.path, first.nodes, first.added, first.incremental) == (place, 5, 5, False)
    assert first.bytes == place.stat().st_size == 1 << 20
    vault.space().remember("one more")
    second = vault.backup(place)
    assert (second.nodes, second.added, second.incremental) == (6, 1, True)
    assert second.at > first.at


def test_it_is_noted_in_the_catalog(vault: Vault, place: Path) -> None:
    """When, as a setting, and in the audit with counts alone."""
    done = vault.backup(place)
    assert vault._catalog.setting(LAST_BACKUP) == round(done.at.timestamp() * 1_000_000)
    with vault._catalog.fresh.read() as connection:
        last = list(audit.events(connection, vault._catalog.fresh.digester))[-1]
    assert (last.verb, last.facts) == ("backed up", {"nodes": 0, "added": 0, "incremental": False})


def test_nothing_is_left_beside_it(vault: Vault, place: Path) -> None:
    """One file, which only its owner may read."""
    before = set(place.parent.iterdir())
    vault.backup(place)
    assert set(place.parent.iterdir()) - before == {place}
    assert place.stat().st_mode & 0o077 == 0


def test_going_on_takes_what_is_new(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """New nodes, nodes whose state changed, new spaces, other names: and the old portions stay as they were."""
    memory = vault.space()
    first = memory.remember_many([Draft(f"turn {number}", session="talk") for number in range(20)])
    vault.backup(place)
    with BackupReader(place) as before:
        old = place.read_bytes()[PORTIONS_START : PORTIONS_START + 65_536]
    pin(memory, first[3].id)
    memory.supersede(first[4].id, "said otherwise")
    memory.remember("a turn more", session="talk")
    vault.create_space("another").remember("there")
    vault.rename_space("another", "renamed")
    done = vault.backup(place)
    assert (done.incremental, done.added, done.nodes) == (True, 4, 23)
    with BackupReader(place) as after:
        assert after.id == before.id
    assert place.read_bytes()[PORTIONS_START : PORTIONS_START + 65_536] == old
    assert held(vaults, place) == contents(vault)
    assert held(vaults, place)["main"][3].pinned


def test_again_without_news_adds_nothing(vault: Vault, place: Path) -> None:
    """Not even a segment."""
    vault.space().remember("turn")
    for _ in range(3):
        vault.backup(place)
    with BackupReader(place) as reader:
        reader.unlock(BackupSealer(vault._keys.backup_key(), vault._keys.vault_id, reader.id, os.urandom))
        assert len(reader.guide.segments) == 1


def forget(vault: Vault) -> None:
    """Forget the first node."""
    vault.space().forget(next(iter(vault.space().nodes())).id)


def erase_space(vault: Vault) -> None:
    """Erase the second space."""
    vault.erase_space("second")


def rebuild(vault: Vault) -> None:
    """Make everything derived again."""
    vault.rebuild()


def lose_the_guide(vault: Vault) -> None:
    """Change a byte of the guide."""
    change(vault.path.parent / "backup", 66_000)


def lose_a_portion(vault: Vault) -> None:
    """Change a byte of the first portion."""
    change(vault.path.parent / "backup", PORTIONS_START + 50)


@pytest.mark.parametrize("happening", [forget, erase_space, rebuild, lose_the_guide, lose_a_portion])
def test_it_is_written_anew(vaults: QuickVaults, vault: Vault, place: Path, happening: Any) -> None:
    """When something that is in it is gone from the vault, or it cannot be gone on from: with another id."""
    vault.space().remember_many([Draft(f"turn {number}") for number in range(5)])
    vault.create_space("second").remember("there")
    vault.backup(place)
    with BackupReader(place) as reader:
        first = reader.id
    happening(vault)
    done = vault.backup(place)
    assert (done.incremental, done.added) == (False, done.nodes)
    with BackupReader(place) as reader:
        assert reader.id != first
    assert held(vaults, place) == contents(vault)


def test_a_node_that_no_backup_held_may_be_forgotten(vault: Vault, place: Path) -> None:
    """Put and forgotten between two backups, it is no reason to begin anew."""
    vault.space().remember("stays")
    vault.backup(place)
    vault.space().forget(vault.space().remember("goes").id)
    assert vault.backup(place).incremental


def test_states_that_change_again_and_again(vault: Vault, place: Path, vaults: QuickVaults) -> None:
    """The file does not grow for ever: with two rows for each node it is written anew."""
    node = vault.space().remember("turn")
    vault.space().remember("another")
    kinds = []
    for _ in range(9):
        kinds.append(vault.backup(place).incremental)
        pin(vault.space(), node.id)
    assert kinds.count(False) in (2, 3)
    vault.backup(place)
    assert held(vaults, place) == contents(vault)


def test_many_segments(vault: Vault, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many additions it is written anew."""
    assert SEGMENTS_MAX == 64
    monkeypatch.setattr(backing_up, "SEGMENTS_MAX", 3)
    kinds = []
    for number in range(6):
        vault.space().remember(f"turn {number}")
        kinds.append(vault.backup(place).incremental)
    assert kinds == [False, True, True, False, True, True]


def test_impossible_places(vault: Vault, tmp_path: Path) -> None:
    """Inside the vault, where it would be lost with it, and in a folder that is not there."""
    with pytest.raises(ValueError, match="outside its vault"):
        vault.backup(vault.path / "backup")
    with pytest.raises(ValueError, match="outside its vault"):
        vault.backup(vault.path / "spaces" / ".." / "backup")
    with pytest.raises(NotFoundError, match="make it first"):
        vault.backup(tmp_path / "nowhere" / "backup")


def test_inside_a_transaction(vault: Vault, place: Path) -> None:
    """What may still be undone is not backed up, nor packed."""
    with vault.space().transaction() as memory:
        memory.remember("may be undone")
        with pytest.raises(ValueError, match="outside a transaction"):
            vault.backup(place)
        with pytest.raises(ValueError, match="outside a transaction"):
            vault.compact()
    assert not place.exists()
    assert vault.backup(place).nodes == 1


def test_a_locked_vault(vault: Vault, place: Path) -> None:
    """Has nothing to back up."""
    vault.lock()
    with pytest.raises(LockedError):
        vault.backup(place)
    assert not place.exists()


def test_read_only(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """A vault that was opened read-only can be backed up; nothing is noted in it."""
    vault.space().remember("turn")
    vault.lock()
    files = {path: path.read_bytes() for path in vaults.path().rglob("*") if path.is_file()}
    with vaults.open(read_only=True) as reader:
        assert reader.backup(place).nodes == 1
    assert {path: path.read_bytes() for path in vaults.path().rglob("*") if path.is_file()} == files
    assert held(vaults, place) == {"main": list(vaults.open().space().nodes())}


def test_spaces_are_not_kept_open(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """A vault of thousands of spaces is backed up one by one; those that were open stay so."""
    for number in range(5):
        vault.create_space(f"space {number}").remember("turn")
    vault.lock()
    with vaults.open() as again:
        again.space("space 3")
        for _ in range(2):
            assert again.backup(place, lambda done, total: None).nodes == 5
            assert [space.name for space in again._spaces._open.values()] == ["space 3"]
        assert len(list((again.path / "spaces").glob("*-wal"))) == 1
        assert again.space("space 3").count() == again.space("space 4").count() == 1


def test_progress_counts_nodes(vault: Vault, place: Path) -> None:
    """Up to the number of those that are read, never beyond."""
    vault.space().remember_many([Draft(f"turn {number} " + "x" * 5_000) for number in range(60)])
    told: list[tuple[int, int]] = []
    vault.backup(place, lambda done, total: told.append((done, total)))
    assert told[-1] == (60, 60)
    assert len(told) > 2
    assert told == sorted(told)
    vault.space().remember("one more")
    told.clear()
    vault.backup(place, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]


def test_an_error_in_between_leaves_the_old_one(vault: Vault, place: Path) -> None:
    """Here the caller's own, out of `progress`."""
    vault.space().remember("turn")
    vault.backup(place)
    before = place.read_bytes()
    vault.space().remember("another")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vault.backup(place, stop)
    assert place.read_bytes() == before
    assert not list(place.parent.glob(".*.new"))
    assert vault.backup(place).added == 1


def test_two_backups_to_one_place_at_once(vault: Vault, place: Path) -> None:
    """One is made, the other told to wait; nothing is mixed."""
    vault.space().remember_many([Draft(f"turn {number}") for number in range(50)])
    inside, go_on, refused = threading.Event(), threading.Event(), []

    def wait(done: int, total: int) -> None:
        inside.set()
        go_on.wait(20)

    thread = threading.Thread(target=vault.backup, args=(place, wait))
    thread.start()
    assert inside.wait(20)
    try:
        vault.backup(place)
    except VaultBusyError as error:
        refused.append(error)
    go_on.set()
    thread.join()
    assert len(refused) == 1
    assert vault.backup(place).incremental


def test_spaces_that_are_renamed_and_erased_meanwhile(
    vaults: QuickVaults, vault: Vault, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup begins again, and holds one state of the catalog."""
    for number in range(3):
        vault.create_space(f"space {number}").remember(f"in {number}")
    take, happened = backing_up._Run._take_space, []

    def disturbed(self: Any, *given: Any) -> None:
        take(self, *given)
        if not happened:
            happened.append(vault.rename_space("space 1", "renamed"))
            vault.erase_space("space 2")

    monkeypatch.setattr(backing_up._Run, "_take_space", disturbed)
    vault.backup(place)
    assert sorted(held(vaults, place)) == ["main", "renamed", "space 0"]


def test_writers_go_on_meanwhile(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """Threads remember and pin all the time; each backup is of one moment, whole and in order."""
    memory, stop = vault.space(), threading.Event()
    first = memory.remember("turn -1", session="talk")

    def work() -> None:
        number = 0
        while not stop.is_set():
            memory.remember_many([Draft(f"turn {number + one}", session="talk") for one in range(3)])
            pin(memory, first.id)
            number += 3

    worker = threading.Thread(target=work)
    worker.start()
    try:
        made = [vault.backup(place).nodes for _ in range(6)]
    finally:
        stop.set()
        worker.join()
    assert made == sorted(made)
    texts = [node.text for node in held(vaults, place)["main"]]
    assert texts == [f"turn {number}" for number in range(-1, len(texts) - 1)]
    assert len(texts) == made[-1]
    assert len(texts) % 3 == 1
