"""A memory for asyncio: the verbs of `Memory`, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
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
    from mimir_vault.model.import_done import ImportDone
    from mimir_vault.model.link import Link
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

    def __init__(
        self, vault: AsyncVault, memory: MemoryProtocol, worker: Worker, embedder: Embedder | None = None
    ) -> None:
        """Take a memory and the worker of its space; callers use `AsyncVault.space` and `view`."""
        self.vault = vault
        self._memory, self._worker = memory, worker
        self._brought = embedder
        """What a view brings along, until the first call on the worker compares it with what the space holds."""

    @property
    def name(self) -> str:
        """The name of the space."""
        return self._memory.name

    @property
    def embedder(self) -> Embedder:
        """What turns text into vectors here; the bundled model's library is loaded when this is first asked for."""
        return self._brought if self._brought is not None else self._memory.embedder

    def view(
        self, *, user: str | None = None, agent: str | None = None, session: str | None = None,
        under: Sequence[str] = (), embedder: Embedder | None = None, kind: str | None = None, read_only: bool = False,
        duplicates: str | None = None,
    ) -> AsyncMemory:  # fmt: skip
        """Return a memory of the same space that fills these fields on every write and sees nothing else.

        It is not awaited, as it reads and writes nothing: an embedder that does not fit is refused by the first call.
        """
        seen = self._memory.view(
            user=user, agent=agent, session=session, under=under, kind=kind, read_only=read_only, duplicates=duplicates
        )
        return AsyncMemory(self.vault, seen, self._worker, self._brought if embedder is None else embedder)

    def transaction(self) -> Transaction[AsyncMemory]:
        """Make all calls of an `async with` block one transaction: all of it is stored, or nothing.

        Calls of other tasks wait until it has ended; tasks that were started inside belong to it.
        """
        return Transaction(self._worker, lambda: self._here().transaction(), self)

    def _here(self) -> MemoryProtocol:
        """On the worker: return the memory, with the embedder that a view brought along."""
        if self._brought is not None:
            self._memory, self._brought = self._memory.view(embedder=self._brought), None
        return self._memory

    async def _run(self, verb: str, effect: Effect, work: Callable[[MemoryProtocol], T], stop: Stop | None = None) -> T:
        """Do a call on the worker, as a part of the transaction that this task is in."""
        job = self._worker.submit(lambda: work(self._here()), current_hold(self._worker))
        return await finish(job, verb, effect, stop)

    # -- remembering ----------------------------------------------------------------------------------------------

    async def remember(
        self, text: str = "", *, speaker: str | None = None, role: str | None = None, session: str | None = None,
        user: str | None = None, agent: str | None = None, kind: str = "turn", at: Moment = None,
        tags: Sequence[str] = (), metadata: Mapping[str, Any] | None = None, links: Sequence[Link] = (),
        ref: Ref | None = None, data: bytes | None = None, index: bool | Sequence[str] = True, vector: Any = None,
        expires_at: Moment = None, pinned: bool = False, duplicates: str = "mark",
    ) -> Node:  # fmt: skip
        """Remember a text and return its node; it is on disk when this returns."""
        return await self._run(
            "remember", Effect.WHOLE,
            lambda memory: memory.remember(
                text, speaker=speaker, role=role, session=session, user=user, agent=agent, kind=kind, at=at, tags=tags,
                metadata=metadata, links=links, ref=ref, data=data, index=index, vector=vector, expires_at=expires_at,
                pinned=pinned, duplicates=duplicates,
            ),
        )  # fmt: skip

    async def remember_many(self, drafts: Iterable[Draft], progress: Progress | None = None) -> list[Node]:
        """Remember drafts in order and return one node each; turns of one session are linked one after the other.

        Cancelled, it ends with the commit that is under way; `CancelledCallError.result` has the nodes that are stored.
        """
        stop = Stop()
        return await self._run(
            "remember_many", Effect.WHOLE,
            lambda memory: memory.remember_many(stop.drafts(drafts), stop.progress(progress)), stop,
        )  # fmt: skip

    async def supersede(self, node_id: str, text: str | None = None, **fields: Unpack[DraftFields]) -> Node:
        """Replace what a node says and keep its history; fields that are not given are carried over."""
        return await self._run(
            "supersede", Effect.WHOLE, lambda memory: memory.supersede(node_id, text, **fields)
        )  # fmt: skip

    async def move(self, old_ref: Sequence[str], new_ref: Sequence[str]) -> int:
        """Give the nodes of a ref and of all refs below it other refs; return how many refs were moved."""
        return await self._run("move", Effect.WHOLE, lambda memory: memory.move(old_ref, new_ref))

    # -- reading --------------------------------------------------------------------------------------------------

    async def recall(
        self, query: str, *, k: int = 10, where: Where = None, user: str | None = None, agent: str | None = None,
        session: str | None = None, under: Sequence[str] = (), as_of: Moment = None, known_at: Moment = None,
        vector: Any = None, lanes: Collection[str] | None = None, min_score: float | None = None,
        collapse: bool = False, explain: bool = False,
    ) -> Hits:  # fmt: skip
        """Return the nodes that answer a query best, best first."""
        return await self._run(
            "recall", Effect.READS,
            lambda memory: memory.recall(
                query, k=k, where=where, user=user, agent=agent, session=session, under=under, as_of=as_of,
                known_at=known_at, vector=vector, lanes=lanes, min_score=min_score, collapse=collapse, explain=explain,
            ),
        )  # fmt: skip

    async def context(
        self, query: str | None = None, *, budget: int = 800, counter: Callable[[str], int] | None = None,
        where: Where = None, user: str | None = None, agent: str | None = None, session: str | None = None,
        under: Sequence[str] = (), as_of: Moment = None, known_at: Moment = None,
    ) -> Context:  # fmt: skip
        """Return passages for a prompt within a budget of tokens: dated, quoted, marked as data, each text once."""
        return await self._run(
            "context", Effect.READS,
            lambda memory: memory.context(
                query, budget=budget, counter=counter, where=where, user=user, agent=agent, session=session,
                under=under, as_of=as_of, known_at=known_at,
            ),
        )  # fmt: skip

    async def get(
        self, node_id: str | None = None, *, ref: Sequence[str] | None = None, user: str | None = None,
        agent: str | None = None, session: str | None = None,
    ) -> Node | None:  # fmt: skip
        """Return a node by its id (or at least its first 8 digits) or its ref; None when it is not here."""
        return await self._run(
            "get", Effect.READS, lambda memory: memory.get(node_id, ref=ref, user=user, agent=agent, session=session)
        )

    async def history(
        self, node_id: str, *, user: str | None = None, agent: str | None = None, session: str | None = None,
    ) -> list[Node]:  # fmt: skip
        """Return all versions of a node, the newest first (NotFoundError when there is none)."""
        return await self._run(
            "history", Effect.READS, lambda memory: memory.history(node_id, user=user, agent=agent, session=session)
        )

    def nodes(
        self, where: Where = None, under: Sequence[str] = (), order: str = "oldest", limit: int | None = None,
        after: str | None = None, *, user: str | None = None, agent: str | None = None, session: str | None = None,
        hidden: bool = False,
    ) -> AsyncIterator[Node]:  # fmt: skip
        """Yield the nodes that pass a filter (`async for`), read one batch at a time, superseded ones included.

        Nothing is read, and no argument refused, before the first node is asked for.
        """
        return NodeIterator(
            lambda memory: memory.nodes(
                where, under=under, order=order, limit=limit, after=after, user=user, agent=agent, session=session,
                hidden=hidden,
            ),
            lambda take: self._run("nodes", Effect.READS, take),
        )  # fmt: skip

    async def count(
        self, where: Where = None, *, under: Sequence[str] = (), user: str | None = None, agent: str | None = None,
        session: str | None = None,
    ) -> int:  # fmt: skip
        """Return how many nodes pass a filter, superseded ones included."""
        return await self._run(
            "count", Effect.READS,
            lambda memory: memory.count(where, under=under, user=user, agent=agent, session=session),
        )  # fmt: skip

    async def refs(
        self, under: Sequence[str] = (), depth: int | None = None, *, user: str | None = None, agent: str | None = None,
        session: str | None = None,
    ) -> list[Ref]:  # fmt: skip
        """Return the distinct refs that begin with `under`, cut to `depth` parts, in their order."""
        return await self._run(
            "refs", Effect.READS, lambda memory: memory.refs(under, depth, user=user, agent=agent, session=session)
        )

    async def vectors(
        self, node_ids: Sequence[str], *, user: str | None = None, agent: str | None = None, session: str | None = None,
    ) -> NDArray[np.float32]:  # fmt: skip
        """Return the vectors of nodes by this memory's embedder, float32 (n, d), of length 1."""
        return await self._run(
            "vectors", Effect.READS, lambda memory: memory.vectors(node_ids, user=user, agent=agent, session=session)
        )

    # -- letting go -----------------------------------------------------------------------------------------------

    async def forget(
        self, node_id: str | None = None, *, ref: Sequence[str] | None = None, under: Sequence[str] | None = None,
        where: Where = None, user: str | None = None, agent: str | None = None, session: str | None = None,
        derived: bool = False, dry_run: bool = False, grace: timedelta | None = None,
    ) -> Receipt:  # fmt: skip
        """Destroy nodes for ever, with their keys and all that was derived of them, and return the receipt."""
        return await self._run(
            "forget", Effect.READS if dry_run else Effect.IN_PARTS,
            lambda memory: memory.forget(
                node_id, ref=ref, under=under, where=where, user=user, agent=agent, session=session, derived=derived,
                dry_run=dry_run, grace=grace,
            ),
        )  # fmt: skip

    async def hide(self, node_id: str | None = None, *, ref: Sequence[str] | None = None) -> Node:
        """Take a node out of all answers until `keep` brings it back, and return it; nothing is destroyed."""
        return await self._run("hide", Effect.WHOLE, lambda memory: memory.hide(node_id, ref=ref))

    async def keep(self, node_id: str | None = None, *, ref: Sequence[str] | None = None) -> Node:
        """Bring a node back that `hide`, or `forget` with a grace that still lasts, took out of answers; return it."""
        return await self._run("keep", Effect.WHOLE, lambda memory: memory.keep(node_id, ref=ref))

    # -- the space itself -----------------------------------------------------------------------------------------

    async def export_to(
        self, file: File, format: str = "jsonl", *, where: Where = None, under: Sequence[str] = (),
        user: str | None = None, agent: str | None = None, session: str | None = None, overwrite: bool = False,
        progress: Progress | None = None,
    ) -> int:  # fmt: skip
        """Write the nodes that pass a filter to a file as JSON Lines or Markdown, in clear; return how many."""
        stop = Stop()
        return await self._run(
            "export_to", Effect.OUTSIDE,
            lambda memory: memory.export_to(
                file, format, where=where, under=under, user=user, agent=agent, session=session, overwrite=overwrite,
                progress=stop.progress(progress),
            ),
            stop,
        )  # fmt: skip

    async def import_from(
        self, file: File, format: str | None = None, *, import_id: str | None = None,
        fields: Mapping[str, str] | None = None, ignore: Collection[str] = (), skip_bad: bool = False,
        local_time: bool = False, progress: Progress | None = None,
    ) -> ImportDone:  # fmt: skip
        """Remember what a file holds; each line once, however often the same file is imported."""
        stop = Stop()
        return await self._run(
            "import_from", Effect.IN_PARTS,
            lambda memory: memory.import_from(
                file, format, import_id=import_id, fields=fields, ignore=ignore, skip_bad=skip_bad,
                local_time=local_time, progress=stop.progress(progress),
            ),
            stop,
        )  # fmt: skip

    async def verify(self, *, full: bool = False, progress: Progress | None = None) -> list[Finding]:
        """Check that everything is as it was written; with `full` open every node. An empty list is good news."""
        stop = Stop()
        return await self._run(
            "verify", Effect.READS, lambda memory: memory.verify(full=full, progress=stop.progress(progress)), stop
        )  # fmt: skip

    async def rebuild(self, progress: Progress | None = None) -> int:
        """Make everything derived (filters, words, vectors, index) again from the envelopes; return the nodes."""
        stop = Stop()
        return await self._run(
            "rebuild", Effect.WHOLE, lambda memory: memory.rebuild(stop.progress(progress)), stop
        )  # fmt: skip

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
