"""A memory for asyncio: the verbs of `Memory`, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from mimir_vault.asynchronous.calls import Effect, Stop, finish
from mimir_vault.asynchronous.described import described_as
from mimir_vault.asynchronous.listing import NodeIterator
from mimir_vault.asynchronous.transaction import Transaction, current_hold
from mimir_vault.asynchronous.worker import Worker
from mimir_vault.memory_protocol import DraftFields, MemoryProtocol, Progress, Ref

if TYPE_CHECKING:
    from datetime import timedelta

    import numpy as np
    from numpy.typing import NDArray

    from mimir_vault.asynchronous.vault import AsyncVault
    from mimir_vault.checking import Finding
    from mimir_vault.embed.embedder import Embedder
    from mimir_vault.memory_protocol import File, Moment, Where
    from mimir_vault.model.draft import Draft
    from mimir_vault.model.hit import Context, Hits
    from mimir_vault.model.node import Node
    from mimir_vault.model.receipt import Receipt

T = TypeVar("T")


@described_as(MemoryProtocol)
class AsyncMemory:
    """An open space, or a view of one, for asyncio. Tasks may share it, threads and event loops too.

    All memories of a space share one worker thread, which does their calls in the order they come. What is handed in
    (drafts, `progress`, `counter`, an embedder) is called in that thread. A call that is cancelled has either done what
    it does or not, and its CancelledError says which: see `CancelledCallError`.
    """

    def __init__(self, vault: AsyncVault, memory: MemoryProtocol, worker: Worker) -> None:
        """Take a memory and the worker of its space; callers use `AsyncVault.space` and `view`."""
        self.vault = vault
        self._memory, self._worker = memory, worker

    @property
    def name(self) -> str:
        """The name of the space."""
        return self._memory.name

    @property
    def embedder(self) -> Embedder:
        """What turns text into vectors here; the bundled model's library is loaded when this is first asked for."""
        return self._memory.embedder

    def view(
        self, *, user: str | None = None, agent: str | None = None, session: str | None = None, under: Ref = (),
        embedder: Embedder | None = None, kind: str | None = None, read_only: bool = False, duplicates: str = "mark",
    ) -> AsyncMemory:  # fmt: skip
        """Return a memory of a part of this one: it fills these fields on every write and sees nothing else.

        It is not awaited, as it reads and writes nothing.
        """
        seen = self._memory.view(
            user=user, agent=agent, session=session, under=under, embedder=embedder, kind=kind, read_only=read_only,
            duplicates=duplicates,
        )  # fmt: skip
        return AsyncMemory(self.vault, seen, self._worker)

    def transaction(self) -> Transaction:
        """Make all calls of an `async with` block one transaction: all of it is stored, or nothing.

        Calls of other tasks wait until it has ended; tasks that were started inside belong to it.
        """
        return Transaction(self._worker, self._memory.transaction)

    async def _run(self, effect: Effect, work: Callable[[], T], verb: str = "", stop: Stop | None = None) -> T:
        """Do a call on the worker, as a part of the transaction that this task is in."""
        name = verb or work.func.__name__  # type: ignore[attr-defined]
        return await finish(self._worker.submit(work, current_hold(self._worker)), name, effect, stop)

    # -- remembering ----------------------------------------------------------------------------------------------

    async def remember(self, text: str = "", **fields: Unpack[DraftFields]) -> Node:
        """Remember a text and return its node; it is on disk when this returns."""
        return await self._run(Effect.WHOLE, partial(self._memory.remember, text, **fields))

    async def remember_many(self, drafts: Iterable[Draft], progress: Progress | None = None) -> list[Node]:
        """Remember drafts in order and return one node each; turns of one session are linked one after the other.

        Cancelled, it ends with the commit that is under way; `CancelledCallError.result` has the nodes that are stored.
        """
        stop = Stop()
        work = partial(self._memory.remember_many, stop.drafts(drafts), stop.progress(progress))
        return await self._run(Effect.WHOLE, work, stop=stop)

    async def supersede(self, node_id: str, text: str | None = None, **fields: Unpack[DraftFields]) -> Node:
        """Replace what a node says and keep its history; fields that are not given are carried over."""
        return await self._run(Effect.WHOLE, partial(self._memory.supersede, node_id, text, **fields))

    # -- reading --------------------------------------------------------------------------------------------------

    async def recall(
        self, query: str, *, k: int = 10, where: Where = None, user: str | None = None, agent: str | None = None,
        session: str | None = None, under: Ref = (), as_of: Moment = None, known_at: Moment = None,
        vector: Any = None, lanes: Collection[str] | None = None, min_score: float | None = None,
        collapse: bool = False, explain: bool = False,
    ) -> Hits:  # fmt: skip
        """Return the nodes that answer a query best, best first."""
        work = partial(
            self._memory.recall, query, k=k, where=where, user=user, agent=agent, session=session, under=under,
            as_of=as_of, known_at=known_at, vector=vector, lanes=lanes, min_score=min_score, collapse=collapse,
            explain=explain,
        )  # fmt: skip
        return await self._run(Effect.READS, work)

    async def context(
        self, query: str | None = None, *, budget: int = 800, counter: Callable[[str], int] | None = None,
        where: Where = None, user: str | None = None, agent: str | None = None, session: str | None = None,
        under: Ref = (), as_of: Moment = None, known_at: Moment = None,
    ) -> Context:  # fmt: skip
        """Return passages for a prompt within a budget of tokens: dated, quoted, marked as data, each text once."""
        work = partial(
            self._memory.context, query, budget=budget, counter=counter, where=where, user=user, agent=agent,
            session=session, under=under, as_of=as_of, known_at=known_at,
        )  # fmt: skip
        return await self._run(Effect.READS, work)

    async def get(self, node_id: str | None = None, *, ref: Ref | None = None) -> Node | None:
        """Return a node by its id (or at least its first 8 digits) or its ref; None when it is not here."""
        return await self._run(Effect.READS, partial(self._memory.get, node_id, ref=ref))

    async def history(self, node_id: str) -> list[Node]:
        """Return all versions of a node, the newest first (NotFoundError when there is none)."""
        return await self._run(Effect.READS, partial(self._memory.history, node_id))

    def nodes(
        self, where: Where = None, *, under: Ref = (), order: str = "oldest", limit: int | None = None,
        after: str | None = None, user: str | None = None, agent: str | None = None, session: str | None = None,
        hidden: bool = False,
    ) -> AsyncIterator[Node]:  # fmt: skip
        """Yield the nodes that pass a filter (`async for`), read one batch at a time, superseded ones included.

        Nothing is read, and no argument refused, before the first node is asked for.
        """
        listed = partial(
            self._memory.nodes, where, under=under, order=order, limit=limit, after=after, user=user, agent=agent,
            session=session, hidden=hidden,
        )  # fmt: skip
        return NodeIterator(listed, partial(self._run, Effect.READS, verb="nodes"))

    async def count(
        self, where: Where = None, *, under: Ref = (), user: str | None = None, agent: str | None = None,
        session: str | None = None,
    ) -> int:  # fmt: skip
        """Return how many nodes pass a filter, superseded ones included."""
        work = partial(self._memory.count, where, under=under, user=user, agent=agent, session=session)
        return await self._run(Effect.READS, work)

    async def refs(self, under: Ref = (), depth: int | None = None) -> list[Ref]:
        """Return the distinct refs below a beginning, cut to so many parts."""
        return await self._run(Effect.READS, partial(self._memory.refs, under, depth))

    async def move(self, old_ref: Ref, new_ref: Ref) -> int:
        """Give one node, or all nodes below a ref, another ref; return how many."""
        return await self._run(Effect.WHOLE, partial(self._memory.move, old_ref, new_ref))

    async def vectors(self, node_ids: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of nodes in order: float32 (n, d)."""
        return await self._run(Effect.READS, partial(self._memory.vectors, node_ids))

    # -- letting go -----------------------------------------------------------------------------------------------

    async def forget(
        self, node_id: str | None = None, *, ref: Ref | None = None, under: Ref | None = None, where: Where = None,
        user: str | None = None, agent: str | None = None, session: str | None = None, derived: bool = False,
        dry_run: bool = False, grace: timedelta | None = None,
    ) -> Receipt:  # fmt: skip
        """Destroy nodes for ever, with their keys and all that was derived of them, and return the receipt."""
        work = partial(
            self._memory.forget, node_id, ref=ref, under=under, where=where, user=user, agent=agent, session=session,
            derived=derived, dry_run=dry_run, grace=grace,
        )  # fmt: skip
        return await self._run(Effect.READS if dry_run else Effect.IN_PARTS, work)

    async def hide(self, node_id: str | None = None, *, ref: Ref | None = None) -> Node:
        """Take a node out of all answers, until it is kept again (NotFoundError when there is none)."""
        return await self._run(Effect.WHOLE, partial(self._memory.hide, node_id, ref=ref))

    async def keep(self, node_id: str) -> Node:
        """Undo a hiding, or a forgetting within its grace (NotFoundError when there is none)."""
        return await self._run(Effect.WHOLE, partial(self._memory.keep, node_id))

    # -- the space itself -----------------------------------------------------------------------------------------

    async def export_to(
        self, file: File, format: str = "jsonl", *, where: Where = None, under: Ref = (),
        progress: Progress | None = None,
    ) -> int:  # fmt: skip
        """Write the nodes that pass a filter as JSON Lines or Markdown, in clear; return how many."""
        stop = Stop()
        work = partial(self._memory.export_to, file, format, where=where, under=under, progress=stop.progress(progress))
        return await self._run(Effect.READS, work, stop=stop)

    async def import_from(
        self, file: File, *, format: str = "jsonl", import_id: str | None = None, progress: Progress | None = None
    ) -> object:
        """Remember what a file holds; each node once, however often the same file is imported."""
        stop = Stop()
        work = partial(
            self._memory.import_from, file, format=format, import_id=import_id, progress=stop.progress(progress)
        )
        return await self._run(Effect.IN_PARTS, work, stop=stop)

    async def verify(self, full: bool = False, progress: Progress | None = None) -> list[Finding]:
        """Check that everything is as it was written; with `full` open every node. An empty list is good news."""
        stop = Stop()
        return await self._run(
            Effect.READS, partial(self._memory.verify, full=full, progress=stop.progress(progress)), stop=stop
        )

    async def rebuild(self, progress: Progress | None = None) -> int:
        """Make everything derived (filters, words, vectors, index) again from the envelopes; return the nodes."""
        stop = Stop()
        return await self._run(Effect.WHOLE, partial(self._memory.rebuild, stop.progress(progress)), stop=stop)

    async def close(self) -> None:
        """Do nothing: a space stays open until its vault is locked."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncMemory {self.name!r}>"
