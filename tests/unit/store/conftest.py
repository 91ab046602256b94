"""Fixtures of the store's tests: keys from fixed seeds, plain databases in memory, and encrypted spaces on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from mimir_vault.crypto.sealer import SpaceSealer
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.model.codec import CODEC_VERSION, Metadata, State
from mimir_vault.store import freshness, schema
from mimir_vault.store.cipher import AegisPages
from mimir_vault.store.database import Database
from mimir_vault.store.pins import PinOf, Pins
from mimir_vault.store.space import SpaceStore
from mimir_vault.store.writer import Writer
from mimir_vault.testing import FixedClock

SIZE_FLOOR = 1 << 20
SPACE_ID = bytes(range(16))
SALT = bytes(range(100, 116))
REPLICA = bytes(range(16, 32))
WORDS_VERSION = 1


class PlainDigester:
    """Keyed hashes without a secret: quick, and enough to see whether sums are kept right."""

    def digest_element(self, tag: bytes, element: bytes) -> int:
        """Return a 256-bit hash of tag and element."""
        return int.from_bytes(hashlib.sha256(tag + b"|" + element).digest(), "big")

    def chain(self, previous: bytes, digest: bytes) -> bytes:
        """Return a hash of both."""
        return hashlib.sha256(previous + b"|" + digest).digest()


def space_sealer() -> SpaceSealer:
    """Return the sealer of the space of these tests."""
    return SpaceSealer(SPACE_ID, {1: SecretBytes.copy_of(bytes([7] * 32))}, os.urandom)


class Seeds:
    """Makes ciphers, sealers, pins and stores below one folder; all keys come from fixed bytes."""

    def __init__(self, folder: Path, clock: FixedClock) -> None:
        self.folder, self.clock = folder, clock
        self._to_close: list[Any] = []

    def cipher(self, seed: int = 1) -> AegisPages:
        """Return a page cipher; another seed is another key."""
        return AegisPages(SecretBytes.copy_of(bytes([seed] * 32)), SALT)

    def sealer(self) -> SpaceSealer:
        """Return the sealer of the space."""
        return space_sealer()

    def database(self, name: str = "test.db", *, seed: int = 1, **given: Any) -> Database:
        """Open (or with `create=True` make) a database below the folder."""
        return self.closing(Database(self.folder / name, self.cipher(seed), "the test database", **given))

    def pins(self) -> Pins:
        """Open the pins of the folder."""
        return self.closing(Pins(self.folder / "state" / "pins.db", self.cipher(3)))

    def create_space(self, pins: Pins | None = None, name: str = "space.db", **given: Any) -> SpaceStore:
        """Make a space."""
        return self.closing(
            SpaceStore.create(
                self.folder / name, self.cipher(), self.sealer(), PinOf(pins, "space", REPLICA), self.clock,
                **{"size_floor": SIZE_FLOOR, "words_version": WORDS_VERSION, "name": "space test", **given},
            )
        )  # fmt: skip

    def open_space(self, pins: Pins | None = None, name: str = "space.db", **given: Any) -> SpaceStore:
        """Open a space made before."""
        return self.closing(
            SpaceStore.open(
                self.folder / name, self.cipher(), self.sealer(), PinOf(pins, "space", REPLICA), self.clock,
                **{"size_floor": SIZE_FLOOR, "words_version": WORDS_VERSION, "name": "space test", **given},
            )
        )  # fmt: skip

    def closing(self, opened: Any) -> Any:
        """Close this at the end of the test."""
        self._to_close.append(opened)
        return opened

    def close_all(self) -> None:
        """Close everything, the newest first."""
        while self._to_close:
            self._to_close.pop().close()


@pytest.fixture
def seeds(tmp_path: Path, clock: FixedClock) -> Iterator[Seeds]:
    """The maker of ciphers, sealers, databases and spaces; what it opened is closed at the end."""
    made = Seeds(tmp_path, clock)
    yield made
    made.close_all()


def plain_space() -> apsw.Connection:
    """Return a new unencrypted database in memory with a space's tables and page layout, at generation 0."""
    connection = apsw.Connection(":memory:")
    connection.reserve_bytes("main", 64)
    schema.migrate(connection, schema.SPACE_MIGRATIONS, schema.SPACE_APPLICATION_ID, "the test database")
    freshness.begin(connection)
    assert connection.serialize("main")[16:24] == bytes.fromhex("1000010140402020")
    return connection


def metadata(recorded: int, **given: Any) -> Metadata:
    """Return the metadata of a node with what is given filled in."""
    fields = {
        "version": CODEC_VERSION, "at": recorded, "offset_s": 0, "recorded": recorded, "order": 0, "user": None,
        "agent": None, "session": None, "speaker": None, "role": None, "kind": "turn", "tags": (), "links": (),
        "values": "", "indexed": True,
    }  # fmt: skip
    return Metadata(**{**fields, **given})


def state(**given: Any) -> State:
    """Return the state of a node with what is given filled in."""
    fields = {"ref": None, "expires": None, "pinned": False, "hidden": False, "seen": 0, "last_seen": None}
    return State(version=CODEC_VERSION, **{**fields, **given})


@contextmanager
def writing(connection: apsw.Connection, sealer: Any) -> Iterator[Writer]:
    """Hold a write transaction of a plain space, as `SpaceStore.write` does."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        with freshness.changing(connection, sealer) as change:
            writer = Writer(connection, sealer, change, WORDS_VERSION)
            yield writer
            writer.flush()
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


@pytest.fixture
def plain() -> Iterator[apsw.Connection]:
    """One such database."""
    connection = plain_space()
    yield connection
    connection.close()


@pytest.fixture
def digester() -> PlainDigester:
    """Hashes without a key."""
    return PlainDigester()
