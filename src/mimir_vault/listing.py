"""Listing: nodes by id, ref, filter or order, opened as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import NotFoundError
from mimir_vault.index.filtering import Masks, evaluate
from mimir_vault.model.clock import to_micros
from mimir_vault.model.draft import Draft, check_ref, make_draft
from mimir_vault.model.facets import PINNED
from mimir_vault.model.filter import EVERYTHING, Filter, matches
from mimir_vault.model.hit import Hit, Hits
from mimir_vault.model.link import Link
from mimir_vault.model.node import Node
from mimir_vault.open_space import OpenSpace
from mimir_vault.reading import read_nodes
from mimir_vault.store import attributes, nodes
from mimir_vault.store.links import SUPERSEDES
from mimir_vault.store.query import fetch
from mimir_vault.store.writer import ref_path

ORDERS = ("oldest", "newest")
BATCH_NODES = 256
"""Nodes opened at a time by an iteration."""
HISTORY_MAX = 100_000
"""Most versions followed in one direction."""
CARRIED = (
    "text", "speaker", "role", "session", "user", "agent", "kind", "at", "tags", "metadata", "ref", "data",
    "expires_at", "pinned",
)  # fmt: skip
"""Fields that a successor takes over."""


def get(space: OpenSpace, node_id: str | None, ref: Sequence[str] | None) -> Node | None:
    """Return the node of an id, of its first digits, or of a ref."""
    if (node_id is None) == (ref is None):
        raise ValueError("get takes a node id or a ref")
    with space.store.read() as connection:
        if ref is not None:
            found = fetch(connection, "SELECT seq FROM ref WHERE path = ?", (ref_path(check_ref(ref)),))
            seq = found[0][0] if found else 0
        else:
            stored = nodes.find(connection, _id_text(node_id))
            seq = stored.seq if stored is not None else 0
        node = read_nodes(connection, space.store.sealer, [seq]).get(seq)
    expired = node is not None and node.expires_at is not None and to_micros(node.expires_at) <= space.clock.now()
    return None if expired else node


def _id_text(node_id: object) -> str:
    if not isinstance(node_id, str):
        raise TypeError(f"a node id is text, not {type(node_id).__name__}")
    return node_id


def seqs_of(space: OpenSpace, ids: Sequence[str]) -> list[int]:
    """Return the seqs of whole node ids."""
    with space.store.read() as connection:
        return sorted(nodes.seqs_of(connection, [bytes.fromhex(one) for one in ids]).values())


def successor(old: Node, text: str | None, fields: dict[str, Any]) -> Draft:
    """Return the draft that supersedes a node, with what is not given carried over."""
    carried = {name: getattr(old, name) for name in CARRIED} | ({} if text is None else {"text": text}) | fields
    if "at" not in fields:
        carried["at"] = None
    links = [*fields.get("links", ())]
    if old.ref is None or carried["ref"] != old.ref:
        links.append(Link("supersedes", old.id))
    return make_draft(carried.pop("text"), carried | {"links": links})


def history(space: OpenSpace, node_id: str) -> list[Node]:
    """Return all versions of a node, the newest first."""
    with space.store.read() as connection:
        stored = nodes.find(connection, _id_text(node_id))
        if stored is None:
            raise NotFoundError(f"there is no node {node_id}")
        seqs = {stored.seq}
        edge = [stored.seq]
        while edge and len(seqs) < HISTORY_MAX:
            seq = edge.pop()
            older = fetch(connection, "SELECT older FROM link WHERE newer = ? AND kind = ?", (seq, SUPERSEDES))
            newer = fetch(
                connection,
                "SELECT newer FROM link WHERE target = (SELECT id FROM node WHERE seq = ?) AND kind = ?",
                (seq, SUPERSEDES),
            )
            for (other,) in older + newer:
                if other and other not in seqs:
                    seqs.add(other)
                    edge.append(other)
        found = read_nodes(connection, space.store.sealer, sorted(seqs))
    return [found[seq] for seq in sorted(found, reverse=True)]


def _masks(space: OpenSpace, connection: apsw.Connection, filter_: Filter) -> Masks:
    columns = space.index.columns
    if filter_ == EVERYTHING:
        return Masks(columns.live, columns.live)
    return evaluate(filter_, columns, space.index.names, lambda condition: attributes.lookup(connection, condition))


def _candidates(
    space: OpenSpace, filter_: Filter, *, expired: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the seqs that may pass a filter, ascending, and which of them surely do.

    What is expired or hidden counts only with `expired`: an erasure must reach it.
    """
    with space.store.read() as connection, space.index.lock:
        space.index.refresh(connection, None)
        masks = _masks(space, connection, filter_)
        kept = masks.maybe if expired else masks.maybe & space.index.columns.current(space.clock.now())
        return space.index.columns.seqs[kept].copy(), masks.sure[kept]


