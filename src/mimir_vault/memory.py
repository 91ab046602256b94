"""Memory: one open space and its verbs; the place where store, embedder, index and ranking are joined for a caller."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mimir_vault import checking, forgetting, listing, recalling, remembering
from mimir_vault.checking import Finding
from mimir_vault.errors import NotFoundError
from mimir_vault.model.clock import parse_moment, to_micros
from mimir_vault.model.draft import Draft, check_text, make_draft
from mimir_vault.model.filter import Filter, Scope, parse_filter
from mimir_vault.model.hit import Context, Hits
from mimir_vault.model.link import is_node_id
from mimir_vault.model.node import Node
from mimir_vault.model.receipt import Receipt
from mimir_vault.open_space import OpenSpace
from mimir_vault.recall.context import build_context

if TYPE_CHECKING:
    from mimir_vault.embed.embedder import CheckedEmbedder
    from mimir_vault.vault import Vault

QUERY_BYTES_MAX = 64 << 10
"""Longest query, in bytes of UTF-8: the model reads its beginning, the lexical lane all of it."""
K_MAX = 10_000
"""Most hits of one recall."""
CONTEXT_HITS = 50
"""Hits a context is built from; a budget is rarely larger."""
Where = Mapping[Any, Any] | Filter | None
Moment = datetime | str | None


class Memory:
    """An open space. Threads may share it. It stays open until its vault is locked."""

    def __init__(self, vault: Vault, space: OpenSpace, *, owns_vault: bool = False) -> None:
        self.vault = vault
        self._space = space
        self._owns_vault = owns_vault

    @property
    def name(self) -> str:
        """The name of the space."""
        return self._space.name

    @property
    def embedder(self) -> CheckedEmbedder:
        """What turns text into vectors here."""
        return self._space.embedder

    # -- remembering ----------------------------------------------------------------------------------------------

    def remember(self, text: str = "", **fields: Any) -> Node:
        """Remember a text and return its node; it is on disk when this returns.

        Args:
            text: what to remember.
            fields: speaker, role, session, user, agent, kind, at (when it happened; now when left out), tags,
                metadata (JSON), links, ref (a name of your own), data (bytes), index, expires_at, pinned: see `Draft`.

        Raises:
            ValueError, TypeError: a field that cannot be. NotFoundError: a link to a node that is not here.
            VaultBusyError, DiskFullError, ReadOnlyError: it could not be stored, and was not.
        """
        self._space.check_open()
        return remembering.remember_many(self._space, [make_draft(text, fields)])[0]

    def remember_many(self, drafts: Iterable[Draft], progress: Callable[[int, int], None] | None = None) -> list[Node]:
        """Remember drafts in order and return one node each; turns of one session are linked one after the other.

        At most 256 nodes are committed at a time. `progress(done, total)` is called after each commit.

        Raises:
            InterruptedBatchError: it ended early; `.done` holds the nodes that are stored, the cause is chained. When
            nothing was stored yet, the cause itself is raised.
        """
        self._space.check_open()
        return remembering.remember_many(self._space, drafts, progress)

    def supersede(self, node_id: str, text: str | None = None, **fields: Any) -> Node:
        """Replace what a node says and keep its history; fields that are not given are carried over.

        Raises:
            NotFoundError: there is no such node.
        """
        old = self.get(node_id)
        if old is None:
            raise NotFoundError(f"there is no node {node_id}")
        return self.remember_many([listing.successor(old, text, fields)])[0]

    # -- reading --------------------------------------------------------------------------------------------------

    def recall(
        self,
        query: str,
        *,
        k: int = 10,
        where: Where = None,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        as_of: Moment = None,
        known_at: Moment = None,
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
            user, agent, session: as in `remember`.
            as_of: the world as it was then (by `at`); known_at: what was stored then (by `recorded_at`).
            lanes: restrict to "dense" or "lexical". min_score: drop hits below.
            collapse: show equal texts once. explain: fill `hit.why`.

        Raises:
            ValueError, TypeError: an impossible argument. ModelMismatchError: vectors of another embedder.
        """
        self._space.check_open()
        check_text(query, "the query", QUERY_BYTES_MAX)
        _check_count(k, "k", K_MAX)
        _check_score(min_score)
        return recalling.recall(
            self._space,
            recalling.Query(
                text=query, k=k, filter_=parse_filter(where, Scope(user, agent, session)),
                as_of=_micros(as_of, "as_of"), known_at=_micros(known_at, "known_at"),
                lanes=recalling.check_lanes(lanes), min_score=min_score,
                collapse=collapse, explain=explain,
            ),
        )  # fmt: skip

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
        as_of: Moment = None,
        known_at: Moment = None,
    ) -> Context:
        """Return passages for a prompt within a budget of tokens: dated, quoted, marked as data, each text once.

        Without a query: what is pinned, then the newest that still holds. `counter` counts the tokens of a text as the
        caller's model does; without it they are estimated.
        """
        self._space.check_open()
        _check_count(budget, "budget", 10_000_000)
        if counter is not None and not callable(counter):
            raise TypeError(f"counter must be a function of a text, not {type(counter).__name__}")
        if query is None:
            filter_ = parse_filter(where, Scope(user, agent, session))
            hits = listing.newest_hits(
                self._space, filter_, CONTEXT_HITS, _micros(as_of, "as_of"), _micros(known_at, "known_at")
            )
        else:
            hits = self.recall(
                query, k=CONTEXT_HITS, where=where, user=user, agent=agent, session=session, as_of=as_of,
                known_at=known_at, collapse=True,
            )  # fmt: skip
        return build_context(hits, budget, counter)

    def get(self, node_id: str | None = None, *, ref: tuple[str, ...] | None = None) -> Node | None:
        """Return a node by its id (or at least its first 8 digits) or its ref; None when it is not here.

        Raises:
            AmbiguousIdError: several ids begin so. NotFoundError: that is no node id.
        """
        self._space.check_open()
        return listing.get(self._space, node_id, ref)

    def history(self, node_id: str) -> list[Node]:
        """Return all versions of a node, the newest first."""
        self._space.check_open()
        return listing.history(self._space, node_id)

    def nodes(
        self,
        where: Where = None,
        *,
        order: str = "oldest",
        limit: int | None = None,
        after: str | None = None,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
    ) -> Iterator[Node]:
        """Yield the nodes that pass a filter, opened one batch at a time, superseded ones included.

        Args:
            where, user, agent, session: as in `recall`.
            order: "oldest" or "newest" first, by the time of storing.
            limit: at most so many.
            after: the id of the node to go on behind.
        """
        self._space.check_open()
        filter_ = parse_filter(where, Scope(user, agent, session))
        if order not in listing.ORDERS:
            raise ValueError(f"order is one of {', '.join(listing.ORDERS)}, not {str(order)[:40]!r}")
        if limit is not None:
            _check_count(limit, "limit", 1 << 62)
        return listing.iterate(self._space, filter_, order, limit, after)

    def count(
        self,
        where: Where = None,
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
    ) -> int:
        """Return how many nodes pass a filter, superseded ones included."""
        self._space.check_open()
        return listing.count(self._space, parse_filter(where, Scope(user, agent, session)))

    # -- letting go -----------------------------------------------------------------------------------------------

    def forget(
        self,
        node_id: str | None = None,
        *,
        ref: tuple[str, ...] | None = None,
        where: Where = None,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Destroy nodes for ever, with their keys and all that was derived of them, and return the receipt.

        Give a whole node id, or a ref, or a filter (`where`, `user`, `agent`, `session`).

        Raises:
            ValueError: nothing, or an empty filter, was given, or a shortened id. NotFoundError: no such node.
        """
        self._space.check_open()
        filter_ = parse_filter(where, Scope(user, agent, session))
        given = (node_id is not None) + (ref is not None) + (filter_ != parse_filter(None))
        if given != 1:
            raise ValueError("forget takes a node id, or a ref, or a filter that is not empty")
        if node_id is not None and not is_node_id(node_id):
            raise ValueError("forget takes whole node ids of 64 hexadecimal digits; `show` gives the whole id")
        if node_id is not None or ref is not None:
            node = listing.get(self._space, node_id, ref)
            if node is None:
                raise NotFoundError(f"there is no node {node_id if ref is None else ref}")
            seqs = listing.seqs_of(self._space, [node.id])
        else:
            seqs = listing.matching(self._space, filter_)
        return forgetting.forget(self._space, seqs, dry_run=dry_run)

    # -- the space itself -----------------------------------------------------------------------------------------

    def verify(self, *, full: bool = False, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
        """Check that everything is as it was written; with `full` open every node. An empty list is good news."""
        self._space.check_open()
        return checking.verify(self._space, full=full, progress=progress)

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Make everything derived (filters, words, vectors, index) again from the envelopes; return the nodes."""
        self._space.check_open()
        return checking.rebuild(self._space, progress)

    def close(self) -> None:
        """Close a memory got from `mimir.open()` together with its vault; others stay open with theirs."""
        if self._owns_vault:
            self.vault.lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Memory {self.name!r}>"


def _check_count(value: object, name: str, most: int) -> None:
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
