"""What a memory is, whoever keeps it: this process, the keeper of an unlocked vault, or a server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Protocol, Self, TypedDict, Unpack, runtime_checkable

if TYPE_CHECKING:
    import os
    from datetime import datetime, timedelta

    import numpy as np
    from numpy.typing import NDArray

    from mimir_vault.checking import Finding
    from mimir_vault.embed.embedder import Embedder
    from mimir_vault.model.draft import Draft
    from mimir_vault.model.filter import Filter
    from mimir_vault.model.hit import Context, Hits
    from mimir_vault.model.import_done import ImportDone
    from mimir_vault.model.link import Link
    from mimir_vault.model.node import Node
    from mimir_vault.model.receipt import Receipt

    Where = Mapping[Any, Any] | Filter | None
    """A filter: fields with values or conditions, or None for everything."""
    Moment = datetime | str | None
    """A moment with its time zone, as a datetime or as ISO 8601 text."""
    File = str | os.PathLike[str] | IO[Any]
    """A path, or a file that is open."""

Ref = tuple[str, ...]
"""A caller's own name for a node."""
Progress = Callable[[int, int], None]
"""Called with (done, total) as a long call goes on."""


class DraftFields(TypedDict, total=False):
    """What `supersede` takes besides the text: the fields of a `Draft`."""

    speaker: str | None
    role: str | None
    session: str | None
    user: str | None
    agent: str | None
    kind: str
    at: datetime | str | None
    tags: Sequence[str]
    metadata: Mapping[str, Any] | None
    links: Sequence[Link]
    ref: Ref | None
    data: bytes | None
    index: bool | Sequence[str]
    vector: Any
    expires_at: datetime | str | None
    pinned: bool
    duplicates: str


