"""Tests of the two copies on disk: reading, mending, and what a fault at any moment leaves behind."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mimir_vault.errors import (
    DiskFullError,
    FormatError,
    MimirError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
    TamperedError,
)
from mimir_vault.keyslots import header_file
from mimir_vault.keyslots.change import new_replica
from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.header_file import COPY_FILE, HEADER_FILE, read, repair, write
from mimir_vault.keyslots.unlock import UnlockedRoot

Created = tuple[Header, UnlockedRoot]


@pytest.fixture
def older(created: Created) -> Header:
    """A header of epoch 1."""
    return created[0]


@pytest.fixture
def newer(created: Created, source: Callable[[int], bytes]) -> Header:
    """The same vault's header of epoch 2."""
    return new_replica(*created, random=source)


def test_both_copies_are_written_and_read(tmp_path: Path, older: Header) -> None:
    """Two identical files of 64 KiB, readable by their owner only, and nothing beside them."""
    write(tmp_path, older)

    assert sorted(path.name for path in tmp_path.iterdir()) == [HEADER_FILE, COPY_FILE]
    for name in (HEADER_FILE, COPY_FILE):
        assert (tmp_path / name).read_bytes() == older.encode()
        if os.name == "posix":
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    found = read(tmp_path)
    assert (found.header, found.stale) == (older, ())


@pytest.mark.parametrize(("name", "other"), [(HEADER_FILE, COPY_FILE), (COPY_FILE, HEADER_FILE)])
@pytest.mark.parametrize("damage", [None, b"", b"MIMIR\r\n\x1a", b"\0" * 65_536, b"foreign", "flip"])
def test_one_whole_copy_is_enough(
    tmp_path: Path, older: Header, name: str, other: str, damage: bytes | str | None
) -> None:
    """Missing, empty, torn, zeroed, foreign or flipped: the other copy is used, and mends it."""
    write(tmp_path, older)
    if damage is None:
        (tmp_path / name).unlink()
    elif isinstance(damage, bytes):
        (tmp_path / name).write_bytes(damage)
    else:
        raw = bytearray(older.encode())
        raw[30_000] ^= 4
        (tmp_path / name).write_bytes(raw)

    found = read(tmp_path)
    assert (found.header, found.stale) == (older, (name,))
    repair(tmp_path, found)

    assert (tmp_path / name).read_bytes() == (tmp_path / other).read_bytes() == older.encode()
    assert read(tmp_path).stale == ()


@pytest.mark.parametrize("name", [HEADER_FILE, COPY_FILE])
def test_the_newer_copy_wins(tmp_path: Path, older: Header, newer: Header, name: str) -> None:
    """Whichever file holds it, the higher epoch is used and the other file is stale."""
    write(tmp_path, older)
    (tmp_path / name).write_bytes(newer.encode())

    found = read(tmp_path)
    repair(tmp_path, found)

    assert found.header == newer
    assert read(tmp_path).header == newer
    assert read(tmp_path).stale == ()


def test_two_headers_of_one_epoch_are_made_one(tmp_path: Path, older: Header, created: Created) -> None:
    """The header proper counts; its copy is mended."""
    write(tmp_path, older)
    twin = older.authenticated(created[1].catalog_key)
    (tmp_path / COPY_FILE).write_bytes(twin.encode())

    found = read(tmp_path)

    assert (found.header, found.stale) == (older, (COPY_FILE,))


