"""Putting: inside a write transaction, one checked and embedded draft becomes a stored node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import ExistsError, NotFoundError
from mimir_vault.findable import Found
from mimir_vault.merging import Duplicates
from mimir_vault.model.clock import offset_seconds, to_micros
from mimir_vault.model.codec import CODEC_VERSION, Metadata, Payload, State, decode_values, encode
from mimir_vault.model.draft import Draft, metadata_json
from mimir_vault.model.link import LINK_KINDS
from mimir_vault.model.node import Node
from mimir_vault.reading import OpenedNode, as_node
from mimir_vault.store import nodes, refs, vectors
from mimir_vault.store.names import Thread
from mimir_vault.store.vectors import Model
from mimir_vault.store.writer import Writer
from mimir_vault.viewed_space import ViewedSpace

IMPORT_ID = "import_id"
"""Name in the metadata of an imported node that says which import brought it; it is no part of what the node says."""
SUPERSEDES = LINK_KINDS.index("supersedes")


@dataclass(frozen=True, slots=True)
class Kept:
    """A node whose vectors its successor takes over, and how many bytes they have."""

    id: bytes
    bytes: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A draft that was checked and filled in by the view, with the unit vectors that its owner gave, float32 (n, d)."""

    draft: Draft
    vectors: NDArray[np.float32] | None = None
    mergeable: bool = False
    kept: Kept | None = None

    @property
    def merges(self) -> bool:
        """Whether a node that says the same may stand for it."""
        return self.mergeable and self.draft.duplicates == "merge"


class Putting:
    """Puts nodes, one after the other, inside one write transaction."""

    def __init__(
        self, space: ViewedSpace, writer: Writer, model: Model | None, *, imported: bool = False, merges: bool = False
    ) -> None:
        self._space, self._writer, self._model, self._imported = space, writer, model, imported
        self._duplicates = Duplicates(space, writer.connection) if merges else None

    def put(self, one: Ready, found: Found) -> Node:
        """Store one node and return it, or the node that says the same: its ref's holder, with "merge" any node."""
        draft = one.draft
        links = [(LINK_KINDS.index(link.kind), bytes.fromhex(link.target)) for link in draft.links]
        self._check_targets([target for _, target in links])
        if draft.ref is not None:
            there, holder = self._holder(draft, one.vectors)
            if there is not None:
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
        return as_node(opened)

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
        payload = Payload(CODEC_VERSION, draft.text, draft.data, _passages(draft))
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

    def _holder(self, draft: Draft, given: NDArray[np.float32] | None) -> tuple[OpenedNode | None, bytes | None]:
        """Return the node of the draft's ref that says the same already, and the id of the one it will supersede."""
        assert draft.ref is not None
        connection = self._writer.connection
        seqs = refs.versions(connection, draft.ref)
        if not seqs:
            return None, None
        opened = self._space.opened(connection, seqs if self._imported else seqs[-1:])
        if seqs[-1] not in opened:
            raise ExistsError(f"the ref {draft.ref!r:.200} is taken by a node outside of this view; choose another")
        holder = opened[seqs[-1]]
        for one in [holder, *reversed(opened.values())]:
            if (
                self._is_there(one)
                and _is_same(one, draft, import_counts=not self._imported)
                and (given is None or self._has_vectors(one, given))
            ):
                return one, None
        return None, holder.stored.sealed.id

    def _is_there(self, opened: OpenedNode) -> bool:
        """Say whether a node is neither hidden nor expired: one that is gone for its owner is not found again."""
        state = opened.state
        return not state.hidden and (state.expires is None or state.expires > self._space.clock.now())

    def _has_vectors(self, opened: OpenedNode, given: NDArray[np.float32]) -> bool:
        """Say whether a node has just these vectors of its owner's."""
        if self._model is None:
            return False
        sealed = vectors.sealed_of(self._writer.connection, [opened.stored.seq])
        rows = [
            np.frombuffer(self._open_vector(opened, self._model, one, window), "<f4")
            for window, one in enumerate(sealed.get((opened.stored.seq, self._model.code), ()))
        ]
        return len(rows) == len(given) and all(map(np.array_equal, rows, given))

    def _open_vector(self, opened: OpenedNode, model: Model, sealed: bytes, window: int) -> bytes:
        sealer = self._space.store.sealer
        return sealer.open_vector(opened.stored.sealed, sealed, vectors.about(model, window))

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
            given = [self._open_vector(old, models[code], one, window) for window, one in enumerate(sealed)]
            self._writer.put_given(new.stored, models[code], given)


def _passages(draft: Draft) -> tuple[str, ...] | None:
    return None if isinstance(draft.index, bool) else tuple(draft.index)


def _is_same(old: OpenedNode, draft: Draft, *, import_counts: bool) -> bool:
    """Say whether a draft brings nothing new to a node of its ref; which import brought it may be left aside."""
    metadata, payload, state = old.metadata, old.payload, old.state
    same_time = not isinstance(draft.at, datetime) or to_micros(draft.at) == metadata.at
    expires = to_micros(draft.expires_at) if isinstance(draft.expires_at, datetime) else None
    values, given = metadata.values, metadata_json(draft.metadata)
    if not import_counts:
        values, given = _without_import(values), _without_import(given)
    return same_time and (expires, draft.pinned) == (state.expires, state.pinned) and (
        payload.text, payload.data, payload.passages, values, metadata.tags, metadata.kind, metadata.speaker,
        metadata.role, metadata.user, metadata.agent, metadata.session, metadata.indexed,
    ) == (
        draft.text, draft.data, _passages(draft), given, tuple(draft.tags), draft.kind, draft.speaker,
        draft.role, draft.user, draft.agent, draft.session, draft.index is not False,
    )  # fmt: skip


def _without_import(values: str) -> str:
    return metadata_json({name: value for name, value in decode_values(values).items() if name != IMPORT_ID})
