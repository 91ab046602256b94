"""Pins: the newest state seen of each database, kept outside the vault, so that an older copy of it is noticed."""

from __future__ import annotations

import logging
from pathlib import Path

from mimir_vault.errors import MimirError, RollbackError
from mimir_vault.store import freshness, schema
from mimir_vault.store.cipher import PageCipher
from mimir_vault.store.database import Database
from mimir_vault.store.freshness import Freshness
from mimir_vault.store.query import fetch

log = logging.getLogger("mimir_vault")


class Pins:
    """One row per database and replica: generation and chain value, raised after each commit, never lowered."""

    def __init__(self, path: Path, cipher: PageCipher, *, read_only: bool = False) -> None:
        self.path, self._read_only = path, read_only
        if read_only:
            self._database = Database(path, cipher, "the state file", read_only=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = Database(
            path, cipher, "the state file that guards against old copies", create=_is_to_be_made(path), durable=False
        )
        with self._database.write() as connection:
            schema.migrate(connection, schema.PINS_MIGRATIONS, schema.PINS_APPLICATION_ID, "the state file")

    def get(self, name: str, replica: bytes) -> tuple[int, bytes] | None:
        """Return generation and chain value last seen of a database, None where it was never seen."""
        with self._database.read() as connection:
            rows = fetch(
                connection, "SELECT generation, chain FROM pin WHERE name = ? AND replica = ?", (name, replica)
            )
        return (rows[0][0], rows[0][1]) if rows else None

    def put(self, name: str, replica: bytes, generation: int, chain: bytes, now: int, *, lower: bool = False) -> None:
        """Raise a pin; with `lower` set it whatever it was (accepting an older vault). Read-only, do nothing."""
        if self._read_only:
            return
        guard = "" if lower else " WHERE excluded.generation > pin.generation"
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO pin VALUES (?, ?, ?, ?, ?) ON CONFLICT (name, replica) DO UPDATE SET"
                f" generation = excluded.generation, chain = excluded.chain, at = excluded.at{guard}",
                (name, replica, generation, chain, now),
            )
        self._database.restart_long_wal()

    def forget(self, name: str, replica: bytes) -> None:
        """Drop the pin of a database that is gone."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM pin WHERE name = ? AND replica = ?", (name, replica))

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _is_to_be_made(path: Path) -> bool:
    """Say whether there is no state file, or the beginning of one that a crash cut: nothing was ever kept in it."""
    return not path.exists() or path.stat().st_size == 0 or Path(f"{path}-journal").exists()


class PinOf:
    """The pin of one database of one replica; without a place to keep it, it warns once and guards nothing."""

    def __init__(self, pins: Pins | None, name: str, replica: bytes) -> None:
        self._pins, self._name, self._replica = pins, name, replica

    @property
    def is_kept(self) -> bool:
        """Whether there is a place to keep it."""
        return self._pins is not None

    def check(self, database: Database, shown: str) -> bool:
        """Compare a database with its pin; return True when this is its first sight.

        Raises:
            RollbackError: the database is older than the pin, or took another way since.
        """
        if self._pins is None:
            return False
        seen = self._pins.get(self._name, self._replica)
        if seen is None:
            return True
        with database.read() as connection:
            now = freshness.read(connection)
            value = now.chain if seen[0] == now.generation else freshness.chain_value(connection, seen[0])
            if seen[0] == 0:
                value = freshness.FIRST_CHAIN  # A crash after the first commit leaves the pin of the empty database.
        if now.generation < seen[0]:
            raise RollbackError(
                f"{shown} is older than the state last seen here (generation {now.generation}, seen {seen[0]}); bring "
                "the newer copy back, or accept this one with accept_rollback (--accept-rollback)"
            )
        if value != seen[1]:
            raise RollbackError(
                f"{shown} went another way since it was last seen here (generation {seen[0]}); bring the right copy "
                "back, or accept this one with accept_rollback (--accept-rollback)"
            )
        return False

    def hold(self, state: Freshness, now: int, *, lower: bool = False) -> None:
        """Remember a state as the newest seen; a state folder that cannot be written is warned of, not fatal."""
        if self._pins is None:
            return
        try:
            self._pins.put(self._name, self._replica, state.generation, state.chain, now, lower=lower)
        except MimirError as error:
            log.warning("the newest state of %s could not be noted outside the vault: %s", self._name, error)

    def drop(self) -> None:
        """Forget the pin of a database that was erased."""
        if self._pins is not None:
            self._pins.forget(self._name, self._replica)
