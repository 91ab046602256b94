"""Spaces: files that are whole before they are named, keys that go first, and strays that are swept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mimir_vault import Vault
from mimir_vault.errors import DiskFullError, ExistsError, FormatError, LockedError, ReadOnlyError
from mimir_vault.recall.terms import TERMS_VERSION
from mimir_vault.spaces import check_space_name, sync_folder
from mimir_vault.store import audit


def files(vault: Vault) -> set[str]:
    """Return the names of files in the folder of spaces."""
    return {path.name for path in (vault.path / "spaces").iterdir()}


def verbs(vault: Vault) -> list[str]:
    """Return the verbs of the vault's audit."""
    with vault._catalog.fresh.read() as connection:
        return [event.verb for event in audit.events(connection, vault._catalog.fresh.digester)]


def test_a_space_s_file_is_named_by_its_salt(vault: Vault) -> None:
    """32 hexadecimal digits, which stand in its first 16 bytes, and tell nothing of the space's name."""
    vault.create_space("work")
    for row in vault._catalog.spaces():
        raw = (vault.path / "spaces" / row.file).read_bytes()
        assert raw[:16].hex() == row.file.removesuffix(".db")
    assert len(files(vault)) >= 2


def test_what_happens_to_spaces_is_audited(vault: Vault) -> None:
    """Creating, renaming, erasing: ids and verbs, no names."""
    vault.create_space("work")
    vault.rename_space("work", "büro")
    vault.erase_space("büro")
    assert verbs(vault)[-3:] == ["space created", "space renamed", "space erased"]
    with vault._catalog.fresh.read() as connection:
        facts = str([event.facts for event in audit.events(connection, vault._catalog.fresh.digester)])
    assert "büro" not in facts