def _opened(space: OpenSpace, seqs: Sequence[int]) -> dict[int, Node]:
    with space.store.read() as connection:
        return read_nodes(connection, space.store.sealer, seqs)


def iterate(space: OpenSpace, filter_: Filter, order: str, limit: int | None, after: str | None) -> Iterator[Node]:
    """Yield the nodes that pass a filter, one batch opened at a time."""
    seqs, _ = _candidates(space, filter_)
    if after is not None:
        with space.store.read() as connection:
            start = nodes.find(connection, _id_text(after))
        if start is None:
            raise NotFoundError(f"there is no node {after} to go on behind")
        seqs = seqs[seqs > start.seq] if order == "oldest" else seqs[seqs < start.seq]
    if order == "newest":
        seqs = seqs[::-1]
    return _iterate(space, filter_, seqs, limit)


def _iterate(space: OpenSpace, filter_: Filter, seqs: NDArray[np.int64], limit: int | None) -> Iterator[Node]:
    given = 0
    for begin in range(0, len(seqs), BATCH_NODES):
        batch = seqs[begin : begin + BATCH_NODES].tolist()
        found = _opened(space, batch)
        for seq in batch:
            if seq in found and matches(filter_, found[seq]):
                yield found[seq]
                given += 1
                if given == limit:
                    return


def count(space: OpenSpace, filter_: Filter) -> int:
    """Return how many nodes pass; only those that the facets do not decide are opened."""
    seqs, sure = _candidates(space, filter_)
    open_seqs = seqs[~sure]
    return int(sure.sum()) + sum(1 for _ in _iterate(space, filter_, open_seqs, None))


def matching(space: OpenSpace, filter_: Filter) -> list[int]:
    """Return the seqs of all nodes that pass, expired and hidden ones included."""
    seqs, sure = _candidates(space, filter_, expired=True)
    found = seqs[sure].tolist()
    unsure = seqs[~sure]
    for begin in range(0, len(unsure), BATCH_NODES):
        opened = _opened(space, unsure[begin : begin + BATCH_NODES].tolist())
        found += [seq for seq, node in opened.items() if matches(filter_, node)]
    return sorted(found)


def newest_hits(space: OpenSpace, filter_: Filter, count_: int, as_of: int | None, known_at: int | None) -> Hits:
    """Return what is pinned, then the newest nodes that still hold, as hits of falling score."""
    with space.store.read() as connection, space.index.lock:
        space.index.refresh(connection, None)
        columns = space.index.columns
        visible = columns.visible(space.clock.now(), as_of, known_at) & _masks(space, connection, filter_).maybe
        rows = np.flatnonzero(visible)
        pinned = (columns.facet("flags")[rows] & PINNED) != 0
        order = np.lexsort((-columns.facet("at")[rows], ~pinned))
        seqs = columns.seqs[rows[order]].copy()
    chosen: list[Node] = []
    texts: set[str] = set()
    for node in _iterate(space, filter_, seqs, None):
        if node.text not in texts and node.text.strip():
            texts.add(node.text)
            chosen.append(node)
        if len(chosen) == count_:
            break
    return Hits([Hit(node, 1 / (1 + place), {}, node.text, 0, len(node.text)) for place, node in enumerate(chosen)])
