"""Forgetting: nodes, their keys and everything derived of them destroyed in one transaction, with a receipt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mimir_vault.errors import FormatError
from mimir_vault.index.sketch import Sketch
from mimir_vault.model.clock import from_micros
from mimir_vault.model.receipt import Receipt
from mimir_vault.open_space import OpenSpace
from mimir_vault.store import freshness, nodes
from mimir_vault.store.nodes import StoredNode

BATCH_NODES = 1_000
"""Nodes erased in one transaction."""
CHECKPOINT_WAIT_MS = 1_000
"""How long an erasure waits for readers of other processes before its receipt says "pending"."""


def forget(space: OpenSpace, seqs: Sequence[int], *, dry_run: bool = False) -> Receipt:
    """Destroy these nodes and return what was done; with `dry_run` only say what would be."""
    at = from_micros(space.clock.now()).isoformat()
    with space.store.read() as connection:
        before = freshness.read(connection)
        ids = nodes.ids_of(connection, seqs)
    if dry_run or not ids:
        return Receipt(
            ids=tuple(ids[seq].hex() for seq in sorted(ids)), at=at, generation_before=before.generation,
            generation_after=before.generation, digest=f"{before.digest:064x}", on_disk="erased", dry_run=dry_run,
        )  # fmt: skip
    gone: list[str] = []
    again: list[int] = []
    traces: set[bytes] = set()
    rest = sorted(ids)
    while rest:
        part, rest = rest[:BATCH_NODES], rest[BATCH_NODES:]
        erased, older = _erase(space, part, traces)
        gone += erased
        again += older
    space.upkeep.wrote()
    gone_from_disk = space.store.fresh.remove_traces(traces, CHECKPOINT_WAIT_MS)
    after = space.store.freshness()
    with space.store.read() as connection:
        current_again = nodes.ids_of(connection, again)
    return Receipt(
        ids=tuple(gone), at=at, generation_before=before.generation, generation_after=after.generation,
        digest=f"{after.digest:064x}", on_disk="erased" if gone_from_disk else "pending",
        current_again=tuple(current_again[seq].hex() for seq in sorted(current_again)),
    )  # fmt: skip


def _erase(space: OpenSpace, seqs: Sequence[int], traces: set[bytes]) -> tuple[list[str], list[int]]:
    with space.store.write(len(seqs) * 4_096) as writer:
        writer.change.erased = set()
        stored: list[StoredNode] = list(nodes.by_seq(writer.connection, seqs).values())
        again = writer.erase(stored, erase_codes)
        writer.audit("nodes forgotten", space.clock.now(), count=len(stored), ids=[one.sealed.id for one in stored])
        erased = writer.change.erased
    traces |= erased
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
