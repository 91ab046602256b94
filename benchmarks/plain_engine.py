"""Our own engine with encryption off, to measure what encryption costs: it exists here and nowhere in the package.

The same store, index and ranking as a vault's space. Only two parts are others: a sealer that keeps the values as they
are, under ids that are SHA-256 of them, and pages as SQLite writes them. The digests of freshness stay (without a key,
which costs the same), for they are bookkeeping against old copies and no cipher.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw

from mimir_vault.crypto.sealer import SealedNode
from mimir_vault.embed.embedder import Embedder
from mimir_vault.errors import TamperedError
from mimir_vault.memory import Memory
from mimir_vault.model.clock import SystemClock
from mimir_vault.open_space import OpenSpace
from mimir_vault.recall.terms import TERMS_VERSION
from mimir_vault.shared_embedder import SharedEmbedder
from mimir_vault.store.padding import SPACE_FLOOR
from mimir_vault.store.pins import PinOf, Pins
from mimir_vault.store.space import SpaceStore

EPOCH = 1
COUNTER_BYTES = 8
SPACE_FACTS: dict[str, Any] = {"size_floor": SPACE_FLOOR, "words_version": TERMS_VERSION, "name": "the plain space"}
PLAIN_START = b"SQLite format 3\x00" + bytes.fromhex("1000020200402020")
"""The first 24 bytes of a file of SQLite itself: its mark, page size 4096, WAL twice, no reserved bytes, fractions."""


class PlainSealer:
    """The `Sealer` of the store without any cipher: no node keys, no wraps, nothing to check when opening."""

    def seal(self, payload: bytes, metadata: bytes, state: bytes) -> SealedNode:
        """Return the values as they are, under the hash of payload and metadata."""
        digest = hashlib.sha256(len(payload).to_bytes(8, "big"))
        digest.update(payload)
        digest.update(metadata)
        return SealedNode(digest.digest(), EPOCH, b"", payload, metadata, _counted(1, state))

    def open_node(self, node: SealedNode) -> tuple[bytes, bytes, bytes]:
        """Return payload, metadata and state."""
        return node.payload, node.metadata, node.state[COUNTER_BYTES:]

    def open_payload(self, node: SealedNode) -> bytes:
        """Return the payload alone."""
        return node.payload

    def open_metadata(self, node: SealedNode) -> bytes:
        """Return the metadata alone."""
        return node.metadata

    def open_state(self, node: SealedNode) -> bytes:
        """Return the state alone."""
        return node.state[COUNTER_BYTES:]

    def replace_state(self, node: SealedNode, state: bytes) -> SealedNode:
        """Return the node with another state and the next counter."""
        return replace(node, state=_counted(int.from_bytes(node.state[:COUNTER_BYTES], "big") + 1, state))

    def seal_vector(self, node: SealedNode, vector: bytes, about: bytes = b"") -> bytes:
        """Return a vector as it is."""
        return vector

    def open_vector(self, node: SealedNode, sealed: bytes, about: bytes = b"") -> bytes:
        """Return a vector as it is."""
        return sealed

    def digest_element(self, tag: bytes, element: bytes) -> int:
        """Return the BLAKE2b-256 of tag and element as an integer."""
        return int.from_bytes(hashlib.blake2b(tag + b"\x00" + element, digest_size=32).digest(), "big")

    def chain(self, previous: bytes, digest: bytes) -> bytes:
        """Return the next value of the chain."""
        return hashlib.sha256(previous + digest).digest()

    def wipe(self) -> None:
        """There is no key."""


def _counted(counter: int, state: bytes) -> bytes:
    """Return a state behind its counter; the default state stays nothing at all."""
    return counter.to_bytes(COUNTER_BYTES, "big") + state if state else b""


class PlainPages:
    """The `PageCipher` of the store without any cipher: a connection is given no key."""

    def unlock(self, connection: apsw.Connection) -> None:
        """Leave the connection as SQLite opens it."""

    def check_start(self, start: bytes, name: str) -> None:
        """Refuse what is no file of SQLite's own."""
        if start != PLAIN_START:
            raise TamperedError(f"{name} is no plain database; remove the folder and measure again")

    def wipe(self) -> None:
        """There is no key."""


class PlainEngine:
    """One space in a folder, read and written through a `Memory` as that of a vault is."""

    def __init__(self, folder: Path, embedder: Embedder, *, create: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._pins = Pins(folder / "pins.db", PlainPages())
        clock, path, pin = SystemClock(), folder / "space.db", PinOf(self._pins, "space", bytes(16))
        if create:
            SpaceStore.create(path, PlainPages(), PlainSealer(), pin, clock, **SPACE_FACTS).close()
        # A new space of a vault is opened anew, too: it begins with an empty cache.
        self.store = SpaceStore.open(path, PlainPages(), PlainSealer(), pin, clock, **SPACE_FACTS)
        self.space = OpenSpace("plain", self.store, clock, os.urandom, SharedEmbedder(embedder))
        self.memory = Memory(None, self.space)  # type: ignore[arg-type]  # it asks its vault only when it closes one

    def close(self) -> None:
        """Close the space and its pins."""
        self.space.close()
        self._pins.close()
