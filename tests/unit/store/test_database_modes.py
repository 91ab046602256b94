"""Read-only databases (beside a WAL, immutable, or copied) and checkpoints."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import apsw
import pytest

from mimir_vault.errors import DiskFullError, MimirError, ReadOnlyError, TamperedError
from mimir_vault.store import database as module

from .conftest import Seeds
from .test_database import in_thread, made, numbers, put


@pytest.fixture
def unwritable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every folder look as if nothing may be written in it (tests may run as root, to whom all is open)."""
    monkeypatch.setattr(module.os, "access", lambda *_: False)


def names(folder: Path) -> set[str]:
    """Return the names in a folder."""
    return {path.name for path in folder.iterdir()}


def test_a_read_only_database_reads_and_refuses_to_write(seeds: Seeds) -> None:
    """The refusal says how to open it for writing; a checkpoint is nothing to do."""
    put(made(seeds), 1)
    reader = seeds.database(read_only=True)
    assert numbers(reader) == [1]
    with pytest.raises(ReadOnlyError, match="opened read-only; open it without read_only to write"), reader.write():
        pass
    assert not reader.checkpoint()


def test_a_read_only_database_sees_later_commits(seeds: Seeds) -> None:
    """Beside a writer it follows."""
    writer = made(seeds)
    reader = seeds.database(read_only=True)
    put(writer, 1)
    assert numbers(reader) == [1]


@pytest.mark.usefixtures("unwritable")
def test_in_an_unwritable_folder_a_file_without_a_wal_is_opened_as_unchanging(seeds: Seeds) -> None:
    """Nothing is written beside it, not even shared memory."""
    database = made(seeds)
    put(database, 1)
    database.close()
    before = names(seeds.folder)
    reader = seeds.database(read_only=True)
    assert numbers(reader) == [1]
    assert in_thread(lambda: numbers(reader)) == [1]
    assert names(seeds.folder) == before == {"test.db"}


