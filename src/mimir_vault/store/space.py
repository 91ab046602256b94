"""The store of one space: nodes with all that is derived of them, in one encrypted database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from mimir_vault.model.clock import Clock
from mimir_vault.store.cipher import PageCipher
from mimir_vault.store.fresh_database import SPACE, FreshDatabase
from mimir_vault.store.freshness import Freshness
from mimir_vault.store.nodes import Sealer
from mimir_vault.store.pins import PinOf
from mimir_vault.store.writer import Writer


class SpaceStore:
    """An open space. Threads may share it; each has a connection of its own underneath."""

    def __init__(self, fresh: FreshDatabase, sealer: Sealer, words_version: int) -> None:
        self.fresh, self.sealer = fresh, sealer
        self._words_version = words_version

    @classmethod
    def create(
        cls, path: Path, cipher: PageCipher, sealer: Sealer, pin: PinOf, clock: Clock, *, size_floor: int,
        words_version: int, name: str,
    ) -> SpaceStore:  # fmt: skip
        """Make the file of a new space and fill its first size class."""
        fresh = FreshDatabase.create(path, SPACE, cipher, sealer, pin, clock, size_floor=size_floor, name=name)
        return cls(fresh, sealer, words_version)

    @classmethod
    def open(
        cls, path: Path, cipher: PageCipher, sealer: Sealer, pin: PinOf, clock: Clock, *, size_floor: int,
        words_version: int, name: str, read_only: bool = False, accept_rollback: bool = False,
    ) -> SpaceStore:  # fmt: skip
        """Open a space and compare it with its pin; errors as `FreshDatabase.open`."""
        fresh = FreshDatabase.open(
            path, SPACE, cipher, sealer, pin, clock, size_floor=size_floor, name=name, read_only=read_only,
            accept_rollback=accept_rollback,
        )  # fmt: skip
        return cls(fresh, sealer, words_version)

    @property
    def read_only(self) -> bool:
        """Whether nothing may be written."""
        return self.fresh.database.read_only

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """Hold one consistent state for a block of reads."""
        with self.fresh.read() as connection:
            yield connection

    @contextmanager
    def write(self, bytes_needed: int = 0) -> Iterator[Writer]:
        """Hold the write lock for a block; what it did is committed, durable and pinned when the block has ended.

        `bytes_needed` is what the block will write, so that room is made before and the file grows in small steps.
        """
        with self.fresh.write(bytes_needed) as change:
            writer = Writer(change.connection, self.sealer, change, self._words_version)
            yield writer
            writer.flush()

    def freshness(self) -> Freshness:
        """Return the present generation, digests and chain value."""
        return self.fresh.freshness()

    def close(self) -> None:
        """Close the file at its size class, without a WAL, and forget the keys."""
        self.fresh.close()
        self.sealer.wipe()
