"""Versions of a ref: whether one of them says already what a draft says, and which one a draft would supersede."""

from __future__ import annotations

from datetime import datetime

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import ExistsError
from mimir_vault.imported import IMPORT_ID, Imported
from mimir_vault.model.clock import to_micros
from mimir_vault.model.codec import decode_values
from mimir_vault.model.draft import Draft, metadata_json
from mimir_vault.model.link import LINK_KINDS
from mimir_vault.reading import OpenedNode, given_vectors
from mimir_vault.store import refs, vectors
from mimir_vault.store.vectors import Model
from mimir_vault.viewed_space import ViewedSpace


class Versions:
    """Looks at the versions of refs in one state of a space, with the vectors that owners gave by one model."""

    def __init__(
        self, space: ViewedSpace, connection: apsw.Connection, model: Model | None, imported: Imported | None = None
    ) -> None:
        self._space, self._connection, self._model, self._imported = space, connection, model, imported

    def find(
        self, draft: Draft, given: NDArray[np.float32] | None, origin: bytes | None = None
    ) -> tuple[OpenedNode | None, bytes | None]:
        """Return the version of the draft's ref that says the same already, and the id of the one it would supersede.

        That version is the newest. In an import it is any, the oldest first, that no earlier line stands for; a line
        of the same `origin` (the id it was exported under) is the same line once more.

        Raises:
            ExistsError: the ref is taken by a node that the view does not let through.
        """
        assert draft.ref is not None
        seqs = refs.versions(self._connection, draft.ref)
        if not seqs:
            return None, None
        opened = self._space.opened(self._connection, seqs if self._imported is not None else seqs[-1:])
        if seqs[-1] not in opened:
            raise ExistsError(f"the ref {draft.ref!r:.200} is taken by a node outside of this view; choose another")
        holder = opened[seqs[-1]]
        for one in self._candidates(opened, origin, draft.ref):
            if (
                self._space.is_current(one)  # One that is gone for its owner is not found again.
                and is_same(one, draft, import_counts=self._imported is None)
                and (self._imported is not None or self._is_linked_alike(one, draft))
                and (given is None or self._has_vectors(one, given))
            ):
                return one, None
        return None, holder.stored.sealed.id

    def _candidates(
        self, opened: dict[int, OpenedNode], origin: bytes | None, ref: tuple[str, ...]
    ) -> list[OpenedNode]:
        """Return the versions that a line may stand for."""
        imported = self._imported
        if imported is None or imported.is_made_for(origin, ref):
            return [opened[seq] for seq in sorted(opened)]
        noted = imported.seq_of(origin) if origin is not None else None
        if noted in opened:
            return [opened[noted]]
        return [opened[seq] for seq in sorted(opened) if not imported.is_noted(seq)]

    def _is_linked_alike(self, opened: OpenedNode, draft: Draft) -> bool:
        """Say whether a version has all links that a draft brings, and nothing of another ref has taken its place."""
        given = {(LINK_KINDS.index(link.kind), bytes.fromhex(link.target)) for link in draft.links}
        return given <= set(opened.metadata.links) and not self._space.successors(self._connection, [opened.stored.seq])

    def _has_vectors(self, opened: OpenedNode, given: NDArray[np.float32]) -> bool:
        """Say whether a node has just these vectors of its owner's."""
        if self._model is None:
            return False
        sealed = vectors.sealed_of(self._connection, [opened.stored.seq])
        rows = [
            np.frombuffer(one, "<f4")
            for one in given_vectors(
                self._space.store.sealer, opened, self._model, sealed.get((opened.stored.seq, self._model.code), ())
            )
        ]
        return len(rows) == len(given) and all(map(np.array_equal, rows, given))


def passages_given(draft: Draft) -> tuple[str, ...] | None:
    """Return the passages that are searched in place of the text, None where there are none."""
    return None if isinstance(draft.index, bool) else tuple(draft.index)


def is_same(old: OpenedNode, draft: Draft, *, import_counts: bool) -> bool:
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
        draft.text, draft.data, passages_given(draft), given, tuple(draft.tags), draft.kind, draft.speaker,
        draft.role, draft.user, draft.agent, draft.session, draft.index is not False,
    )  # fmt: skip


def _without_import(values: str) -> str:
    return metadata_json({name: value for name, value in decode_values(values).items() if name != IMPORT_ID})
