"""What a memory can be asked: recall, context, single nodes, lists, refs and vectors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mimir_vault import listing, recalling
from mimir_vault.model.clock import parse_moment, to_micros
from mimir_vault.model.draft import check_text
from mimir_vault.model.filter import Filter
from mimir_vault.model.hit import Context, Hits
from mimir_vault.model.node import Node
from mimir_vault.recall.context import build_context
from mimir_vault.viewed_space import ViewedSpace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mimir_vault.embed.embedder import CheckedEmbedder
    from mimir_vault.interchange.given_file import GivenFile

QUERY_BYTES_MAX = 64 << 10
"""Longest query, in bytes of UTF-8: the model reads its beginning, the lexical lane all of it."""
K_MAX = 10_000
"""Most hits of one recall."""
CONTEXT_HITS = 50
"""Hits a context is built from; a budget is rarely larger."""
Where = Mapping[Any, Any] | Filter | None
Moment = datetime | str | None


class ReadableMemory:
    """An open space seen through a view, as it can be read; `Memory` adds what changes it."""

    _space: ViewedSpace

    @property
    def name(self) -> str:
        """The name of the space."""
        return self._space.name

    @property
    def embedder(self) -> CheckedEmbedder:
        """What turns text into vectors here."""
        return self._space.embedder.get()

    def recall(
        self,
        query: str,
        *,
        k: int = 10,
        where: Where = None,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        under: Sequence[str] = (),
        as_of: Moment = None,
        known_at: Moment = None,
        vector: Sequence[float] | NDArray[Any] | None = None,
        lanes: Collection[str] | None = None,
        min_score: float | None = None,
        collapse: bool = False,
        explain: bool = False,
    ) -> Hits:
        """Return the nodes that answer a query best, best first.

        Args:
            query: a question or words; the dense lane reads its meaning, the lexical lane its words.
            k: how many hits, 1 to 10,000.
            where: a filter, for example `{"speaker": "Ada", "at": {"gte": "2026-01-01T00:00Z"}}`.
            user, agent, session: as in `remember`. under: only refs that begin so.
            as_of: the world as it was then (by `at`); known_at: what was stored then (by `recorded_at`).
            vector: the query's vector, (d,), where the caller has one; the query is not embedded then.
            lanes: restrict to "dense" or "lexical". min_score: drop hits below.
            collapse: show equal texts once. explain: fill `hit.why`.

        Raises:
            ValueError, TypeError: an impossible argument. ModelMismatchError: vectors of another embedder.
        """
        self._space.check_open()
        check_text(query, "the query", QUERY_BYTES_MAX)
        check_count(k, "k", K_MAX)
        _check_score(min_score)
        return recalling.recall(
            self._space,
            recalling.Query(
                text=query, k=k,
                filter_=self._space.view.parse(where, user=user, agent=agent, session=session, under=under),
                vector=None if vector is None else self._query_vector(vector), as_of=_micros(as_of, "as_of"),
                known_at=_micros(known_at, "known_at"), lanes=recalling.check_lanes(lanes), min_score=min_score,
                collapse=collapse, explain=explain,
            ),
        )  # fmt: skip

    def _query_vector(self, vector: object) -> NDArray[np.float32]:
        rows = self.embedder.check(vector, "vector")
        if len(rows) != 1:
            raise ValueError(f"a query has one vector, not {len(rows)}")
        row: NDArray[np.float32] = rows[0]
        return row

    def context(
        self,
        query: str | None = None,
        *,
        budget: int = 800,
        counter: Callable[[str], int] | None = None,
        where: Where = None,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        under: Sequence[str] = (),
        as_of: Moment = None,
        known_at: Moment = None,
    ) -> Context:
        """Return passages for a prompt within a budget of tokens: dated, quoted, marked as data, each text once.

        Without a query: what is pinned, then the newest that still holds. `counter` counts the tokens of a text as the
        caller's model does; without it they are estimated.
        """
        self._space.check_open()
        check_count(budget, "budget", 10_000_000)
        if counter is not None and not callable(counter):
            raise TypeError(f"counter must be a function of a text, not {type(counter).__name__}")
        if query is None:
            hits = listing.newest_hits(
                self._space, self._space.view.parse(where, user=user, agent=agent, session=session, under=under),
                CONTEXT_HITS, _micros(as_of, "as_of"), _micros(known_at, "known_at"),
            )  # fmt: skip
        else:
            hits = self.recall(
                query, k=CONTEXT_HITS, where=where, user=user, agent=agent, session=session, under=under, as_of=as_of,
                known_at=known_at, collapse=True,
            )  # fmt: skip
        return build_context(hits, budget, counter)

    def get(
        self, node_id: str | None = None, *, ref: Sequence[str] | None = None, user: str | None = None,
        agent: str | None = None, session: str | None = None,
    ) -> Node | None:  # fmt: skip
        """Return a node by its id (or at least its first 8 digits) or its ref; None when it is not here.

        Raises:
            AmbiguousIdError: several ids begin so. NotFoundError: that is no node id.
        """
        return listing.get(self._part(user, agent, session), node_id, ref)

    def history(
        self, node_id: str, *, user: str | None = None, agent: str | None = None, session: str | None = None,
    ) -> list[Node]:  # fmt: skip
        """Return all versions of a node, the newest first (NotFoundError when there is none)."""
        return listing.history(self._part(user, agent, session), node_id)

    def _part(self, user: str | None, agent: str | None, session: str | None) -> ViewedSpace:
        """Return the part of the space that is of somebody: what is outside of it is not there."""
        self._space.check_open()
        if user is None and agent is None and session is None:
            return self._space
        return replace(self._space, view=self._space.view.narrowed(user=user, agent=agent, session=session))

    def nodes(
        self,
        where: Where = None,
        under: Sequence[str] = (),
        order: str = "oldest",
        limit: int | None = None,
        after: str | None = None,
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        hidden: bool = False,
    ) -> Iterator[Node]:
        """Yield the nodes that pass a filter, opened one batch at a time, superseded ones included.

        Args:
            where, under, user, agent, session: as in `recall`.
            order: "oldest" or "newest" first, by the time of storing, or "ref": part by part, those without one last.
            limit: at most so many.
            after: the id of the node to go on behind.
            hidden: those that are hidden (or forgotten with a grace that still lasts) instead of those that are not.
        """
        self._space.check_open()
        filter_ = self._space.view.parse(where, user=user, agent=agent, session=session, under=under)
        if order not in listing.ORDERS:
            raise ValueError(f"order is one of {', '.join(listing.ORDERS)}, not {str(order)[:40]!r}")
        if limit is not None:
            check_count(limit, "limit", 1 << 62)
        return listing.iterate(self._space, filter_, order, limit, after, hidden=hidden)

    def count(
        self,
        where: Where = None,
        *,
        under: Sequence[str] = (),
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
    ) -> int:
        """Return how many nodes pass a filter, superseded ones included."""
        self._space.check_open()
        filter_ = self._space.view.parse(where, user=user, agent=agent, session=session, under=under)
        return listing.count(self._space, filter_)

    def refs(
        self, under: Sequence[str] = (), depth: int | None = None, *, user: str | None = None, agent: str | None = None,
        session: str | None = None,
    ) -> list[tuple[str, ...]]:  # fmt: skip
        """Return the distinct refs that begin with `under`, cut to `depth` parts, in their order."""
        space = self._part(user, agent, session)
        if depth is not None:
            check_count(depth, "depth", 1 << 16)
        return listing.ref_names(space, space.view.below(under), depth)

    def vectors(
        self, node_ids: Sequence[str], *, user: str | None = None, agent: str | None = None, session: str | None = None,
    ) -> NDArray[np.float32]:  # fmt: skip
        """Return the vectors of nodes by this memory's embedder, float32 (n, d), of length 1.

        A vector that a caller gave comes back as it was given, at length 1; others are as they are stored, whose cosine
        with the embedder's own is above 0.999. A node of several windows has the direction of their mean.

        Raises:
            NotFoundError: there is no such node, or it has no vector by this embedder.
        """
        from mimir_vault.vector_reading import vectors_of

        return vectors_of(self._part(user, agent, session), node_ids)

    def export_to(
        self, file: GivenFile, format: str = "jsonl", *, where: Where = None, under: Sequence[str] = (),
        user: str | None = None, agent: str | None = None, session: str | None = None, overwrite: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:  # fmt: skip
        """Write the nodes that pass a filter to a file, in clear, and return how many.

        Superseded nodes are written too, the oldest first; hidden ones are not.

        Args:
            file: a path, where the file is whole or not there and only its owner may read it; or an open file.
            format: "jsonl", a node a line with all its fields, which `import_from` reads; or "markdown", for people.
            where, under, user, agent, session: as in `recall`.
            overwrite: replace a file that lies there. progress: called with nodes done and in all.

        Raises:
            ExistsError: a file lies there already. NotFoundError: there is no such folder.
            DiskFullError, ReadOnlyError, StorageError: the file cannot be written.
        """
        from mimir_vault.interchange.exporting import export_to

        self._space.check_open()
        filter_ = self._space.view.parse(where, user=user, agent=agent, session=session, under=under)
        return export_to(self._space, file, format, filter_, overwrite=overwrite, progress=progress)


def check_count(value: object, name: str, most: int) -> None:
    """Refuse what is no whole number from 1 to `most`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}")
    if not 1 <= value <= most:
        raise ValueError(f"{name} must be 1 to {most:,}, not {value}")


def _check_score(value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"min_score must be a number, not {type(value).__name__}")
    if not 0 <= value <= 1:
        raise ValueError(f"min_score must be 0 to 1, not {value}")


def _micros(moment: Moment, name: str) -> int | None:
    return None if moment is None else to_micros(parse_moment(moment, name))
