"""One encrypted SQLite file: connections per thread, read and write transactions, checkpoints."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from mimir_vault.errors import (
    DiskFullError,
    LockedError,
    MimirError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
    TamperedError,
    VaultBusyError,
)
from mimir_vault.store.cipher import PageCipher
from mimir_vault.store.sqlite_errors import translate, translated

BUSY_MS = 20_000
"""How long a writer waits for another process before VaultBusyError."""
WAL_RESTART_PAGES = 2_048
"""A WAL with more pages (8 MiB) is restarted by the writer that finds it."""
CLOSE_SECONDS = 30
"""How long a close waits for calls of other threads to come to rest."""
PAGE_BYTES = 4_096
"""Page size of every database."""
CACHE_KIB = 32_768
"""Page cache of one connection, filled as needed; at 100,000 nodes candidates lie on as many pages as fit in it."""
START_BYTES = 24
"""Bytes at the start of a file that stand in clear."""

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.rclone", "davfs"}
)
"""File systems where SQLite's shared memory and locks do not hold between machines."""


def file_system_of(path: Path) -> str:
    """Return the type of the file system that holds `path`, "" where the platform does not tell."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    target, best, kind = str(path.resolve()), "", ""
    for line in mounts:
        parts = line.split(" ")
        if len(parts) < 3:
            continue
        point = parts[1].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, parts[2]
    return kind


def _make_private(path: Path) -> None:
    """Make an empty file that only its owner may read; SQLite gives its companions the same permissions.

    One that is there already stays: a crash may have cut its making short.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"the disk is full: {path.name} could not be made; free some room") from error
        raise ReadOnlyError(f"{path.name} could not be made in {path.parent}: {error.strerror}") from error


