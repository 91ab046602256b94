"""Opening the sealed pages of a database one by one, with its page key and nothing but libsodium.

SQLite shows live rows only. This shows what lies in each page: free pages, the gaps inside pages, the frames of a WAL.
Layout of a page (SQLite3 Multiple Ciphers, scheme "aegis"): ciphertext 4,032 | tag 32 | nonce 32. The stream of
AEGIS-256 under page key and nonce gives the one-time key (32 bytes) and nonce (28 bytes, then the page's number in 4,
big-endian). The first 24 bytes of page 1 stand in clear.
"""

from __future__ import annotations

from pathlib import Path

import apsw
from nacl import bindings

PAGE = 4_096
USABLE = 4_032
TAG = 32
CLEAR = 24
FRAME_HEAD, WAL_HEAD = 24, 32


def open_page(raw: bytes, number: int, page_key: bytes) -> bytes:
    """Return the plain 4,032 bytes of a sealed page, filled up with 64 zeros; ValueError when it was changed."""
    sealed, nonce = raw[: USABLE + TAG], raw[USABLE + TAG :]
    stream = bindings.crypto_aead_aegis256_encrypt(bytes(64), None, nonce, page_key)
    clear = CLEAR if number == 1 else 0
    once = stream[32:60] + number.to_bytes(4, "big")
    try:
        opened = bindings.crypto_aead_aegis256_decrypt(sealed[clear:], None, once, stream[:32])
    except Exception as error:
        raise ValueError(f"page {number} does not open") from error
    return sealed[:clear] + opened + bytes(PAGE - USABLE)


def open_file(data: bytes, page_key: bytes) -> list[bytes]:
    """Return every page of a database, free ones included; page 1 is the first."""
    return [open_page(data[at : at + PAGE], at // PAGE + 1, page_key) for at in range(0, len(data), PAGE)]


def open_wal(data: bytes, page_key: bytes) -> list[bytes]:
    """Return the page in every frame of a WAL, also of frames that no reader would look at any more."""
    opened = []
    for at in range(WAL_HEAD, len(data) - FRAME_HEAD - PAGE + 1, FRAME_HEAD + PAGE):
        number = int.from_bytes(data[at : at + 4], "big")
        opened.append(open_page(data[at + FRAME_HEAD : at + FRAME_HEAD + PAGE], number, page_key))
    return opened


def connect(path: Path, page_key: bytes) -> apsw.Connection:
    """Open a copy of a database as SQLite sees it; its name is its salt unless it is told otherwise."""
    connection = apsw.Connection(str(path))
    connection.pragma("cipher", "aegis")
    connection.pragma("aegis_algorithm", "aegis-256")
    connection.pragma("key", f"raw:{page_key.hex()}{path.read_bytes()[:16].hex()}")
    return connection


def owners(path: Path, page_key: bytes) -> dict[int, str]:
    """Return the table that each page in use belongs to, indexes counted to their tables; free pages are left out."""
    connection = connect(path, page_key)
    try:
        tables = dict(connection.execute("SELECT name, tbl_name FROM sqlite_schema"))
        return {page: tables.get(name, name) for page, name in connection.execute("SELECT pageno, name FROM dbstat")}
    finally:
        connection.close()


def free_list(opened: list[bytes]) -> tuple[list[int], list[int]]:
    """Return the trunks of a database's free list and its leaves, free pages without content."""
    trunks, leaves = [], []
    number = int.from_bytes(opened[0][32:36], "big")
    while number:
        page = opened[number - 1]
        count = int.from_bytes(page[4:8], "big")
        trunks.append(number)
        leaves += [int.from_bytes(page[at : at + 4], "big") for at in range(8, 8 + 4 * count, 4)]
        number = int.from_bytes(page[:4], "big")
    return trunks, leaves
