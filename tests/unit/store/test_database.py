"""One encrypted file: connections per thread, transactions, checkpoints, and what happens when things go wrong."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from mimir_vault.errors import (
    DiskFullError,
    LockedError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
    TamperedError,
    VaultBusyError,
)
from mimir_vault.store import database as module
from mimir_vault.store.cipher import CLEAR_FIELDS
from mimir_vault.store.database import Database, file_system_of

from .conftest import SALT, Seeds


def made(seeds: Seeds, **given: Any) -> Database:
    """Make a database with one table of numbers."""
    made = seeds.database(create=True, **given)
    with made.write() as connection:
        connection.execute("CREATE TABLE number (n INTEGER PRIMARY KEY, pad BLOB) STRICT")
    return made


def put(database: Database, *numbers: int, size: int = 0) -> None:
    """Write numbers in one transaction."""
    with database.write() as connection:
        connection.executemany("INSERT INTO number VALUES (?, zeroblob(?))", [(n, size) for n in numbers])


def numbers(database: Database) -> list[int]:
    """Return the numbers in the table."""
    with database.read() as connection:
        return [n for (n,) in connection.execute("SELECT n FROM number ORDER BY n")]


def in_thread(work: Callable[[], Any]) -> Any:
    """Run something in a thread of its own and return (or raise) what it does."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


def in_child(work: Callable[[], Any]) -> str:
    """Run something in a forked child; return the name of the error it raises there, "" when it does not."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Forking with threads is what is tested here.
        child = os.fork()
    if child == 0:
        try:
            work()
            name = ""
        except BaseException as error:
            name = type(error).__name__
        os.write(writer, name.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        name = pipe.read().decode()
    os.waitpid(child, 0)
    return name


def test_what_was_written_is_there_after_opening_again(seeds: Seeds) -> None:
    """The file begins with salt and fixed fields, has pages of 4 KiB, and no WAL is left after a clean close."""
    database = made(seeds)
    put(database, 1, 2)
    database.close()
    content = database.path.read_bytes()
    assert content[:24] == SALT + CLEAR_FIELDS
    assert len(content) % 4_096 == 0
    assert [path.name for path in seeds.folder.iterdir()] == ["test.db"]
    assert numbers(seeds.database()) == [1, 2]


def test_each_connection_has_the_settings_that_safety_needs(seeds: Seeds) -> None:
    """WAL, full fsync, zeroed deletions, no temporary files, no trust in the schema, no checkpoint by itself."""
    connection = made(seeds).connection()
    wanted = {
        "journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "temp_store": 2, "trusted_schema": 0,
        "cell_size_check": 1, "wal_autocheckpoint": 0, "fullfsync": 1, "page_size": 4_096, "busy_timeout": 20_000,
    }  # fmt: skip
    assert {pragma: connection.pragma(pragma) for pragma in wanted} == wanted
    light = seeds.database("light.db", create=True, durable=False).connection()
    assert light.pragma("synchronous") == 1


def test_every_thread_has_a_connection_of_its_own(seeds: Seeds) -> None:
    """One thread keeps its connection, another gets another, and those of ended threads are closed."""
    database = made(seeds)
    mine = database.connection()
    assert database.connection() is mine
    first = in_thread(database.connection)
    assert first is not mine
    in_thread(database.connection)
    with pytest.raises(apsw.ConnectionClosedError):
        first.execute("SELECT 1")
    assert mine.execute("SELECT 1").fetchall() == [(1,)]


def test_threads_write_without_losing_anything(seeds: Seeds) -> None:
    """Four threads that hammer one table lose no row."""
    database = made(seeds)

    def hammer(start: int) -> None:
        for n in range(start, start + 25):
            put(database, n)

    threads = [threading.Thread(target=hammer, args=(1_000 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(numbers(database)) == 100


def test_a_reader_sees_one_state_while_others_write(seeds: Seeds) -> None:
    """A block of reads holds the state of its beginning; blocks inside it join it."""
    database = made(seeds)
    put(database, 1)
    with database.read() as connection:
        in_thread(lambda: put(database, 2))
        assert connection.execute("SELECT count(*) FROM number").fetchall() == [(1,)]
        assert numbers(database) == [1]
    assert numbers(database) == [1, 2]


def test_a_reader_inside_a_write_sees_what_was_written(seeds: Seeds) -> None:
    """Reads of the writing thread join its transaction."""
    database = made(seeds)
    with database.write() as connection:
        connection.execute("INSERT INTO number VALUES (1, NULL)")
        assert numbers(database) == [1]


def test_a_write_that_raises_leaves_nothing(seeds: Seeds) -> None:
    """Whatever the block raises comes out, and all it wrote is rolled back, SQLite's own errors included."""
    database = made(seeds)

    def interrupted() -> None:
        with database.write() as connection:
            connection.execute("INSERT INTO number VALUES (1, NULL)")
            raise KeyboardInterrupt

    def mistaken() -> None:
        with database.write() as connection:
            connection.execute("INSERT INTO number VALUES (2, NULL)")
            connection.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(StorageError, match="the test database could not be read or written"):
        mistaken()
    assert numbers(database) == []
    put(database, 3)
    assert numbers(database) == [3]