@pytest.mark.usefixtures("unwritable")
def test_in_an_unwritable_folder_a_file_with_a_wal_is_copied(seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the WAL is seen (immutable would ignore it); the copy is private, sealed, and gone after close."""
    writer = made(seeds)
    put(writer, 1)
    assert writer.wal_bytes() > 0
    private: list[Path] = []
    real = module.tempfile.TemporaryDirectory

    def noted(**given: Any) -> Any:
        folder = real(dir=seeds.folder.parent, **given)
        private.append(Path(folder.name))
        return folder

    monkeypatch.setattr(module.tempfile, "TemporaryDirectory", noted)
    before = {path.name: path.read_bytes() for path in seeds.folder.iterdir()}
    reader = seeds.database(read_only=True)
    assert numbers(reader) == [1]
    (folder,) = private
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "test.db").read_bytes() == before["test.db"]
    assert {path.name: path.read_bytes() for path in seeds.folder.iterdir()} == before
    reader.close()
    assert not folder.exists()


@pytest.mark.usefixtures("unwritable")
def test_an_empty_wal_counts_as_none(seeds: Seeds) -> None:
    """A truncated WAL holds nothing, so no copy is made."""
    database = made(seeds)
    put(database, 1)
    database.close()
    (seeds.folder / "test.db-wal").touch()
    assert numbers(seeds.database(read_only=True)) == [1]
    assert names(seeds.folder) == {"test.db", "test.db-wal"}


def test_a_checkpoint_empties_the_wal(seeds: Seeds) -> None:
    """TRUNCATE moves everything into the file and says so."""
    database = made(seeds)
    put(database, 1)
    assert database.wal_bytes() > 0
    assert database.checkpoint()
    assert database.wal_bytes() == 0
    database.close()
    assert database.wal_bytes() == 0


def test_a_reader_of_another_connection_holds_a_checkpoint_back(seeds: Seeds) -> None:
    """The checkpoint says False, waits no longer than told, and succeeds when the reader is gone."""
    database = made(seeds)
    put(database, 1)
    with database.read():
        put_elsewhere = in_thread(lambda: put(database, 2))
        assert put_elsewhere is None
        assert in_thread(lambda: database.checkpoint(wait_ms=20)) is False
    assert database.connection().pragma("busy_timeout") == 20_000
    assert database.checkpoint() is True


def test_an_error_of_a_checkpoint_is_translated(seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other errors than "busy" come out as Mimir's, and the timeout is put back."""
    database = made(seeds)

    timeouts: list[int] = []

    class Failing:
        in_transaction = False

        def set_busy_timeout(self, timeout: int) -> None:
            timeouts.append(timeout)

        def wal_checkpoint(self, mode: int) -> None:
            raise apsw.CorruptError("malformed")

    monkeypatch.setattr(database, "connection", Failing)
    with pytest.raises(TamperedError):
        database.checkpoint(wait_ms=5)
    assert timeouts == [5, 20_000]
    database.close()


def test_a_long_wal_is_restarted(seeds: Seeds) -> None:
    """Above 8 MiB the next writes begin at its start again, so it does not grow without bound."""
    database = made(seeds)
    for n in range(4):
        put(database, n, size=9 << 20)
        database.restart_long_wal()
    assert 9 << 20 < database.wal_bytes() < 12 << 20
    put(database, 99)
    assert numbers(database) == [0, 1, 2, 3, 99]


def test_a_close_that_cannot_checkpoint_leaves_a_good_file(seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be moved stays in the WAL, and the next open finds it."""
    database = made(seeds)
    put(database, 1)

    def refuse(**_: Any) -> bool:
        raise MimirError("busy")

    monkeypatch.setattr(database, "checkpoint", refuse)
    database.close()
    assert numbers(seeds.database()) == [1]


def test_a_connection_that_cannot_be_opened_is_closed_again(seeds: Seeds) -> None:
    """A wrong key fails at the first read; the half-open connection does not stay in the way."""
    made(seeds).close()
    with pytest.raises(TamperedError):
        seeds.database(seed=9)
    assert names(seeds.folder) == {"test.db"}
    assert numbers(seeds.database()) == []


def test_a_new_file_and_its_companions_are_its_owner_s_alone(seeds: Seeds) -> None:
    """Mode 0600 from the first moment, whatever the umask is."""
    database = made(seeds)
    put(database, 1)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in seeds.folder.iterdir()}
    assert set(modes) == {"test.db", "test.db-wal", "test.db-shm"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    ("number", "error", "says"),
    [(28, DiskFullError, "the disk is full: test.db could not be made"), (13, ReadOnlyError, "could not be made in")],
)
def test_a_file_that_cannot_be_made_says_why(
    seeds: Seeds, monkeypatch: pytest.MonkeyPatch, number: int, error: type[MimirError], says: str
) -> None:
    """A full disk and a refusal are told apart."""

    def refuse(*_: Any) -> int:
        raise OSError(number, "refused")

    monkeypatch.setattr(module.os, "open", refuse)
    with pytest.raises(error, match=says):
        seeds.database(create=True)


def test_a_file_whose_making_was_cut_short_is_made(seeds: Seeds) -> None:
    """An empty one is filled; one that was made already keeps what it holds."""
    (seeds.folder / "test.db").touch()
    database = made(seeds)
    put(database, 1)
    database.close()
    assert numbers(seeds.database(create=True)) == [1]


@pytest.mark.parametrize(("kib", "bound"), [(2_048, 2_048), (1 << 40, module.CACHE_KIB)])
def test_the_page_cache_of_every_connection_keeps_to_its_bound(seeds: Seeds, kib: int, bound: int) -> None:
    """That of the thread that sets it and those of threads to come; it cannot be raised beyond what it is without."""
    database = made(seeds)
    for number in range(5):
        put(database, number, size=bound * 1_024 // 4)

    def used() -> int:
        with database.read() as connection:
            assert len(connection.execute("SELECT * FROM number").fetchall()) == 5
        size: int = connection.status(apsw.SQLITE_DBSTATUS_CACHE_USED)[0]
        return size

    before = used()
    database.bound_cache(kib)
    for measured in (used(), in_thread(used)):
        assert bound * 1_024 * 0.9 < measured < bound * 1_024 * 1.05
    assert before > used() * 0.99