class Database:
    """An open database file; each thread that uses it has a connection of its own.

    Any I/O error poisons the handle: what the disk holds is then unknown until the file is opened again. Without
    `durable` a power cut may take the newest commits (never the consistency) of the file.
    """

    def __init__(
        self,
        path: Path,
        cipher: PageCipher,
        name: str,
        *,
        create: bool = False,
        read_only: bool = False,
        durable: bool = True,
        file_system: Callable[[Path], str] = file_system_of,
        busy_ms: int = BUSY_MS,
    ) -> None:
        self.path, self.name, self.read_only = path, name, read_only
        self._cipher, self._busy_ms = cipher, busy_ms
        self._synchronous = "full" if durable else "normal"
        self._cache_kib = CACHE_KIB
        self._local = threading.local()
        self._all: dict[int, tuple[threading.Thread, apsw.Connection]] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._closed, self._closer = False, 0
        self._refusal: MimirError | None = None
        self._wal_pages = 0
        kind = file_system(path.parent)
        if kind in NETWORK_FILE_SYSTEMS:
            raise VaultBusyError(f"{name} lies on a network file system ({kind}), where locks do not hold; move it")
        if not create:
            self._check_start()
        self._create = create
        if create:
            _make_private(path)
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._address = self._address_of(path)
        self.connection()
        self._create = False

    def _address_of(self, path: Path) -> str:
        """Return what SQLite opens: the file, or where nothing may be written beside it, an unchanging view of it.

        SQLite takes `immutable` at its word and does not look at a WAL, so a file with one is copied, still sealed, to
        a private folder first.
        """
        self._shares = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
        if not self.read_only or self._shares:
            return path.absolute().as_uri()
        wal = Path(f"{path}-wal")
        if not wal.exists() or wal.stat().st_size == 0:
            return f"{path.absolute().as_uri()}?immutable=1"
        self._copy = tempfile.TemporaryDirectory(prefix="mimir-")
        for file in (path, wal):
            shutil.copyfile(file, Path(self._copy.name) / file.name)
        return (Path(self._copy.name) / path.name).as_uri()

    def connection(self) -> apsw.Connection:
        """Return this thread's connection, opening it where there is none yet."""
        if self._process != os.getpid():
            raise LockedError("this process was forked; open the vault again in the child")
        if self._closed or self._closer not in (0, threading.get_ident()):
            raise LockedError(f"{self.name} is closed; open the vault again")
        if self._refusal is not None:
            raise type(self._refusal)(str(self._refusal))
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._open()
            self._local.connection = connection
            with self._lock:
                self._sweep()
                self._all[id(connection)] = (threading.current_thread(), connection)
        return connection

    def bound_cache(self, kib: int) -> None:
        """Let the page cache of each connection grow to `kib` at most (never beyond CACHE_KIB); right after opening."""
        self._cache_kib = min(CACHE_KIB, kib)
        self.connection().pragma("cache_size", -self._cache_kib)

    def _sweep(self) -> None:
        """Close the connections of threads that have ended."""
        for number, (thread, connection) in list(self._all.items()):
            if not thread.is_alive():
                connection.close()
                del self._all[number]

    def _check_start(self) -> None:
        try:
            with open(self.path, "rb") as file:
                start = file.read(START_BYTES)
        except FileNotFoundError:
            raise NotFoundError(f"{self.name} is missing: there is no file {self.path.name}") from None
        except PermissionError:
            raise ReadOnlyError(f"{self.name} may not be read here; check the permissions of {self.path}") from None
        except OSError as error:
            raise StorageError(f"{self.name} cannot be read: {error.strerror}") from error
        self._cipher.check_start(start, self.name)

    def _open(self) -> apsw.Connection:
        # A connection that may not write cannot remove the companions it makes; one that only does not write can.
        watches = self.read_only and self._shares
        flags = apsw.SQLITE_OPEN_READONLY if self.read_only and not watches else apsw.SQLITE_OPEN_READWRITE
        if self._create:
            flags |= apsw.SQLITE_OPEN_CREATE
        with translated(self.name, self.path.parent):
            connection = apsw.Connection(self._address, flags | apsw.SQLITE_OPEN_URI)
            try:
                self._cipher.unlock(connection)
                connection.set_busy_timeout(self._busy_ms)
                if self._create:
                    connection.pragma("page_size", PAGE_BYTES)
                    connection.pragma("journal_mode", "wal")
                for pragma, value in (
                    ("synchronous", self._synchronous), ("secure_delete", 1), ("temp_store", "memory"),
                    ("trusted_schema", 0), ("cell_size_check", 1), ("wal_autocheckpoint", 0),
                    ("cache_size", -self._cache_kib), ("fullfsync", 1),
                ):  # fmt: skip
                    connection.pragma(pragma, value)
                connection.set_wal_hook(self._count_wal)
                if watches:
                    connection.pragma("query_only", 1)
                    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(self.wal_bytes() > 0))
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            except BaseException:
                connection.close()
                raise
        return connection

    def _count_wal(self, connection: apsw.Connection, schema: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """Hold one consistent state for a block of reads; inside a transaction of this thread, join it."""
        connection = self.connection()
        if self._is_in_transaction(connection):
            yield connection
            return
        try:
            with self._guarded():
                connection.execute("BEGIN")
                connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
                yield connection
        finally:
            _roll_back(connection)

    @contextmanager
    def write(self) -> Iterator[apsw.Connection]:
        """Hold the write lock for a block; commit at its end, roll everything back when it raises."""
        if self.read_only:
            raise ReadOnlyError(f"{self.name} was opened read-only; open it without read_only to write")
        connection = self.connection()
        if self._is_in_transaction(connection):
            raise StorageError("a transaction of this thread is open already")
        with self._guarded():
            connection.execute("BEGIN IMMEDIATE")
        try:
            with self._guarded():
                yield connection
                connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise

    def _is_in_transaction(self, connection: apsw.Connection) -> bool:
        """Say whether this thread has a transaction open (LockedError when another thread has just closed the file)."""
        with self._guarded():
            return bool(connection.in_transaction)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Translate SQLite's errors; remember an I/O error, after which this handle is not to be trusted."""
        try:
            yield
        except apsw.Error as error:
            if self._closer:
                raise LockedError(f"{self.name} was closed meanwhile; open the vault again") from error
            if isinstance(error, apsw.IOError):
                self._refusal = StorageError(f"{self.name} had an I/O error ({error}); open the vault again")
            raise translate(error, self.name, self.path.parent) from error

    def distrust(self) -> None:
        """Let nothing more be read or written through this handle: what it holds is not what was written."""
        self._refusal = TamperedError(
            f"{self.name} is not what was last written to it; run `mimir verify` and restore a backup"
        )

    def wal_bytes(self) -> int:
        """Return the size of the WAL file, 0 where there is none."""
        try:
            return os.stat(f"{self.path}-wal").st_size
        except OSError:
            return 0

    def checkpoint(self, mode: int = apsw.SQLITE_CHECKPOINT_TRUNCATE, *, wait_ms: int = 0) -> bool:
        """Move the WAL into the file; say whether all of it went (another process's reader can hold it back)."""
        connection = self.connection()
        if self.read_only or self._is_in_transaction(connection):
            return False
        with self._guarded():
            connection.set_busy_timeout(wait_ms)
            try:
                connection.wal_checkpoint(mode=mode)
            except (apsw.BusyError, apsw.LockedError):
                return False
            finally:
                with suppress(apsw.ConnectionClosedError):
                    connection.set_busy_timeout(self._busy_ms)
        return mode != apsw.SQLITE_CHECKPOINT_TRUNCATE or self.wal_bytes() == 0

    def restart_long_wal(self) -> None:
        """Restart a WAL that has grown long; best effort, the next writer tries again."""
        if self._wal_pages > WAL_RESTART_PAGES:
            self.checkpoint(apsw.SQLITE_CHECKPOINT_RESTART)

    def close(self) -> None:
        """Close every connection and forget the key; the last one out leaves no WAL behind.

        Calls of other threads that are under way end with LockedError; what they acknowledged is kept.
        """
        if self._closed:
            return
        self._closer = threading.get_ident()
        if self._process == os.getpid():
            self._close_others()
            try:
                if not self.read_only and self._refusal is None:
                    self.checkpoint(wait_ms=1_000)
            except MimirError:
                pass  # What could not be moved stays in the WAL, and the next open finds it there.
            self._local.__dict__.clear()
            self._close_others(mine_too=True)
        self._closed = True
        self._cipher.wipe()
        if self._copy is not None:
            self._copy.cleanup()

    def _close_others(self, *, mine_too: bool = False) -> None:
        """Interrupt and close the connections of all other threads, waiting for each to come to rest."""
        deadline = time.monotonic() + CLOSE_SECONDS
        with self._lock:
            for number, (thread, connection) in list(self._all.items()):
                if thread is threading.current_thread() and not mine_too:
                    continue
                while True:
                    try:
                        connection.interrupt()
                        connection.close()
                        break
                    except apsw.ConnectionClosedError:
                        break
                    except (apsw.ThreadingViolationError, apsw.BusyError):
                        if time.monotonic() > deadline:
                            raise VaultBusyError(f"{self.name} is still in use by another thread") from None
                        time.sleep(0.005)
                del self._all[number]


def _roll_back(connection: apsw.Connection) -> None:
    """End a transaction that is still open; one that cannot even be rolled back has told why already."""
    with suppress(apsw.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