def test_a_read_that_raises_ends_its_transaction(seeds: Seeds) -> None:
    """After an error inside a block of reads the thread can write."""
    database = made(seeds)
    with pytest.raises(StorageError), database.read() as connection:
        connection.execute("SELECT * FROM nowhere")
    put(database, 1)
    assert numbers(database) == [1]


def test_a_second_write_of_one_thread_is_refused(seeds: Seeds) -> None:
    """Transactions do not nest: a forgotten outer one would swallow the inner one's commit."""
    database = made(seeds)
    with database.write():
        with pytest.raises(StorageError, match="open already"), database.write():
            pass
        assert not database.checkpoint()


def test_a_writer_that_waits_too_long_is_told_so(seeds: Seeds) -> None:
    """While one connection holds the write lock another waits `busy_ms`, then gets VaultBusyError."""
    database = made(seeds, busy_ms=30)
    with database.write(), pytest.raises(VaultBusyError, match="another process holds the test database; try again"):
        in_thread(lambda: put(database, 1))
    in_thread(lambda: put(database, 1))
    assert numbers(database) == [1]


def test_a_full_disk_is_a_sentence_and_the_handle_goes_on(seeds: Seeds) -> None:
    """SQLite's "full" (here by a bound on the file) becomes DiskFullError, nothing is stored, later writes work."""
    database = made(seeds)
    connection = database.connection()
    connection.pragma("max_page_count", connection.pragma("page_count") + 2)
    with pytest.raises(DiskFullError, match="free some room and try again"):
        put(database, 1, size=1 << 20)
    assert numbers(database) == []
    put(database, 2)
    assert numbers(database) == [2]


def test_an_io_error_poisons_the_handle(seeds: Seeds) -> None:
    """After an I/O error nobody knows what the disk holds, so the handle refuses all until the file is opened again."""
    database = made(seeds)
    put(database, 1)
    with pytest.raises(StorageError, match="check the disk"), database.write():
        raise apsw.IOError("disk I/O error")
    for verb in (database.connection, lambda: numbers(database), lambda: put(database, 2), database.checkpoint):
        with pytest.raises(StorageError, match=r"had an I/O error .*; open the vault again"):
            verb()
    database.close()
    assert numbers(seeds.database()) == [1]


def test_a_closed_database_is_locked(seeds: Seeds) -> None:
    """After close every verb raises LockedError; closing again is harmless."""
    database = made(seeds)
    database.close()
    database.close()
    for verb in (database.connection, lambda: numbers(database), lambda: put(database, 1), database.checkpoint):
        with pytest.raises(LockedError, match="the test database is closed; open the vault again"):
            verb()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_is_locked_out_and_harms_nothing(seeds: Seeds) -> None:
    """SQLite's handles must not cross a fork: the child gets LockedError, even closing there leaves the parent's."""
    database = made(seeds)
    put(database, 1)
    assert in_child(database.connection) == "LockedError"
    assert in_child(lambda: numbers(database)) == "LockedError"
    assert in_child(lambda: put(database, 2)) == "LockedError"
    assert in_child(database.close) == ""
    put(database, 3)
    assert numbers(database) == [1, 3]