@runtime_checkable
class MemoryProtocol(Protocol):
    """A space, or a view of one, and its verbs. `Memory` is one; what takes a memory takes any of them.

    Every call is whole and on disk when it returns, threads may share a memory, and every error is a MimirError but for
    the ValueError and TypeError of a call that cannot be.
    """

    @property
    def name(self) -> str:
        """The name of the space."""

    if TYPE_CHECKING:
        # Not at run time: up to Python 3.11 `isinstance` asks an object for its properties, and this one loads a model.
        @property
        def embedder(self) -> Embedder:
            """What turns text into vectors here."""

    def view(
        self, *, user: str | None = None, agent: str | None = None, session: str | None = None,
        under: Sequence[str] = (), embedder: Embedder | None = None, kind: str | None = None, read_only: bool = False,
        duplicates: str | None = None,
    ) -> MemoryProtocol:  # fmt: skip
        """Return a memory of a part of this one: it fills these fields on every write and sees nothing else.

        Args:
            user, agent, session, kind: fields to fill and to enforce; under: where all refs begin.
            embedder: writes and reads vectors of its own. read_only: refuse what would change anything.
            duplicates: "mark" stores a text that is there already; "merge" gives back the node that says it.

        Raises:
            ValueError: a value that contradicts this view.
        """

    def transaction(self) -> AbstractContextManager[object]:
        """Make all verbs of the block one transaction: all of it is stored, or nothing (at most 10,000 nodes)."""

    # -- remembering ----------------------------------------------------------------------------------------------

    def remember(
        self, text: str = "", *, speaker: str | None = None, role: str | None = None, session: str | None = None,
        user: str | None = None, agent: str | None = None, kind: str = "turn", at: Moment = None,
        tags: Sequence[str] = (), metadata: Mapping[str, Any] | None = None, links: Sequence[Link] = (),
        ref: Ref | None = None, data: bytes | None = None, index: bool | Sequence[str] = True, vector: Any = None,
        expires_at: Moment = None, pinned: bool = False, duplicates: str = "mark",
    ) -> Node:  # fmt: skip
        """Remember a text and return its node; it is on disk when this returns.

        Args:
            text: what to remember; it may be empty where ref, metadata or data is given.
            speaker, role, session, user, agent, kind, tags: what it is found and filtered by; turns of one session are
                linked one after the other.
            at: when it happened (now when left out). metadata: JSON. links: to older nodes.
            ref: a name of your own; a taken one is superseded, unless nothing changed. data: bytes, kept as they are.
            index: False is never recalled; a list of passages is searched in place of the text.
            vector: your own, float32 (d,) or (n, d). expires_at: when it is forgotten. pinned: first in every context.
            duplicates: "merge" gives back the node that says the same already.

        Raises:
            ValueError, TypeError: a field that cannot be. NotFoundError: a link to a node that is not here.
            VaultBusyError, DiskFullError, ReadOnlyError: it could not be stored, and was not.
        """

    def remember_many(self, drafts: Iterable[Draft], progress: Progress | None = None) -> list[Node]:
        """Remember drafts in order and return one node each; turns of one session are linked one after the other.

        Raises:
            InterruptedBatchError: it ended early; `.done` holds the nodes that are stored, the cause is chained. When
            nothing was stored yet, the cause itself is raised.
        """

    def supersede(self, node_id: str, text: str | None = None, **fields: Unpack[DraftFields]) -> Node:
        """Replace what a node says and keep its history; fields that are not given are carried over.

        Raises:
            NotFoundError: there is no such node.
        """

    # -- reading --------------------------------------------------------------------------------------------------

    def recall(
        self, query: str, *, k: int = 10, where: Where = None, user: str | None = None, agent: str | None = None,
        session: str | None = None, under: Sequence[str] = (), as_of: Moment = None, known_at: Moment = None,
        vector: Any = None, lanes: Collection[str] | None = None, min_score: float | None = None,
        collapse: bool = False, explain: bool = False,
    ) -> Hits:  # fmt: skip
        """Return the nodes that answer a query best, best first.

        Args:
            query: a question or words; the dense lane reads its meaning, the lexical lane its words.
            k: how many hits, 1 to 10,000.
            where: a filter, for example `{"speaker": "Ada", "at": {"gte": "2026-01-01T00:00Z"}}`.
            user, agent, session: as in `remember`. under: where refs begin.
            as_of: the world as it was then (by `at`). known_at: what was stored then (by `recorded_at`).
            vector: float32 (d,) in the place of the query's own. lanes: restrict to "dense" or "lexical".
            min_score: drop hits below. collapse: show equal texts once. explain: fill `hit.why`.

        Raises:
            ValueError, TypeError: an impossible argument. ModelMismatchError: vectors of another embedder.
        """

    def context(
        self, query: str | None = None, *, budget: int = 800, counter: Callable[[str], int] | None = None,
        where: Where = None, user: str | None = None, agent: str | None = None, session: str | None = None,
        under: Sequence[str] = (), as_of: Moment = None, known_at: Moment = None,
    ) -> Context:  # fmt: skip
        """Return passages for a prompt within a budget of tokens: dated, quoted, marked as data, each text once.

        Without a query: what is pinned, then the newest that still holds. `counter` counts the tokens of a text.
        """

    def get(
        self, node_id: str | None = None, *, ref: Sequence[str] | None = None, user: str | None = None,
        agent: str | None = None, session: str | None = None,
    ) -> Node | None:  # fmt: skip
        """Return a node by its id (or at least its first 8 digits) or its ref; None when it is not here.

        Raises:
            AmbiguousIdError: several ids begin so. NotFoundError: that is no node id.
        """

    def history(
        self, node_id: str, *, user: str | None = None, agent: str | None = None, session: str | None = None,
    ) -> list[Node]:  # fmt: skip
        """Return all versions of a node, the newest first (NotFoundError when there is none)."""

    def nodes(
        self, where: Where = None, under: Sequence[str] = (), order: str = "oldest", limit: int | None = None,
        after: str | None = None, *, user: str | None = None, agent: str | None = None, session: str | None = None,
        hidden: bool = False,
    ) -> Iterator[Node]:  # fmt: skip
        """Yield the nodes that pass a filter, opened one batch at a time, superseded ones included.

        Args:
            where, under, user, agent, session: as in `recall`.
            order: "oldest" or "newest" first by the time of storing, or by "ref".
            limit: at most so many. after: the id of the node to go on behind.
            hidden: those that were hidden, instead of those that are not.
        """

    def count(
        self, where: Where = None, *, under: Sequence[str] = (), user: str | None = None, agent: str | None = None,
        session: str | None = None,
    ) -> int:  # fmt: skip
        """Return how many nodes pass a filter, superseded ones included."""

    def refs(
        self, under: Sequence[str] = (), depth: int | None = None, *, user: str | None = None, agent: str | None = None,
        session: str | None = None,
    ) -> list[Ref]:  # fmt: skip
        """Return the distinct refs that begin with `under`, cut to `depth` parts, in their order."""

    def move(self, old_ref: Sequence[str], new_ref: Sequence[str]) -> int:
        """Give the nodes of a ref and of all refs below it other refs; return how many refs were moved.

        Raises:
            NotFoundError: nothing has the ref. ExistsError: one of the new refs is taken; nothing is moved then.
        """

    def vectors(
        self, node_ids: Sequence[str], *, user: str | None = None, agent: str | None = None, session: str | None = None,
    ) -> NDArray[np.float32]:  # fmt: skip
        """Return the vectors of nodes by this memory's embedder, float32 (n, d), of length 1.

        Raises:
            NotFoundError: there is no such node, or it has no vector by this embedder.
        """

    # -- letting go -----------------------------------------------------------------------------------------------

    def forget(
        self, node_id: str | None = None, *, ref: Sequence[str] | None = None, under: Sequence[str] | None = None,
        where: Where = None, user: str | None = None, agent: str | None = None, session: str | None = None,
        derived: bool = False, dry_run: bool = False, grace: timedelta | None = None,
    ) -> Receipt:  # fmt: skip
        """Destroy nodes for ever, with their keys and all that was derived of them, and return the receipt.

        Args:
            node_id: a whole node id; or ref, or under, or a filter (`where`, `user`, `agent`, `session`).
            derived: also what was made of them. dry_run: only say what would go.
            grace: hide them now, and forget them so much later unless they are kept.

        Raises:
            ValueError: nothing, or an empty filter, was given, or a shortened id. NotFoundError: no such node.
        """

    def hide(self, node_id: str | None = None, *, ref: Sequence[str] | None = None) -> Node:
        """Take a node out of all answers until `keep` brings it back, and return it; nothing is destroyed."""

    def keep(self, node_id: str | None = None, *, ref: Sequence[str] | None = None) -> Node:
        """Bring a node back that `hide`, or `forget` with a grace that still lasts, took out of answers; return it."""

    # -- the space itself -----------------------------------------------------------------------------------------

    def export_to(
        self, file: File, format: str = "jsonl", *, where: Where = None, under: Sequence[str] = (),
        user: str | None = None, agent: str | None = None, session: str | None = None, overwrite: bool = False,
        progress: Progress | None = None,
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

    def import_from(
        self, file: File, format: str | None = None, *, import_id: str | None = None,
        fields: Mapping[str, str] | None = None, ignore: Collection[str] = (), skip_bad: bool = False,
        local_time: bool = False, progress: Progress | None = None,
    ) -> ImportDone:  # fmt: skip
        """Remember what a file of JSON Lines holds, each line once, however often the file is imported.

        A line is an object with the fields of a `Draft`, or one of an export. Nodes carry `metadata.import_id`, and
        `forget(where=done.undo)` undoes the import. Links of an export are made to the nodes their targets have become;
        when a node was recorded cannot be kept.

        Args:
            file: a path or an open file. format: "jsonl".
            import_id: a name for this import, else one that follows from what the file holds. A line without a ref of
                its own and without `at` is the same line in the same file only, or under the same name.
            fields: names that fields have in the file, `{"text": "content"}`; `metadata.NAME` keeps what is no field.
            ignore: names to leave out. skip_bad: go on after lines that cannot be imported.
            local_time: read moments without a time zone as this machine's.
            progress: called with bytes done and in all (0 where nobody knows).

        Raises:
            InterruptedBatchError: it ended early; `.imported` says what is done, the cause is chained, and the same
            import goes on from there. When nothing was stored yet, the cause itself: a ValueError names a bad line.
        """

    def verify(self, *, full: bool = False, progress: Progress | None = None) -> list[Finding]:
        """Check that everything is as it was written; with `full` open every node. An empty list is good news."""

    def rebuild(self, progress: Progress | None = None) -> int:
        """Make everything derived (filters, words, vectors, index) again from the envelopes; return the nodes."""

    def close(self) -> None:
        """Close the memory, and what it has opened for itself."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
