"""An open space as one memory sees it: through a view, and by an embedder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import apsw

from mimir_vault.errors import AmbiguousIdError, ReadOnlyError
from mimir_vault.model.clock import Clock
from mimir_vault.model.filter import EVERYTHING, Filter, matches
from mimir_vault.model.view import View
from mimir_vault.open_space import OpenSpace
from mimir_vault.reading import OpenedNode, as_node, open_stored, successors
from mimir_vault.shared_embedder import SharedEmbedder
from mimir_vault.space_index import SpaceIndex
from mimir_vault.store import nodes
from mimir_vault.store.space import SpaceStore
from mimir_vault.store.writer import Writer
from mimir_vault.upkeep import Upkeep


@dataclass(frozen=True, slots=True)
class ViewedSpace:
    """What every verb of a memory works on. Nothing outside of the view is given or changed through it."""

    space: OpenSpace
    view: View
    embedder: SharedEmbedder

    @property
    def name(self) -> str:
        """The name of the space."""
        return self.space.name

    @property
    def store(self) -> SpaceStore:
        """The store of the space."""
        return self.space.store

    @property
    def clock(self) -> Clock:
        """The clock that the vault was handed."""
        return self.space.clock

    @property
    def index(self) -> SpaceIndex:
        """The index of the space in memory."""
        return self.space.index

    @property
    def upkeep(self) -> Upkeep:
        """The upkeep of the space."""
        return self.space.upkeep

    def check_open(self) -> None:
        """Raise LockedError when the space is closed."""
        self.space.check_open()

    def check_writable(self) -> None:
        """Raise LockedError when the space is closed, ReadOnlyError when this view only reads."""
        self.space.check_open()
        if self.view.read_only:
            raise ReadOnlyError(f"this view of space {self.name} only reads; take one without read_only to change it")

    def read(self) -> AbstractContextManager[apsw.Connection]:
        """Hold one consistent state for a block of reads."""
        return self.space.read()

    def search(self, *, dense: bool = False) -> AbstractContextManager[tuple[apsw.Connection, SpaceIndex]]:
        """Hold one consistent state and an index of it, with the vectors of this embedder when `dense`."""
        return self.space.search(self.embedder if dense else None)

    @contextmanager
    def write(self, bytes_needed: int = 0) -> Iterator[Writer]:
        """Hold the write lock for a block; what it did is durable when it has ended, or with its transaction."""
        self.check_writable()
        with self.space.write(bytes_needed) as writer:
            yield writer

    def sees(self, opened: OpenedNode) -> bool:
        """Say whether the view lets a node through."""
        return self.view.filter_ == EVERYTHING or matches(self.view.filter_, as_node(opened))

    def is_current(self, opened: OpenedNode) -> bool:
        """Say whether a node is neither hidden nor expired: else it is in no answer."""
        return not opened.state.hidden and not self.has_expired(opened)

    def has_expired(self, opened: OpenedNode) -> bool:
        """Say whether the end that a node was given has come: it will be forgotten, and nothing brings it back."""
        expires = opened.state.expires
        return expires is not None and expires <= self.clock.now()

    def passes(self, filter_: Filter, opened: OpenedNode) -> bool:
        """Say whether a node passes a filter that the view made."""
        return filter_ == EVERYTHING or matches(filter_, as_node(opened))

    def opened(self, connection: apsw.Connection, seqs: Sequence[int]) -> dict[int, OpenedNode]:
        """Return these nodes opened, by seq; those that are gone or outside the view are left out."""
        found = {seq: open_stored(self.store.sealer, one) for seq, one in nodes.by_seq(connection, seqs).items()}
        return {seq: one for seq, one in found.items() if self.sees(one)}

    def successors(self, connection: apsw.Connection, seqs: Sequence[int]) -> dict[int, bytes]:
        """Return the id of the newest current node that supersedes each of these nodes, for those that one does."""
        return successors(connection, seqs, self.clock.now)

    def find(self, connection: apsw.Connection, node_id: str) -> OpenedNode | None:
        """Return the node of an id or of its first digits, None where the view has none.

        Raises:
            AmbiguousIdError: several ids of the view begin so. NotFoundError: that is no node id.
        """
        if not isinstance(node_id, str):
            raise TypeError(f"a node id is text, not {type(node_id).__name__}")
        found = [open_stored(self.store.sealer, one) for one in nodes.find(connection, node_id)]
        seen = [one for one in found if self.sees(one)]
        if len(seen) > 1:
            raise AmbiguousIdError(f"several node ids begin with {node_id.strip().lower()}; give more digits")
        return seen[0] if seen else None