def test_a_missing_file_is_not_found(seeds: Seeds) -> None:
    """Opening makes nothing."""
    with pytest.raises(NotFoundError, match=r"the test database is missing: there is no file gone\.db"):
        seeds.database("gone.db")
    assert list(seeds.folder.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_is_a_storage_error(seeds: Seeds) -> None:
    """What cannot be read as a file says so."""
    (seeds.folder / "test.db").mkdir()
    with pytest.raises(StorageError, match="the test database cannot be read"):
        seeds.database()


def test_a_file_that_may_not_be_read_says_so(seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal of the operating system names the path to look at."""
    made(seeds).close()

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "open", refuse, raising=False)
    with pytest.raises(ReadOnlyError, match=r"check the permissions of .*test\.db"):
        seeds.database()


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "other"])
def test_a_changed_start_is_tampering(seeds: Seeds, change: str) -> None:
    """The clear bytes are compared before SQLite reads anything."""
    path = seeds.folder / "test.db"
    made(seeds).close()
    content = bytearray(path.read_bytes())
    content[18] ^= 1
    path.write_bytes({"flip": bytes(content), "cut": content[:20], "empty": b"", "other": b"hello world" * 999}[change])
    with pytest.raises(TamperedError, match="the first bytes of the test database were changed"):
        seeds.database()


def test_another_key_and_flipped_pages_are_tampering(seeds: Seeds) -> None:
    """A page that does not open under the key is TamperedError, at opening or at reading."""
    path = seeds.folder / "test.db"
    made(seeds).close()
    with pytest.raises(TamperedError, match="changed by something other than Mimir"):
        seeds.database(seed=2)
    content = bytearray(path.read_bytes())
    content[2_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(TamperedError, match="changed by something other than Mimir"):
        seeds.database()


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_network_file_system_is_refused(seeds: Seeds, kind: str) -> None:
    """Locks do not hold there, so nothing is even looked at."""
    with pytest.raises(VaultBusyError, match=f"lies on a network file system \\({kind}\\), where locks do not hold"):
        seeds.database(create=True, file_system=lambda _: kind)
    assert list(seeds.folder.iterdir()) == []


MOUNTS = """/dev/sda1 / ext4 rw 0 0
server:/export /mnt/my\\040files nfs4 rw 0 0
tmpfs /mnt/my\\040files/fast tmpfs rw 0 0
nonsense
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/ada", "ext4"),
        ("/mnt/my files/vault", "nfs4"),
        ("/mnt/my files", "nfs4"),
        ("/mnt/my files/fast/vault", "tmpfs"),
        ("/mnt/my files elsewhere", "ext4"),
    ],
)
def test_the_innermost_mount_names_the_file_system(path: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Escaped blanks are read, and a mount inside a mount wins."""
    monkeypatch.setattr(module.Path, "read_text", lambda *_, **__: MOUNTS)
    assert file_system_of(Path(path)) == kind


def test_where_mounts_are_not_told_the_kind_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Platforms without /proc give no name."""

    def refuse(*_: Any, **__: Any) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(module.Path, "read_text", refuse)
    assert file_system_of(Path("/home")) == ""


def test_a_distrusted_handle_refuses_everything(seeds: Seeds) -> None:
    """Once what it holds was found wrong, nothing more is read or written through it; closing still works."""
    database = made(seeds)
    put(database, 1)
    database.distrust()
    for verb in (database.connection, lambda: numbers(database), lambda: put(database, 2), database.checkpoint):
        with pytest.raises(TamperedError, match="not what was last written to it; run `mimir verify`"):
            verb()
    database.close()
    assert numbers(seeds.database()) == [1]
