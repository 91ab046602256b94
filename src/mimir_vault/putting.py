"""Putting: inside a write transaction, one checked and embedded draft becomes a stored node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import NotFoundError
from mimir_vault.findable import Found
from mimir_vault.imported import Imported
from mimir_vault.merging import Duplicates
from mimir_vault.model.clock import offset_seconds, to_micros
from mimir_vault.model.codec import CODEC_VERSION, Metadata, Payload, State, encode
from mimir_vault.model.draft import Draft, metadata_json
from mimir_vault.model.link import LINK_KINDS
from mimir_vault.model.node import Node
from mimir_vault.reading import OpenedNode, as_node, given_vectors
from mimir_vault.store import nodes, vectors
from mimir_vault.store.names import Thread
from mimir_vault.store.vectors import Model
from mimir_vault.store.writer import Writer
from mimir_vault.versions import Versions, passages_given
from mimir_vault.viewed_space import ViewedSpace

SUPERSEDES = LINK_KINDS.index("supersedes")


@dataclass(frozen=True, slots=True)
class Kept:
    """A node whose vectors its successor takes over, and how many bytes they have."""

    id: bytes
    bytes: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A draft that was checked and filled in by the view, with the unit vectors that its owner gave, float32 (n, d).

    `kept` is what its vectors are taken over from, `origin` the id that an imported node had where it was exported.
    """

    draft: Draft
    vectors: NDArray[np.float32] | None = None
    mergeable: bool = False
    kept: Kept | None = None
    origin: bytes | None = None

    @property
    def merges(self) -> bool:
        """Whether a node that says the same may stand for it."""
        return self.mergeable and self.draft.duplicates == "merge"


class Putting:
    """Puts nodes, one after the other, inside one write transaction."""

    def __init__(
        self, space: ViewedSpace, writer: Writer, model: Model | None, *, imported: Imported | None = None,
        merges: bool = False,
    ) -> None:  # fmt: skip
        self._space, self._writer, self._model, self._imported = space, writer, model, imported
        self._versions = Versions(space, writer.connection, model, imported)
        self._duplicates = Duplicates(space, writer.connection) if merges else None

    def put(self, one: Ready, found: Found) -> Node:
        """Store one node and return it, or the node that says the same: its ref's holder, with "merge" any node."""
        draft = one.draft
        links = self._links(draft)
        if draft.ref is not None:
            there, holder = self._versions.find(draft, one.vectors, one.origin)
            if there is not None:
                self._note(one, there)
                if self._imported is not None:
                    self._imported.found_late += 1
                return as_node(there)
            if holder is not None:
                links.append((SUPERSEDES, holder))
        elif self._duplicates is not None and one.merges:
            same = self._duplicates.find(draft)
            if same is not None:
                return as_node(same)
        opened = self._put(one, found, links)
        if self._duplicates is not None:
            self._duplicates.note(opened)
        self._note(one, opened)
        return as_node(opened)

    def _note(self, one: Ready, opened: OpenedNode) -> None:
        if self._imported is not None and one.draft.ref is not None:
            self._imported.note(one.origin, one.draft.ref, opened.stored.seq)

    def _links(self, draft: Draft) -> list[tuple[int, bytes]]:
        """Return the links of a draft as (kind, id)."""
        if self._imported is not None:
            return self._imported.links(self._writer.connection, draft.links, draft.session)
        links = [(LINK_KINDS.index(link.kind), bytes.fromhex(link.target)) for link in draft.links]
        self._check_targets([target for _, target in links])
        return links

    def _put(self, one: Ready, found: Found, links: list[tuple[int, bytes]]) -> OpenedNode:
        draft, writer = one.draft, self._writer
        recorded = writer.recorded(self._space.clock.now())
        thread: Thread | None = None
        if draft.session is not None:
            under = draft.ref[:-1] if draft.ref is not None else ()
            thread = writer.thread(under, draft.user, draft.agent, draft.session)
            if head := writer.head(thread):
                links.append((LINK_KINDS.index("follows"), head))
        at, expires = draft.at, draft.expires_at
        metadata = Metadata(
            version=CODEC_VERSION, at=to_micros(at) if isinstance(at, datetime) else recorded,
            offset_s=offset_seconds(at) if isinstance(at, datetime) else 0, recorded=recorded,
            order=thread.length if thread is not None else 0, user=draft.user, agent=draft.agent,
            session=draft.session, speaker=draft.speaker, role=draft.role, kind=draft.kind, tags=tuple(draft.tags),
            links=tuple(dict.fromkeys(links)), values=metadata_json(draft.metadata), indexed=draft.index is not False,
        )  # fmt: skip
        state = State(
            version=CODEC_VERSION, ref=draft.ref,
            expires=to_micros(expires) if isinstance(expires, datetime) else None, pinned=draft.pinned, hidden=False,
            forget_at=None, seen=0, last_seen=None,
        )  # fmt: skip
        payload = Payload(CODEC_VERSION, draft.text, draft.data, passages_given(draft))
        kept = self._kept(one)
        stored = writer.put(
            encode(payload), metadata, state, found.by(self._model), thread, vectors_of=kept.stored.seq if kept else 0
        )
        opened = OpenedNode(stored, payload, metadata, state)
        if kept is not None:
            self._seal_again(kept, opened)
        if one.vectors is not None and self._model is not None:
            given = [row.astype("<f4").tobytes() for row in one.vectors]
            writer.put_given(stored, self._model, given)
        return opened

    def _check_targets(self, targets: Sequence[bytes]) -> None:
        """Refuse links to nodes that are not here, or that the view does not let through."""
        if not targets:
            return
        connection = self._writer.connection
        seqs = nodes.seqs_of(connection, targets)
        seen = {one.stored.sealed.id for one in self._space.opened(connection, sorted(seqs.values())).values()}
        for target in targets:
            if target not in seen:
                raise NotFoundError(f"a link points to node {target.hex()}, which is not in this space")

    def _kept(self, one: Ready) -> OpenedNode | None:
        if one.kept is None:
            return None
        seqs = nodes.seqs_of(self._writer.connection, [one.kept.id])
        opened = self._space.opened(self._writer.connection, list(seqs.values()))
        if not opened:
            raise NotFoundError(f"node {one.kept.id.hex()} was forgotten meanwhile")
        return next(iter(opened.values()))

    def _seal_again(self, old: OpenedNode, new: OpenedNode) -> None:
        """Give a successor the vectors that the owner gave for the node before: each is sealed to its own node."""
        connection = self._writer.connection
        models = {one.code: one for one in vectors.models(connection)}
        for (_, code), sealed in vectors.sealed_of(connection, [old.stored.seq]).items():
            given = given_vectors(self._space.store.sealer, old, models[code], sealed)
            self._writer.put_given(new.stored, models[code], given)
