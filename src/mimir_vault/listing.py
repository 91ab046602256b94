"""Listing: nodes by id, ref, filter or order, opened as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import NotFoundError
from mimir_vault.model.draft import check_ref
from mimir_vault.model.facets import HIDDEN, PINNED
from mimir_vault.model.filter import Filter
from mimir_vault.model.hit import Hit, Hits
from mimir_vault.model.node import Node
from mimir_vault.reading import OpenedNode, as_node
from mimir_vault.store import refs
from mimir_vault.store.links import SUPERSEDES
from mimir_vault.store.query import fetch
from mimir_vault.viewed_space import ViewedSpace

ORDERS = ("oldest", "newest", "ref")
BATCH_NODES = 256
"""Nodes opened at a time by an iteration."""
HISTORY_MAX = 100_000
"""Most versions followed in one direction."""
Seqs = NDArray[np.int64]


def find(
    space: ViewedSpace, connection: apsw.Connection, node_id: str | None, ref: Sequence[str] | None
) -> OpenedNode | None:
    """Return the node of an id, of its first digits, or of a ref, hidden and expired ones too."""
    if (node_id is None) == (ref is None):
        raise ValueError("give a node id or a ref")
    if node_id is not None:
        return space.find(connection, node_id)
    assert ref is not None
    seq = refs.newest(connection, space.view.below(check_ref(ref)))
    return space.opened(connection, [seq]).get(seq)


def named(space: ViewedSpace, node_id: str | None, ref: Sequence[str] | None) -> list[int]:
    """Return the seq of a node id, or those of all versions of a ref, hidden and expired ones too."""
    with space.read() as connection:
        if ref is None:
            opened = find(space, connection, node_id, None)
            return [opened.stored.seq] if opened is not None else []
        return sorted(space.opened(connection, refs.versions(connection, space.view.below(ref))))


def get(space: ViewedSpace, node_id: str | None, ref: Sequence[str] | None) -> Node | None:
    """Return the node of an id, of its first digits, or of a ref, hidden and expired ones left aside; None for none.

    So a ref whose newest version is gone points at the one before it, as recall does.
    """
    with space.read() as connection:
        opened = find(space, connection, node_id, ref)
        if opened is not None and not space.is_current(opened):
            opened = None if ref is None else _version_before(space, connection, opened, check_ref(ref))
        if opened is None:
            return None
        return as_node(opened, space.successors(connection, [opened.stored.seq]).get(opened.stored.seq))


def _version_before(
    space: ViewedSpace, connection: apsw.Connection, newest: OpenedNode, ref: tuple[str, ...]
) -> OpenedNode | None:
    """Return the newest version of a ref before this one that is neither hidden nor expired, within the view."""
    for seq in reversed([one for one in refs.versions(connection, ref) if one < newest.stored.seq]):
        opened = space.opened(connection, [seq]).get(seq)
        if opened is None or space.is_current(opened):
            return opened
    return None


def history(space: ViewedSpace, node_id: str) -> list[Node]:
    """Return all versions of a node, the newest first, without those that are hidden or expired."""
    with space.read() as connection:
        opened = space.find(connection, node_id)
        if opened is None:
            raise NotFoundError(f"there is no node {node_id}")
        seqs = {opened.stored.seq}
        edge = [opened.stored.seq]
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
        found = {seq: one for seq, one in space.opened(connection, sorted(seqs)).items() if space.is_current(one)}
        newest = space.successors(connection, list(found))
    if not found:
        raise NotFoundError(f"there is no node {node_id}")
    return [as_node(found[seq], newest.get(seq)) for seq in sorted(found, reverse=True)]


def _nodes(
    space: ViewedSpace, connection: apsw.Connection, filter_: Filter, seqs: Sequence[int], *, hidden: bool = False
) -> dict[int, Node]:
    """Return these nodes by seq, those alone that pass a filter and are (or are not) hidden."""
    newer = space.successors(connection, seqs)
    return {
        seq: as_node(opened, newer.get(seq))
        for seq, opened in space.opened(connection, seqs).items()
        if opened.state.hidden is hidden and space.passes(filter_, opened)
    }


def candidates(space: ViewedSpace, filter_: Filter, *, hidden: bool = False) -> tuple[Seqs, NDArray[np.bool_]]:
    """Return the seqs that may pass a filter, ascending, and which of them surely do."""
    with space.search() as (connection, index):
        found = index.masks(connection, filter_)
        columns = index.columns
        if hidden:
            kept = found.maybe & ((columns.facet("flags") & HIDDEN) != 0) & columns.live
        else:
            kept = found.maybe & columns.current(space.clock.now())
        return columns.seqs[kept].copy(), found.sure[kept]


def iterate(
    space: ViewedSpace, filter_: Filter, order: str, limit: int | None, after: str | None, *, hidden: bool = False
) -> Iterator[Node]:
    """Yield the nodes that pass a filter, one batch opened at a time."""
    seqs, _ = candidates(space, filter_, hidden=hidden)
    if order == "ref":
        seqs = _by_ref(space, seqs)
    elif order == "newest":
        seqs = seqs[::-1]
    if after is not None:
        with space.read() as connection:
            start = space.find(connection, after)
        if start is None:
            raise NotFoundError(f"there is no node {after} to go on behind")
        seqs = seqs[_place_behind(seqs, start.stored.seq, order) :]
    return _iterate(space, filter_, seqs, limit, hidden)


def _by_ref(space: ViewedSpace, seqs: Seqs) -> Seqs:
    """Return nodes in the order of their refs, part by part, then those without a ref in the order of storing."""
    with space.read() as connection:
        rows = refs.rows_under(connection, space.view.under)
        ordered = np.fromiter((seq for _, seq in rows), np.int64)
    with_ref = ordered[np.isin(ordered, seqs)]
    return np.concatenate([with_ref, seqs[~np.isin(seqs, with_ref)]])


def _place_behind(seqs: Seqs, start: int, order: str) -> int:
    """Return the place of the first node behind the one of seq `start`, which may itself not be among them."""
    there = np.flatnonzero(seqs == start)
    if len(there):
        return int(there[0]) + 1
    if order == "ref":
        raise NotFoundError("the node to go on behind is not among those that are listed; begin again")
    return int((seqs < start).sum() if order == "oldest" else (seqs > start).sum())


def _iterate(
    space: ViewedSpace, filter_: Filter, seqs: Seqs, limit: int | None, hidden: bool = False
) -> Iterator[Node]:
    given = 0
    for begin in range(0, len(seqs), BATCH_NODES):
        batch = seqs[begin : begin + BATCH_NODES].tolist()
        with space.read() as connection:
            found = _nodes(space, connection, filter_, batch, hidden=hidden)
        for seq in batch:
            if seq in found:
                yield found[seq]
                given += 1
                if given == limit:
                    return


def count(space: ViewedSpace, filter_: Filter) -> int:
    """Return how many nodes pass; only those that the facets do not decide are opened."""
    seqs, sure = candidates(space, filter_)
    return int(sure.sum()) + sum(1 for _ in _iterate(space, filter_, seqs[~sure], None))


def matching(space: ViewedSpace, filter_: Filter) -> list[int]:
    """Return the seqs of all nodes that pass, expired and hidden ones included: an erasure must reach them."""
    found: list[int] = []
    with space.search() as (connection, index):
        seqs = index.columns.seqs[index.masks(connection, filter_).maybe].tolist()
    for begin in range(0, len(seqs), BATCH_NODES):
        with space.read() as connection:
            opened = space.opened(connection, seqs[begin : begin + BATCH_NODES])
        found += [seq for seq, one in opened.items() if space.passes(filter_, one)]
    return sorted(found)


def ref_names(space: ViewedSpace, under: tuple[str, ...], depth: int | None) -> list[tuple[str, ...]]:
    """Return the distinct refs below a prefix that a current node has, cut to `depth` parts, in their order."""
    filter_ = space.view.parse(under=under)
    with space.search() as (connection, index):
        rows = list(refs.rows_under(connection, space.view.below(under)))
        current = index.columns.current(space.clock.now())
        seen = index.masks(connection, filter_).maybe
        places = index.columns.rows(np.array([seq for _, seq in rows], np.int64))
    holders = {  # The last of each ref is its newest.
        path: place for (path, _), place in zip(rows, places.tolist(), strict=True) if place >= 0 and current[place]
    }
    found: dict[tuple[str, ...], None] = {}
    for path, place in holders.items():
        if seen[place]:
            found[refs.ref_of(path)[:depth]] = None
    return list(found)


def newest_hits(space: ViewedSpace, filter_: Filter, count_: int, as_of: int | None, known_at: int | None) -> Hits:
    """Return what is pinned, then the newest nodes that still hold, as hits of falling score."""
    with space.search() as (connection, index):
        columns = index.columns
        visible = columns.visible(space.clock.now(), as_of, known_at) & index.masks(connection, filter_).maybe
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