def test_nothing_is_repaired_where_nothing_is_stale(
    tmp_path: Path, older: Header, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sound vault is not written to by opening it."""
    write(tmp_path, older)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("wrote without need"))

    repair(tmp_path, read(tmp_path))


@pytest.mark.parametrize(
    ("header", "copy", "error", "sentence"),
    [
        (None, None, FormatError, "holds no header"),
        (b"foreign", None, FormatError, "not a vault"),
        (b"foreign", b"foreign", FormatError, "not a vault"),
        (b"MIMIR\r\n\x1a\2", b"MIMIR\r\n\x1a\2", FormatError, "format 2"),
        (b"MIMIR\r\n\x1a\1", None, TamperedError, "has 9 bytes"),
        (b"foreign", b"MIMIR\r\n\x1a\1", TamperedError, "has 9 bytes"),
        (b"MIMIR\r\n\x1a\1".ljust(65_536), b"MIMIR\r\n\x1a\1".ljust(65_536), TamperedError, "checksum"),
    ],
    ids=["none", "foreign", "both foreign", "newer", "torn", "foreign and torn", "both damaged"],
)
def test_without_a_whole_copy_the_error_says_most(
    tmp_path: Path, header: bytes | None, copy: bytes | None, error: type[MimirError], sentence: str
) -> None:
    """Damage is told apart from what is no vault and from what a newer version wrote."""
    for name, content in ((HEADER_FILE, header), (COPY_FILE, copy)):
        if content is not None:
            (tmp_path / name).write_bytes(content)

    with pytest.raises(error, match=sentence):
        read(tmp_path)


def test_a_file_that_is_far_too_long_is_not_read_whole(tmp_path: Path) -> None:
    """One byte more than a header has is enough to see that it is none."""
    (tmp_path / HEADER_FILE).write_bytes(b"MIMIR\r\n\x1a\1".ljust(200_000))

    with pytest.raises(TamperedError, match="has 65537 bytes instead of 65536"):
        read(tmp_path)


def test_a_missing_folder_is_not_found(tmp_path: Path) -> None:
    """There is no vault there, and the sentence says what makes one; a file is no vault either."""
    with pytest.raises(NotFoundError, match="mimir init"):
        read(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FormatError, match="not a vault"):
        read(tmp_path / "file")


def test_an_unreadable_header_is_a_matter_of_storage(tmp_path: Path) -> None:
    """What the operating system refuses to read is not called tampering."""
    (tmp_path / HEADER_FILE).mkdir()

    with pytest.raises(StorageError, match="cannot be read"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EROFS, ReadOnlyError),
        (errno.EACCES, ReadOnlyError),
        (errno.EIO, StorageError),
    ],
)
@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_faults_of_the_system_are_translated(
    tmp_path: Path, older: Header, monkeypatch: pytest.MonkeyPatch, call: str, number: int, error: type[StorageError]
) -> None:
    """Each fault becomes the class that a person can act on, and no half-written file stays."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(header_file.os, call, fail)

    with pytest.raises(error) as caught:
        write(tmp_path, older)

    assert caught.type is error
    assert "header" in str(caught.value)
    assert error is DiskFullError or f"({os.strerror(number)})" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_fault_without_words_is_named(tmp_path: Path, older: Header, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that carries no text of the system is known by its class."""

    def fail(*_: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr(header_file.os, "replace", fail)

    with pytest.raises(StorageError, match=r"could not be written \(BlockingIOError\)"):
        write(tmp_path, older)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has an fsync of folders")
def test_what_is_written_is_durable_before_it_counts(
    tmp_path: Path, older: Header, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each copy lies whole on the disk before it takes its name, and the name does before the next copy is touched."""
    done: list[tuple[str, object]] = []
    fsync, replace_file = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        folder = stat.S_ISDIR(status.st_mode)
        done.append(("fsync", status.st_ino if folder else status.st_size))
        fsync(descriptor)

    def note_replace(old: Path, new: Path) -> None:
        done.append(("replace", new.name))
        replace_file(old, new)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)

    write(tmp_path, older)

    folder = ("fsync", tmp_path.stat().st_ino)
    assert done == [
        ("fsync", 65_536), ("replace", COPY_FILE), folder,
        ("fsync", 65_536), ("replace", HEADER_FILE), folder,
    ]  # fmt: skip


def test_few_bytes_reach_the_disk_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a buffer of Python still held would not be there after a power cut, although fsync had been called."""
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))

    header_file._replace_file(tmp_path, HEADER_FILE, b"few")

    assert sizes[0] == 3


@pytest.mark.skipif(os.name != "posix", reason="only POSIX opens folders")
def test_a_folder_that_was_opened_is_closed(tmp_path: Path, older: Header, monkeypatch: pytest.MonkeyPatch) -> None:
    """The descriptor behind the fsync of the folder is given back, once for each copy."""
    opened: list[int] = []
    closed: list[int] = []
    genuine_open, genuine_close = os.open, os.close

    def note_open(path: Path, *arguments: int) -> int:
        descriptor = genuine_open(path, *arguments)
        if path == tmp_path:
            opened.append(descriptor)
        return descriptor

    def note_close(descriptor: int) -> None:
        closed.append(descriptor)
        genuine_close(descriptor)

    monkeypatch.setattr(os, "open", note_open)
    monkeypatch.setattr(os, "close", note_close)

    write(tmp_path, older)

    assert len(opened) == 2
    assert closed == opened


def test_a_fault_at_any_moment_leaves_a_whole_header(
    tmp_path: Path, older: Header, newer: Header, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping before each single call of the system leaves the old header or the new one, never none."""
    genuine = {name: getattr(os, name) for name in ("open", "fsync", "replace")}
    seen: list[int] = []
    for allowed in range(20):
        write(tmp_path, older)
        calls = 0

        def stop_at(name: str, limit: int) -> Callable[..., object]:
            def call(*arguments: object, **keywords: object) -> object:
                nonlocal calls
                calls += 1
                if calls > limit:
                    raise KeyboardInterrupt
                return genuine[name](*arguments, **keywords)

            return call

        for name in genuine:
            monkeypatch.setattr(os, name, stop_at(name, allowed))
        try:
            write(tmp_path, newer)
            finished = True
        except KeyboardInterrupt:
            finished = False
        for name, function in genuine.items():
            monkeypatch.setattr(os, name, function)

        found = read(tmp_path)
        assert found.header in (older, newer)
        seen.append(found.header.epoch)
        if finished:
            break

    assert finished
    assert seen == sorted(seen)
    assert {1, 2} == set(seen)


def test_what_a_crash_left_is_written_over(tmp_path: Path, older: Header) -> None:
    """A half-written new file of an earlier crash does not hinder the next write."""
    (tmp_path / (COPY_FILE + ".new")).write_bytes(b"half" * 40_000)

    write(tmp_path, older)

    assert sorted(path.name for path in tmp_path.iterdir()) == [HEADER_FILE, COPY_FILE]
    assert (read(tmp_path).header, read(tmp_path).stale) == (older, ())
