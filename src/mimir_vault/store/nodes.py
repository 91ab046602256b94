"""Nodes as rows: sealed envelopes by id or seq, tombstones, and the elements they are in the set digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import apsw
import numpy as np

from mimir_vault.crypto.sealer import SealedNode
from mimir_vault.errors import NotFoundError
from mimir_vault.store.freshness import Digester
from mimir_vault.store.query import each

ID_DIGITS_MIN = 8
"""Shortest beginning of a node id that is accepted for it."""
_COLUMNS = "seq, id, epoch, wrap, payload, metadata, state"


class Sealer(Digester, Protocol):
    """Seals and opens the nodes of one space; the store never sees a key."""

    def seal(self, payload: bytes, metadata: bytes, state: bytes) -> SealedNode:
        """Seal a new node under a node key of its own."""

    def open_node(self, node: SealedNode) -> tuple[bytes, bytes, bytes]:
        """Return payload, metadata and state (TamperedError when a byte is another)."""

    def open_metadata(self, node: SealedNode) -> bytes:
        """Return the metadata alone."""

    def open_state(self, node: SealedNode) -> bytes:
        """Return the state alone."""

    def replace_state(self, node: SealedNode, state: bytes) -> SealedNode:
        """Return the node with another state."""

    def seal_vector(self, node: SealedNode, vector: bytes, about: bytes = b"") -> bytes:
        """Seal a vector of a node, bound to what it is about."""

    def open_vector(self, node: SealedNode, sealed: bytes, about: bytes = b"") -> bytes:
        """Return a sealed vector (TamperedError when it is another node's, or about something else)."""

    def wipe(self) -> None:
        """Forget the keys."""


@dataclass(frozen=True, slots=True)
class StoredNode:
    """A node and its place in the space: `seq` rises with every node put and is never used twice."""

    seq: int
    sealed: SealedNode


def _stored(row: tuple[int, bytes, int, bytes, bytes, bytes, bytes]) -> StoredNode:
    return StoredNode(row[0], SealedNode(*row[1:]))


def insert(connection: apsw.Connection, sealed: SealedNode) -> int:
    """Write a node; return its seq."""
    connection.execute(
        "INSERT INTO node (id, epoch, wrap, payload, metadata, state) VALUES (?, ?, ?, ?, ?, ?)",
        (sealed.id, sealed.epoch, sealed.wrap, sealed.payload, sealed.metadata, sealed.state),
    )
    return connection.last_insert_rowid()


def by_seq(connection: apsw.Connection, seqs: Sequence[int]) -> dict[int, StoredNode]:
    """Return the nodes of these seqs that exist, in one statement."""
    if not len(seqs):
        return {}
    wanted = apsw.carray(np.array(seqs, dtype=np.int64))
    rows = each(connection, f"SELECT {_COLUMNS} FROM node WHERE seq IN carray(?)", (wanted,))
    return {row[0]: _stored(row) for row in rows}


def find(connection: apsw.Connection, digits: str) -> list[StoredNode]:
    """Return the nodes whose ids begin with `digits` (hexadecimal, at least 8), at most 16 of them.

    Raises:
        NotFoundError: fewer than 8 digits, or not hexadecimal.
    """
    text = digits.strip().lower()
    if not ID_DIGITS_MIN <= len(text) <= 64 or any(digit not in "0123456789abcdef" for digit in text):
        raise NotFoundError(f"{digits[:80]!r} is no node id: give at least {ID_DIGITS_MIN} of its hexadecimal digits")
    low, high = bytes.fromhex(text.ljust(64, "0")), bytes.fromhex(text.ljust(64, "f"))
    rows = each(connection, f"SELECT {_COLUMNS} FROM node WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 16", (low, high))
    return [_stored(row) for row in rows]


def seqs_of(connection: apsw.Connection, ids: Iterable[bytes]) -> dict[bytes, int]:
    """Return the seq of each id that exists."""
    wanted = tuple(ids)
    if not wanted:
        return {}
    return dict(each(connection, "SELECT id, seq FROM node WHERE id IN carray(?)", (apsw.carray(wanted),)))


def ids_of(connection: apsw.Connection, seqs: Sequence[int]) -> dict[int, bytes]:
    """Return the id of each seq that exists."""
    if not len(seqs):
        return {}
    wanted = apsw.carray(np.array(seqs, dtype=np.int64))
    return dict(each(connection, "SELECT seq, id FROM node WHERE seq IN carray(?)", (wanted,)))


def every(connection: apsw.Connection, above: int = 0) -> Iterator[StoredNode]:
    """Yield all nodes with seq above `above`, ascending."""
    for row in each(connection, f"SELECT {_COLUMNS} FROM node WHERE seq > ? ORDER BY seq", (above,)):
        yield _stored(row)


def element(sealed: SealedNode) -> bytes:
    """Return what a live node is in the set digest: id | epoch | wrap | SHA-256 of the state."""
    return sealed.id + sealed.epoch.to_bytes(4, "big") + sealed.wrap + hashlib.sha256(sealed.state).digest()


def tombstone_element(node_id: bytes, generation: int, superseded: bytes) -> bytes:
    """Return what an erased node is in the set digest: id | generation of its erasure | ids that it had superseded."""
    return node_id + generation.to_bytes(8, "big") + superseded


NODE_TAG, TOMBSTONE_TAG = b"node", b"tombstone"


def recompute(connection: apsw.Connection, digester: Digester) -> tuple[int, int]:
    """Return (count, sum) over every live node and tombstone, read afresh."""
    total = count = 0
    for node in every(connection):
        total += digester.digest_element(NODE_TAG, element(node.sealed))
        count += 1
    for node_id, generation, superseded in each(connection, "SELECT id, generation, superseded FROM tombstone"):
        total += digester.digest_element(TOMBSTONE_TAG, tombstone_element(node_id, generation, superseded))
        count += 1
    return count, total
