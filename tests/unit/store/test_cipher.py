"""The page cipher: key and salt of the right length, and a start of the file that only the name decides."""

from __future__ import annotations

import apsw
import pytest

from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import LockedError, TamperedError
from mimir_vault.store.cipher import CLEAR_FIELDS, AegisPages

SALT = bytes(range(16))


def pages(seed: int = 1, salt: bytes = SALT) -> AegisPages:
    """Return a cipher."""
    return AegisPages(SecretBytes.copy_of(bytes([seed] * 32)), salt)


@pytest.mark.parametrize(("key_length", "salt"), [(31, SALT), (33, SALT), (32, SALT[:-1]), (32, b"")])
def test_other_lengths_are_refused(key_length: int, salt: bytes) -> None:
    """A page key has 32 bytes and a salt 16."""
    with pytest.raises(ValueError, match="32 bytes and a salt 16"):
        AegisPages(SecretBytes(key_length), salt)


@pytest.mark.parametrize("place", range(24))
def test_every_clear_byte_is_checked(place: int) -> None:
    """AEGIS leaves bytes 0 to 23 unauthenticated, so each is compared."""
    start = bytearray(SALT + CLEAR_FIELDS)
    pages().check_start(bytes(start), "the file")
    start[place] ^= 1
    with pytest.raises(TamperedError, match="the first bytes of the file were changed"):
        pages().check_start(bytes(start), "the file")


@pytest.mark.parametrize("start", [b"", (SALT + CLEAR_FIELDS)[:-1], b"SQLite format 3\x00" + CLEAR_FIELDS])
def test_a_cut_or_plain_file_is_refused(start: bytes) -> None:
    """A file too short to have a start, or an unencrypted one, is not Mimir's."""
    with pytest.raises(TamperedError):
        pages().check_start(start, "the file")


def test_a_file_begins_with_salt_and_fixed_fields_and_shows_no_more(tmp_path: object) -> None:
    """What SQLite writes under this cipher begins with the salt, and every page after it looks random."""
    path = f"{tmp_path}/file.db"
    connection = apsw.Connection(path)
    pages().unlock(connection)
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE spoken (words TEXT)")
    connection.execute("INSERT INTO spoken VALUES ('window seat window seat')")
    connection.close()
    with open(path, "rb") as file:
        content = file.read()
    pages().check_start(content[:24], "the file")
    assert b"window" not in content
    assert b"SQLite" not in content
    assert b"spoken" not in content


def test_after_wiping_no_connection_can_be_keyed() -> None:
    """A wiped cipher raises LockedError instead of handing out zeros."""
    cipher = pages()
    cipher.wipe()
    with pytest.raises(LockedError):
        cipher.unlock(apsw.Connection(":memory:"))
