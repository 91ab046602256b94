"""The page cipher: how a connection is given its key; a Protocol, so that its cost can be measured against none."""

from __future__ import annotations

from typing import Protocol

import apsw

from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import TamperedError

CLEAR_FIELDS = bytes.fromhex("1000020240402020")
"""Bytes 16 to 23 of every database: page size 4096, WAL twice, 64 reserved bytes, payload fractions. AEGIS leaves bytes
0 to 23 of a file unauthenticated, so they are compared before the first read."""
SALT_BYTES = 16
"""Length of the cipher salt, which stands in clear in bytes 0 to 15 of the file."""


class PageCipher(Protocol):
    """Seals the pages of one database."""

    def unlock(self, connection: apsw.Connection) -> None:
        """Give a new connection its key before anything is read."""

    def check_start(self, start: bytes, name: str) -> None:
        """Refuse a file whose first 24 bytes are not what they must be (TamperedError)."""

    def wipe(self) -> None:
        """Forget the key."""


class AegisPages:
    """AEGIS-256 over every page, with a raw 32-byte key and a salt of 16 bytes that the file's name fixes."""

    def __init__(self, page_key: SecretBytes, salt: bytes) -> None:
        if len(page_key) != 32 or len(salt) != SALT_BYTES:
            raise ValueError("a page key has 32 bytes and a salt 16")
        self._page_key = page_key
        self._salt = salt

    def unlock(self, connection: apsw.Connection) -> None:
        """Give a new connection its key before anything is read."""
        connection.pragma("cipher", "aegis")
        connection.pragma("aegis_algorithm", "aegis-256")
        connection.pragma("key", f"raw:{self._page_key.view().hex()}{self._salt.hex()}")

    def check_start(self, start: bytes, name: str) -> None:
        """Refuse a file whose first 24 bytes are not the salt and the fixed fields."""
        if start != self._salt + CLEAR_FIELDS:
            raise TamperedError(f"the first bytes of {name} were changed; restore a backup")

    def wipe(self) -> None:
        """Forget the key."""
        self._page_key.wipe()