@pytest.mark.parametrize("step", ["replace", "create"])
def test_a_space_that_cannot_be_made_leaves_nothing(vault: Vault, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """No row, no file, no audit; the sentence says what the system said."""
    before = files(vault)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    target = "mimir_vault.spaces.os.replace" if step == "replace" else "mimir_vault.spaces.SpaceStore.create"
    monkeypatch.setattr(target, refuse)
    with pytest.raises(DiskFullError, match="the file of space work could not be made: No space left"):
        vault.create_space("work")
    monkeypatch.undo()
    assert [info.name for info in vault.spaces()] == ["main"]
    assert files(vault) == before
    assert vault.create_space("work").count() == 0


def test_a_taken_name_leaves_no_file(vault: Vault) -> None:
    """The loser of a race deletes what it made."""
    before = files(vault)
    with pytest.raises(ExistsError):
        vault.create_space("main")
    assert files(vault) == before


def test_a_reader_changes_no_space(vaults: Any) -> None:
    """Creating, renaming and erasing are refused, and the space stays usable."""
    vaults.create().lock()
    reader = vaults.open(read_only=True)
    memory = reader.space()
    for verb in (
        lambda: reader.create_space("x"), lambda: reader.rename_space("main", "x"), lambda: reader.erase_space("main"),
    ):  # fmt: skip
        with pytest.raises(ReadOnlyError, match="without read_only"):
            verb()
    assert reader.space().count() == 0
    assert memory.count() == 0


def test_an_erased_space_leaves_nothing(vault: Vault) -> None:
    """Neither file nor WAL nor row nor pin; another handle cannot open it any more."""
    memory = vault.create_space("work")
    memory.remember("x")
    row = vault._catalog.space("work")
    vault.erase_space("work")
    assert not [name for name in files(vault) if name.startswith(row.file)]
    assert vault._pins is not None
    assert vault._pins.get(row.id.hex(), vault._header.replica_id) is None
    assert row.ring not in vault._catalog.fresh.database.connection().serialize("main")
    with pytest.raises(LockedError):
        memory.remember("y")


STRAYS = ["a" * 32 + ".db", "b" * 32 + ".db.new", "c" * 32 + ".db-wal", "d" * 32 + ".db-shm", "e" * 32 + ".db.new-wal"]
OTHERS = ["notes.txt", "photo.jpg", ".DS_Store", "a copy.db", "f" * 31 + ".db", "F" * 32 + ".db", "0" * 32]


def test_what_a_crash_left_of_a_space_is_swept(vaults: Any) -> None:
    """Files in the form of a space that no row names go at the next opening; those of living spaces stay."""
    vault = vaults.create()
    vault.lock()
    before = files(vault)
    for name in STRAYS:
        (vault.path / "spaces" / name).write_bytes(b"left behind")
    assert vaults.open().space().count() == 0
    assert {name for name in files(vault) if not name.endswith(("-wal", "-shm"))} == before


def test_nothing_that_is_not_mimir_s_is_swept(vaults: Any) -> None:
    """A note, a picture, a sync tool's copy and a folder are none of our business."""
    vault = vaults.create()
    vault.lock()
    for name in OTHERS:
        (vault.path / "spaces" / name).write_text("mine")
    (vault.path / "spaces" / "folder").mkdir()
    vaults.open().lock()
    assert files(vault) >= {*OTHERS, "folder"}


def test_a_reader_sweeps_nothing(vaults: Any) -> None:
    """Opening to read changes nothing at all."""
    vault = vaults.create()
    vault.lock()
    (vault.path / "spaces" / STRAYS[0]).write_bytes(b"left behind")
    vaults.open(read_only=True).lock()
    assert STRAYS[0] in files(vault)


def test_words_of_a_newer_release_are_refused_every_time(vaults: Any) -> None:
    """The first time and again: a space that was refused is not kept open."""
    vault = vaults.create()
    memory = vault.space()
    memory.remember("a zebra")
    with memory._space.store.write() as writer:
        writer.merge_words()
        writer.connection.execute("UPDATE derived SET version = ? WHERE kind = 'words'", (TERMS_VERSION + 1,))
    vault.lock()
    opened = vaults.open()
    for _ in range(2):
        with pytest.raises(FormatError, match="space main was indexed by a newer version of Mimir; update Mimir"):
            opened.space()


def test_words_of_an_older_release_are_made_anew(vaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At opening, by a rebuild; a reader takes them as they are."""
    vault = vaults.create()
    memory = vault.space()
    memory.remember("a zebra")
    with memory._space.store.write() as writer:
        writer.merge_words()
    vault.lock()
    monkeypatch.setattr("mimir_vault.spaces.TERMS_VERSION", TERMS_VERSION + 1)
    with vaults.open(read_only=True) as reader:
        assert len(reader.space().recall("zebra")) == 1
    opened = vaults.open().space()
    assert len(opened.recall("zebra", lanes=["lexical"])) == 1
    with opened._space.store.read() as connection:
        versions = connection.execute("SELECT version FROM derived WHERE kind = 'words'").fetchall()
        assert audit_of(opened)[-1] == "rebuilt"
    assert versions == [(TERMS_VERSION + 1,)]


def audit_of(memory: Any) -> list[str]:
    """Return the verbs of a space's audit."""
    with memory._space.store.read() as connection:
        return [event.verb for event in audit.events(connection, memory._space.store.sealer)]


@pytest.mark.parametrize("name", ["main", "büro", "a b", "日本", "x" * 256, "a.b/c:d", "-", "'; DROP TABLE space"])
def test_printable_names_will_do(vault: Vault, name: str) -> None:
    """On one line, without blanks around them: the name is no file name and no SQL."""
    check_space_name(name)
    if name != "main":
        assert vault.create_space(name).name == name
        assert vault.space(name).count() == 0


def test_folders_are_made_durable(tmp_path: Path) -> None:
    """By fsync, where the platform has it."""
    sync_folder(tmp_path)
    if os.name == "posix":
        with pytest.raises(FileNotFoundError):
            sync_folder(tmp_path / "gone")
