"""The catalog: which spaces a vault has, their key rings (wrapped), settings, and the audit of the vault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from mimir_vault.errors import ExistsError, NotFoundError
from mimir_vault.model.clock import Clock
from mimir_vault.store import audit
from mimir_vault.store.cipher import PageCipher
from mimir_vault.store.fresh_database import CATALOG, FreshDatabase
from mimir_vault.store.freshness import Change, Digester
from mimir_vault.store.padding import CATALOG_FLOOR
from mimir_vault.store.pins import PinOf
from mimir_vault.store.query import each, fetch

HEADER_EPOCH, SPACE_FLOOR = "lowest header epoch", "space size floor"
"""Names of settings, each an integer in 8 bytes, big-endian."""


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """A space as the catalog names it; `ring` is its key ring, wrapped; `created` in microseconds since 1970 UTC."""

    id: bytes
    name: str
    file: str
    ring: bytes
    size_floor: int
    created: int


class Catalog:
    """An open catalog. Its write lock is the lock of the vault: header, key slots and spaces change inside `write`."""

    def __init__(self, fresh: FreshDatabase, digester: Digester, clock: Clock) -> None:
        self.fresh, self._digester, self._clock = fresh, digester, clock

    @classmethod
    def create(cls, path: Path, cipher: PageCipher, digester: Digester, pin: PinOf, clock: Clock) -> Catalog:
        """Make the catalog of a new vault."""
        fresh = FreshDatabase.create(
            path, CATALOG, cipher, digester, pin, clock, size_floor=CATALOG_FLOOR, name="the catalog"
        )
        return cls(fresh, digester, clock)

    @classmethod
    def open(
        cls, path: Path, cipher: PageCipher, digester: Digester, pin: PinOf, clock: Clock, *, read_only: bool,
        accept_rollback: bool,
    ) -> Catalog:  # fmt: skip
        """Open the catalog and compare it with its pin; errors as `FreshDatabase.open`."""
        fresh = FreshDatabase.open(
            path, CATALOG, cipher, digester, pin, clock, size_floor=CATALOG_FLOOR, name="the catalog",
            read_only=read_only, accept_rollback=accept_rollback,
        )  # fmt: skip
        return cls(fresh, digester, clock)

    @contextmanager
    def write(self) -> Iterator[Change]:
        """Hold the lock of the vault for a block."""
        with self.fresh.write() as change:
            yield change

    def spaces(self) -> list[SpaceRow]:
        """Return all spaces, oldest first."""
        with self.fresh.read() as connection:
            return [
                SpaceRow(*row)
                for row in each(
                    connection, "SELECT id, name, file, ring, size_floor, created FROM space ORDER BY created, name"
                )
            ]

    def space(self, name: str) -> SpaceRow:
        """Return the space of a name.

        Raises:
            NotFoundError: there is none.
        """
        for row in self.spaces():
            if row.name == name:
                return row
        raise NotFoundError(f"this vault has no space {name!r:.80}; `mimir space list` shows those it has")

    @staticmethod
    def add_space(change: Change, row: SpaceRow) -> None:
        """Inside `write`: name a new space (ExistsError when the name is taken)."""
        try:
            change.connection.execute(
                "INSERT INTO space VALUES (?, ?, ?, ?, ?, ?)",
                (row.id, row.name, row.file, row.ring, row.size_floor, row.created),
            )
        except apsw.ConstraintError:
            raise ExistsError(f"this vault has a space {row.name!r} already") from None

    @staticmethod
    def rename_space(change: Change, old: str, new: str) -> None:
        """Inside `write`: give a space another name."""
        try:
            change.connection.execute("UPDATE space SET name = ? WHERE name = ?", (new, old))
        except apsw.ConstraintError:
            raise ExistsError(f"this vault has a space {new!r} already") from None
        if change.connection.changes() == 0:
            raise NotFoundError(f"this vault has no space {old!r:.80}; `mimir space list` shows those it has")

    @staticmethod
    def remove_space(change: Change, name: str) -> None:
        """Inside `write`: take a space out, and with it the only copy of its key ring."""
        change.connection.execute("DELETE FROM space WHERE name = ?", (name,))

    def setting(self, name: str) -> int:
        """Return a setting, 0 where it was never set."""
        with self.fresh.read() as connection:
            rows = fetch(connection, "SELECT value FROM setting WHERE name = ?", (name,))
        return int.from_bytes(rows[0][0], "big") if rows else 0

    @staticmethod
    def put_setting(change: Change, name: str, value: int) -> None:
        """Inside `write`: set a setting."""
        change.connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value.to_bytes(8, "big")))

    def audit(self, change: Change, verb: str, **facts: Any) -> None:
        """Inside `write`: add an event to the vault's audit chain."""
        audit.append(change.connection, self._digester, self._clock.now(), verb, facts)

    def close(self) -> None:
        """Close the file at its size class, without a WAL."""
        self.fresh.close()
