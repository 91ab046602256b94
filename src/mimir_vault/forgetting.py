"""Forgetting: nodes destroyed for ever with a receipt, hidden for a grace before that, or hidden and brought back."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from msgspec import structs

from mimir_vault.erasing import BATCH_NODES, BYTES_PER_NODE, CHECKPOINT_WAIT_MS, erase
from mimir_vault.errors import NotFoundError
from mimir_vault.model.clock import from_micros
from mimir_vault.model.link import LINK_KINDS
from mimir_vault.model.node import Node
from mimir_vault.model.receipt import Receipt
from mimir_vault.reading import OpenedNode, as_node
from mimir_vault.store import freshness, nodes
from mimir_vault.store.query import fetch
from mimir_vault.viewed_space import ViewedSpace

log = logging.getLogger("mimir_vault")
DERIVED_FROM = LINK_KINDS.index("derived_from")
GRACE_MAX = timedelta(days=3_650)
"""Longest grace: what nobody missed for ten years was not meant to be kept."""


def grace_micros(grace: object) -> int | None:
    """Return a grace in microseconds, None for none (ValueError, TypeError for an impossible one)."""
    if grace is None:
        return None
    if not isinstance(grace, timedelta):
        raise TypeError(f"grace is a timedelta, for example timedelta(days=7), not {type(grace).__name__}")
    if not timedelta(0) < grace <= GRACE_MAX:
        raise ValueError(f"grace is above nothing and at most {GRACE_MAX.days:,} days")
    return round(grace.total_seconds() * 1_000_000)


def derived_of(space: ViewedSpace, seqs: Sequence[int]) -> list[int]:
    """Return these seqs and those of all nodes of the view that were derived from them, directly or along a chain."""
    known = set(seqs)
    edge = sorted(known)
    with space.read() as connection:
        while edge:
            found: set[int] = set()
            for node_id in nodes.ids_of(connection, edge).values():
                rows = fetch(
                    connection, "SELECT newer FROM link WHERE target = ? AND kind = ?", (node_id, DERIVED_FROM)
                )
                found.update(row[0] for row in rows)
            edge = sorted(space.opened(connection, sorted(found - known)))
            known.update(edge)
    return sorted(known)


def forget(space: ViewedSpace, seqs: Sequence[int], *, dry_run: bool = False, grace: int | None = None) -> Receipt:
    """Destroy these nodes, or hide them until a grace is over; with `dry_run` only say what would be."""
    now = space.clock.now()
    with space.read() as connection:
        before = freshness.read(connection)
        ids = nodes.ids_of(connection, seqs)
    receipt = Receipt(
        ids=tuple(ids[seq].hex() for seq in sorted(ids)), at=from_micros(now).isoformat(),
        generation_before=before.generation, generation_after=before.generation, digest=f"{before.digest:064x}",
        on_disk="erased", dry_run=dry_run,
        due=from_micros(now + grace).isoformat() if grace is not None else None,
    )  # fmt: skip
    if dry_run or not ids:
        return receipt
    begin = time.monotonic_ns()
    if grace is not None:
        receipt = _hide_until(space, sorted(ids), now + grace, receipt)
    else:
        receipt = _erase(space, sorted(ids), receipt, now)
    if log.isEnabledFor(logging.DEBUG):
        took, first = (time.monotonic_ns() - begin) / 1e6, " ".join(receipt.ids[:10])
        log.debug("forget took %.1f ms for %d nodes: %s", took, len(receipt.ids), first)
    return receipt


def _erase(space: ViewedSpace, seqs: list[int], receipt: Receipt, now: int) -> Receipt:
    gone: list[str] = []
    again: list[int] = []
    traces: list[set[bytes]] = []
    transaction = space.space.transaction
    for begin in range(0, len(seqs), BATCH_NODES):
        part = seqs[begin : begin + BATCH_NODES]
        with space.write(len(part) * BYTES_PER_NODE) as writer:
            erased, older = erase(writer, part, "nodes forgotten", now)
            traces.append(writer.change.erased or set())
            generation, digest = writer.generation, writer.change.digest_after
        gone += erased
        again += older
    if transaction is not None:
        transaction.afterwards.append(lambda: _clean(space, traces))
        on_disk = "pending"
    else:
        space.upkeep.wrote()
        on_disk = "erased" if _clean(space, traces) else "pending"
        after = space.store.freshness()
        generation, digest = after.generation, after.digest
    with space.read() as connection:
        current_again = space.opened(connection, again)
    return replace(
        receipt, ids=tuple(gone), generation_after=generation, digest=f"{digest:064x}", on_disk=on_disk,
        current_again=tuple(current_again[seq].stored.sealed.id.hex() for seq in sorted(current_again)),
    )  # fmt: skip


def _clean(space: ViewedSpace, traces: list[set[bytes]]) -> bool:
    """After the commit: leave nothing of what was erased in the file; the sets were filled up to the commit."""
    return space.store.fresh.remove_traces(set().union(*traces), CHECKPOINT_WAIT_MS)


def _hide_until(space: ViewedSpace, seqs: list[int], due: int, receipt: Receipt) -> Receipt:
    with space.write(len(seqs) * BYTES_PER_NODE) as writer:
        for opened in space.opened(writer.connection, seqs).values():
            forget_at = due if opened.state.forget_at is None else min(due, opened.state.forget_at)
            writer.replace_state(opened.stored, structs.replace(opened.state, hidden=True, forget_at=forget_at))
        writer.audit("nodes hidden", space.clock.now(), count=len(seqs), due=due)
        generation, digest = writer.generation, writer.change.digest_after
    if space.space.transaction is None:
        space.upkeep.wrote()
    return replace(receipt, generation_after=generation, digest=f"{digest:064x}", on_disk="hidden")


def hide(space: ViewedSpace, opened: OpenedNode | None, hidden: bool, what: object) -> Node:
    """Take a node out of answers, or bring it back, whatever hid it, and return it."""
    with space.write(BYTES_PER_NODE) as writer:
        seq = opened.stored.seq if opened is not None else 0
        now = space.opened(writer.connection, [seq]).get(seq)
        if now is None:
            raise NotFoundError(f"there is no node {what}")
        state = structs.replace(now.state, hidden=hidden, forget_at=now.state.forget_at if hidden else None)
        if state != now.state:
            stored = writer.replace_state(now.stored, state)
            now = OpenedNode(stored, now.payload, now.metadata, state)
            writer.audit("node hidden" if hidden else "node kept", space.clock.now(), ids=[stored.sealed.id])
        newer = space.successors(writer.connection, [now.stored.seq]).get(now.stored.seq)
    if space.space.transaction is None:
        space.upkeep.wrote()
    return as_node(now, newer)
