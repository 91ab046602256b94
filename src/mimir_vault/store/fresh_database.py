"""A database whose every commit raises a generation and a pin, and whose file keeps to a size class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import apsw

from mimir_vault.errors import MimirError, NotFoundError, VaultBusyError
from mimir_vault.model.clock import Clock
from mimir_vault.store import freshness, padding, schema, traces
from mimir_vault.store.cipher import PageCipher
from mimir_vault.store.database import PAGE_BYTES, Database
from mimir_vault.store.freshness import Change, Digester, Freshness
from mimir_vault.store.pins import PinOf
from mimir_vault.store.sqlite_errors import translated

STEP_PAGES = padding.STEP // PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells the databases of a vault apart: their tables, their mark, and how much room they keep free.

    `margin_pages` are the free pages that every transaction finds beyond what it asked for, so that a file never
    outgrows its class by surprise.
    """

    migrations: tuple[str, ...]
    application_id: int
    margin_pages: int


SPACE = Kind(schema.SPACE_MIGRATIONS, schema.SPACE_APPLICATION_ID, 128)
CATALOG = Kind(schema.CATALOG_MIGRATIONS, schema.CATALOG_APPLICATION_ID, 16)


class FreshDatabase:
    """An open database with its digests, its pin and its size class. Threads may share it.

    `is_newest_seen` says that it was compared with a pin at opening, and is no older than what was seen before.
    """

    def __init__(
        self, database: Database, kind: Kind, digester: Digester, pin: PinOf, clock: Clock, size_floor: int
    ) -> None:
        self.database, self.digester, self.pin = database, digester, pin
        self.is_newest_seen = False
        self._kind, self._clock, self._size_floor = kind, clock, size_floor

    @classmethod
    def create(
        cls, path: Path, kind: Kind, cipher: PageCipher, digester: Digester, pin: PinOf, clock: Clock, *,
        size_floor: int, name: str,
    ) -> FreshDatabase:  # fmt: skip
        """Make the file and fill its first size class."""
        database = Database(path, cipher, name, create=True)
        with database.write() as connection:
            schema.migrate(connection, kind.migrations, kind.application_id, name)
            freshness.begin(connection)
        made = cls(database, kind, digester, pin, clock, size_floor)
        made.fill()
        return made

    @classmethod
    def open(
        cls, path: Path, kind: Kind, cipher: PageCipher, digester: Digester, pin: PinOf, clock: Clock, *,
        size_floor: int, name: str, read_only: bool = False, accept_rollback: bool = False,
    ) -> FreshDatabase:  # fmt: skip
        """Open the file, bring its tables up to date and compare it with its pin.

        Raises:
            TamperedError: the file is not what Mimir wrote; RollbackError: it is older than last seen.
            FormatError: a newer release wrote it.
        """
        database = Database(path, cipher, name, read_only=read_only)
        try:
            with database.read() as connection:
                current = schema.is_current(connection, kind.migrations, kind.application_id, name)
            if not current:
                with database.write() as connection:
                    schema.migrate(connection, kind.migrations, kind.application_id, name)
            opened = cls(database, kind, digester, pin, clock, size_floor)
            opened._check_pin(name, accept_rollback)
        except BaseException:
            database.close()
            raise
        return opened

    def _check_pin(self, name: str, accept_rollback: bool) -> None:
        state = self.freshness()
        if accept_rollback:
            self.pin.hold(state, self._clock.now(), lower=True)
            return
        first_sight = self.pin.check(self.database, name)
        self.is_newest_seen = self.pin.is_kept and not first_sight
        if first_sight and not self.database.read_only:
            self.pin.hold(state, self._clock.now())

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """Hold one consistent state for a block of reads."""
        self._check_there()
        with self.database.read() as connection:
            yield connection

    @contextmanager
    def write(self, bytes_needed: int = 0) -> Iterator[Change]:
        """Hold the write lock for a block; what it did is committed, durable and pinned when the block has ended.

        `bytes_needed` is what the block will write, so that room is made before and the file grows in small steps.
        """
        self._check_there()
        if not self.database.read_only:
            self._make_room(-(-bytes_needed // PAGE_BYTES) + self._kind.margin_pages)
        with self.database.write() as connection:
            self._check_there()
            padding.release(connection, -(-bytes_needed // PAGE_BYTES) + self._kind.margin_pages)
            with freshness.changing(connection, self.digester) as change:
                yield change
            state = freshness.read(connection)
        self.pin.hold(state, self._clock.now())
        self.database.restart_long_wal()

    def _check_there(self) -> None:
        """Refuse to go on with a file that another process has erased: what is written there is gone."""
        if not self.database.path.exists():
            raise NotFoundError(f"{self.database.name} was erased or moved by another process; open the vault again")

    def _make_room(self, pages_needed: int) -> None:
        """Grow one step towards the next class when the reserve is short, and by as many as this transaction needs."""
        while True:
            with self.database.read() as connection:
                if padding.missing_pages(connection, self._size_floor, pages_needed) <= 0:
                    return
            with self.database.write() as connection:
                before, _, _ = padding.pages(connection)
                padding.grow(connection, self._size_floor, STEP_PAGES, pages_needed)
                count, free, padded = padding.pages(connection)
            self.database.restart_long_wal()
            if free + padded >= pages_needed or count == before:
                return

    def fill(self) -> None:
        """Grow the file to its size class, in small steps; at creation and at close."""
        while True:
            with self.database.write() as connection:
                before, _, _ = padding.pages(connection)
                missing = padding.grow(connection, self._size_floor, STEP_PAGES)
                count, _, _ = padding.pages(connection)
            self.database.restart_long_wal()
            if missing <= 0 or count == before:
                self.checkpoint()
                return

    def freshness(self) -> Freshness:
        """Return the present generation, digests and chain value."""
        with self.database.read() as connection:
            return freshness.read(connection)

    def remove_traces(self, erased: set[bytes] | None, wait_ms: int) -> bool:
        """After an erasure was committed: leave nothing of it in the file; say whether that is done.

        `erased` is what the transaction gathered, None where that is not known any more. False means that a reader of
        another process holds back the checkpoint, or that the file was busy; the next close tries again.
        """
        connection = self.database.connection()
        try:
            if not self.checkpoint(wait_ms):
                return False
            if erased is None or traces.are_left(connection, erased):
                with translated(self.database.name):
                    connection.execute("VACUUM")
                self.fill()
            with self.write() as change:
                traces.note_done(change.connection)
            return self.checkpoint(wait_ms)
        except VaultBusyError:
            return False

    def live_bytes(self) -> int:
        """Return the bytes of the file that are neither free nor padding."""
        with self.database.read() as connection:
            count, free, padded = padding.pages(connection)
        return (count - free - padded) * PAGE_BYTES

    def checkpoint(self, wait_ms: int = 0) -> bool:
        """Move the WAL into the file; say whether all of it went."""
        return self.database.checkpoint(wait_ms=wait_ms)

    def close(self) -> None:
        """Fill the size class, move the WAL into the file and close it.

        A close that cannot write (full disk, busy, poisoned) leaves a good file of an odd length.
        """
        with suppress(MimirError):
            if not self.database.read_only:
                with self.database.read() as connection:
                    due = traces.are_due(connection)
                if due:
                    self.remove_traces(None, wait_ms=1_000)
                self.fill()
        self.database.close()
