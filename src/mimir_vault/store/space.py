"""The store of one space: an encrypted database with a size class, a generation and a pin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from mimir_vault.errors import MimirError
from mimir_vault.model.clock import Clock
from mimir_vault.store import freshness, padding, schema
from mimir_vault.store.cipher import PageCipher
from mimir_vault.store.database import PAGE_BYTES, Database
from mimir_vault.store.freshness import Freshness
from mimir_vault.store.nodes import Sealer
from mimir_vault.store.pins import PinOf
from mimir_vault.store.writer import Writer

NODE_BYTES = 2_048
"""What a node takes besides its envelopes, at most, when the room for a batch is reckoned."""
MARGIN_PAGES = 128
"""Free pages that every transaction finds beyond what it asked for: a file never outgrows its class by surprise."""
STEP_PAGES = padding.STEP // PAGE_BYTES


class SpaceStore:
    """An open space. Threads may share it; each has a connection of its own underneath."""

    def __init__(
        self, database: Database, sealer: Sealer, pin: PinOf, clock: Clock, *, size_floor: int, words_version: int
    ) -> None:
        self.database, self.sealer = database, sealer
        self._pin, self._clock = pin, clock
        self._size_floor, self._words_version = size_floor, words_version

    @property
    def read_only(self) -> bool:
        """Whether nothing may be written."""
        return self.database.read_only

    @classmethod
    def create(
        cls, path: Path, cipher: PageCipher, sealer: Sealer, pin: PinOf, clock: Clock, *, size_floor: int,
        words_version: int, name: str,
    ) -> SpaceStore:  # fmt: skip
        """Make the file of a new space and fill its first size class."""
        database = Database(path, cipher, name, create=True)
        with database.write() as connection:
            schema.migrate(connection, schema.SPACE_MIGRATIONS, schema.SPACE_APPLICATION_ID, name)
            freshness.begin(connection)
        store = cls(database, sealer, pin, clock, size_floor=size_floor, words_version=words_version)
        store.fill()
        return store

    @classmethod
    def open(
        cls, path: Path, cipher: PageCipher, sealer: Sealer, pin: PinOf, clock: Clock, *, size_floor: int,
        words_version: int, name: str, read_only: bool = False, accept_rollback: bool = False,
    ) -> SpaceStore:  # fmt: skip
        """Open a space, bring its tables up to date and compare it with its pin.

        Raises:
            TamperedError: the file is not what Mimir wrote; RollbackError: it is older than last seen.
            FormatError: a newer release wrote it.
        """
        database = Database(path, cipher, name, read_only=read_only)
        try:
            with database.read() as connection:
                current = schema.is_current(
                    connection, schema.SPACE_MIGRATIONS, schema.SPACE_APPLICATION_ID, name
                )
            store = cls(database, sealer, pin, clock, size_floor=size_floor, words_version=words_version)
            if not current:
                with database.write() as connection:
                    schema.migrate(connection, schema.SPACE_MIGRATIONS, schema.SPACE_APPLICATION_ID, name)
            store._check_pin(name, accept_rollback)
        except BaseException:
            database.close()
            raise
        return store

    def _check_pin(self, name: str, accept_rollback: bool) -> None:
        state = self.freshness()
        if accept_rollback:
            self._pin.hold(state, self._clock.now(), lower=True)
        elif self._pin.check(self.database, name) and not self.read_only:
            self._pin.hold(state, self._clock.now())

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """Hold one consistent state for a block of reads."""
        with self.database.read() as connection:
            yield connection

    @contextmanager
    def write(self, bytes_needed: int = 0) -> Iterator[Writer]:
        """Hold the write lock for a block; what it did is committed, durable and pinned when the block has ended.

        `bytes_needed` is what the block will write, so that room is made before and the file grows in small steps.
        """
        self._make_room(bytes_needed)
        with self.database.write() as connection:
            padding.release(connection, -(-bytes_needed // PAGE_BYTES) + MARGIN_PAGES)
            with freshness.changing(connection, self.sealer) as change:
                writer = Writer(connection, self.sealer, change, self._words_version)
                yield writer
                writer.flush()
            state = freshness.read(connection)
        self._pin.hold(state, self._clock.now())
        self.database.restart_long_wal()

    def _make_room(self, bytes_needed: int) -> None:
        """Grow by one step towards the next class when the reserve is short, by as many as the batch needs."""
        if self.read_only:
            return
        needed = -(-bytes_needed // PAGE_BYTES) + MARGIN_PAGES
        connection = self.database.connection()
        while True:
            with self.database.read():
                missing = padding.missing_pages(connection, self._size_floor)
                _, free, padded = padding.pages(connection)
            if missing <= 0 and free + padded >= needed:
                return
            with self.database.write():
                step = STEP_PAGES if missing > 0 else max(needed - free - padded, 1)
                padding.grow(connection, self._size_floor, step)
            self.database.restart_long_wal()
            if free + padded + STEP_PAGES >= needed:
                return

    def fill(self) -> None:
        """Grow the file to its size class, in small steps; called at creation and at close."""
        while True:
            with self.database.write() as connection:
                missing = padding.grow(connection, self._size_floor, STEP_PAGES)
            self.database.restart_long_wal()
            if missing <= 0:
                self.checkpoint()
                return

    def freshness(self) -> Freshness:
        """Return the present generation, digests and chain value."""
        with self.database.read() as connection:
            return freshness.read(connection)

    def live_bytes(self) -> int:
        """Return the bytes of the file that are neither free nor padding."""
        with self.database.read() as connection:
            count, free, padded = padding.pages(connection)
        return (count - free - padded) * PAGE_BYTES

    def checkpoint(self, wait_ms: int = 0) -> bool:
        """Move the WAL into the file; say whether all of it went."""
        return self.database.checkpoint(wait_ms=wait_ms)

    def close(self) -> None:
        """Fill the size class, move the WAL into the file, close it and forget the keys."""
        try:
            if not self.read_only:
                self.fill()
        except MimirError:
            pass  # A close that cannot write (full disk, busy, poisoned) leaves a good file of an odd length.
        finally:
            self.database.close()
            self.sealer.wipe()
