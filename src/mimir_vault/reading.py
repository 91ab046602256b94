"""Opening stored nodes: from sealed rows to the `Node` that a caller sees, with its vectors and what supersedes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import apsw
import numpy as np

from mimir_vault.model.clock import from_micros
from mimir_vault.model.codec import Metadata, Payload, State, decode, decode_state, decode_values
from mimir_vault.model.draft import BETWEEN_PASSAGES
from mimir_vault.model.facets import HIDDEN, NEVER, Facets
from mimir_vault.model.link import LINK_KINDS, Link
from mimir_vault.model.node import Node
from mimir_vault.store import vectors
from mimir_vault.store.links import SUPERSEDES
from mimir_vault.store.nodes import Sealer, StoredNode
from mimir_vault.store.query import each
from mimir_vault.store.vectors import Model


@dataclass(frozen=True, slots=True)
class OpenedNode:
    """A node opened: the values as they were sealed."""

    stored: StoredNode
    payload: Payload
    metadata: Metadata
    state: State

    @property
    def body(self) -> str:
        """What is embedded and searched: the text, or the passages given in its place."""
        return self.payload.text if self.payload.passages is None else BETWEEN_PASSAGES.join(self.payload.passages)

    @property
    def passages(self) -> tuple[str, ...]:
        """What it is found by, in parts that are embedded one by one; none where it is never found."""
        if not self.metadata.indexed:
            return ()
        return (self.payload.text,) if self.payload.passages is None else self.payload.passages


def open_stored(sealer: Sealer, stored: StoredNode) -> OpenedNode:
    """Open a node; its id is checked against its envelopes, and every value against its one encoding."""
    payload, metadata, state = sealer.open_node(stored.sealed)
    return OpenedNode(stored, decode(Payload, payload), decode(Metadata, metadata), decode_state(state))


def given_vectors(sealer: Sealer, opened: OpenedNode, model: Model, sealed: Sequence[bytes]) -> list[bytes]:
    """Return the vectors that a node's owner gave, float32 bytes, of the rows sealed for it by one model."""
    node = opened.stored.sealed
    return [sealer.open_vector(node, one, vectors.about(model, window)) for window, one in enumerate(sealed)]


def plain_text(text: str) -> str:
    """Return a text as duplicates are told by: without regard to case and blanks."""
    return " ".join(text.casefold().split())


def as_node(opened: OpenedNode, superseded_by: bytes | None = None) -> Node:
    """Return an opened node as a caller sees it."""
    metadata, state = opened.metadata, opened.state
    return Node(
        id=opened.stored.sealed.id.hex(),
        text=opened.payload.text,
        at=from_micros(metadata.at, metadata.offset_s),
        recorded_at=from_micros(metadata.recorded),
        kind=metadata.kind,
        speaker=metadata.speaker,
        role=metadata.role,
        user=metadata.user,
        agent=metadata.agent,
        session=metadata.session,
        tags=metadata.tags,
        metadata=decode_values(metadata.values),
        links=tuple(Link(LINK_KINDS[kind], target.hex()) for kind, target in metadata.links),
        ref=state.ref,
        data=opened.payload.data,
        superseded_by=superseded_by.hex() if superseded_by is not None else None,
        expires_at=from_micros(state.expires) if state.expires is not None else None,
        pinned=state.pinned,
    )


def successors(connection: apsw.Connection, seqs: Sequence[int], now: Callable[[], int]) -> dict[int, bytes]:
    """Return the id of the newest node that supersedes each of these nodes; those that none supersedes are left out.

    As in a recall, a node that is hidden or has expired by `now()` supersedes nothing by itself; what supersedes it in
    turn reaches through it.
    """
    newest: dict[int, tuple[int, bytes]] = {}
    asked = {seq: {seq} for seq in seqs}
    while asked:
        rows = each(connection, _SUPERSEDING, (SUPERSEDES, apsw.carray(np.array(list(asked), np.int64))))
        through: dict[int, set[int]] = {}
        for older, newer, node_id, row in rows:
            facets = Facets.unpack(row)
            gone = bool(facets.flags & HIDDEN) or (facets.expires != NEVER and facets.expires <= now())
            for seq in asked[older]:
                if gone:
                    through.setdefault(newer, set()).add(seq)
                else:
                    newest[seq] = max(newest.get(seq, (0, b"")), (newer, node_id))
        asked = through
    return {seq: node_id for seq, (_, node_id) in newest.items()}


_SUPERSEDING = (
    "SELECT old.seq, link.newer, new.id, facet.data FROM node AS old JOIN link ON link.target = old.id AND"
    " link.kind = ? JOIN node AS new ON new.seq = link.newer JOIN facet ON facet.seq = link.newer"
    " WHERE old.seq IN carray(?)"
)
