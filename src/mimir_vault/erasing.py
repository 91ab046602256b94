"""Erasing: nodes, their keys and everything derived of them destroyed in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mimir_vault.errors import FormatError
from mimir_vault.index.sketch import Sketch
from mimir_vault.store import nodes
from mimir_vault.store.nodes import StoredNode
from mimir_vault.store.writer import Writer

BATCH_NODES = 1_000
"""Nodes erased in one transaction."""
BYTES_PER_NODE = 4_096
"""Room reckoned for the erasure of one node."""
CHECKPOINT_WAIT_MS = 1_000
"""How long an erasure waits for readers of other processes before its receipt says "pending"."""


def erase(writer: Writer, seqs: Sequence[int], event: str, now: int) -> tuple[list[str], list[int]]:
    """Inside a write transaction: erase nodes; return their ids, and the seqs of those they had superseded."""
    if writer.change.erased is None:
        writer.change.erased = set()
    stored: list[StoredNode] = list(nodes.by_seq(writer.connection, seqs).values())
    again = writer.erase(stored, erase_codes)
    writer.audit(event, now, count=len(stored), ids=[one.sealed.id for one in stored])
    return [one.sealed.id.hex() for one in stored], again


def erase_codes(model: int, saved: bytes, vids: Sequence[int]) -> bytes:
    """Return a saved sketch with the codes of these vectors overwritten; a damaged one is emptied, to be made anew."""
    cleaned = bytearray(saved)
    try:
        places = Sketch.image_places(saved, np.array(vids, np.int64))
    except FormatError:
        return b""
    for offset, length in places:
        cleaned[offset : offset + length] = bytes(length)
    return bytes(cleaned)
