"""Merging: finding the node that says what a draft says, for views where duplicates are merged."""

from __future__ import annotations

import apsw
import numpy as np

from mimir_vault.model.codec import decode_values
from mimir_vault.model.draft import Draft
from mimir_vault.model.facets import LENGTH_MAX
from mimir_vault.model.filter import Condition, Every
from mimir_vault.reading import OpenedNode, plain_text
from mimir_vault.recall.terms import count_terms
from mimir_vault.space_index import SpaceIndex
from mimir_vault.viewed_space import ViewedSpace

PORTION = 256
"""Nodes opened at a time while looking for a duplicate."""
SAME = ("user", "agent", "speaker", "role", "kind")
"""Fields that two nodes share when one may stand for the other."""


class Duplicates:
    """Looks for duplicates inside one write transaction, among what was there before it and what it put itself.

    Made before anything is put: the index is brought up to date now and not again, for it must never take in what is
    not committed. Nobody else can commit meanwhile.
    """

    def __init__(self, space: ViewedSpace, connection: apsw.Connection) -> None:
        self._space, self._connection = space, connection
        self._own: dict[tuple[str | None, ...], OpenedNode] = {}
        with space.search() as (_, index):
            self._index = index

    def note(self, opened: OpenedNode) -> None:
        """Take note of a node that this transaction put."""
        if opened.metadata.session is None and opened.state.ref is None:
            self._own[_identity(opened)] = opened

    def find(self, draft: Draft) -> OpenedNode | None:
        """Return a node that says the same, has no place in a session and no ref, and nothing less to it."""
        wanted = (plain_text(draft.text), *(getattr(draft, name) for name in SAME))
        own = self._own.get(wanted)
        if own is not None and _covers(own, draft):
            return own
        with self._index.lock:
            candidates = self._candidates(self._index, draft)
        for begin in range(0, len(candidates), PORTION):
            for opened in self._space.opened(self._connection, candidates[begin : begin + PORTION]).values():
                if _identity(opened) == wanted and opened.state.ref is None and _covers(opened, draft):
                    return opened
        return None

    def _candidates(self, index: SpaceIndex, draft: Draft) -> list[int]:
        """Return the seqs of nodes that may say the same: of the same people and of as many terms, the newest first."""
        filter_ = Every(tuple(Condition((name,), "eq", getattr(draft, name)) for name in (*SAME, "session")))
        columns = index.columns
        mask = columns.visible(self._space.clock.now(), include_unindexed=True)
        mask &= index.masks(self._connection, filter_).maybe
        terms = sum(count_terms(draft.text, draft.speaker).values()) if draft.index is True else None
        if terms is not None:
            mask &= columns.facet("length") == min(terms, LENGTH_MAX)
        found: list[int] = columns.seqs[np.flatnonzero(mask)][::-1].tolist()
        return found


def _identity(opened: OpenedNode) -> tuple[str | None, ...]:
    return (plain_text(opened.payload.text), *(getattr(opened.metadata, name) for name in SAME))


def _covers(opened: OpenedNode, draft: Draft) -> bool:
    """Say whether a node has all that a draft brings along besides its text."""
    values = decode_values(opened.metadata.values)
    return (
        draft.data in (None, opened.payload.data)
        and set(draft.tags) <= set(opened.metadata.tags)
        and not draft.links
        and draft.vector is None
        and not draft.pinned
        and draft.expires_at is None
        and opened.state.expires is None
        and all(name in values and values[name] == value for name, value in (draft.metadata or {}).items())
        and (draft.index is not False) == opened.metadata.indexed
        and (None if isinstance(draft.index, bool) else tuple(draft.index)) == opened.payload.passages
    )
