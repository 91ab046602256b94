"""Memory: one open space seen through a view, and its verbs; what callers, rooms and adapters work with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mimir_vault import checking, forgetting, listing, moving, remembering, superseding
from mimir_vault.checking import Finding
from mimir_vault.errors import NotFoundError
from mimir_vault.model.draft import DEFAULT_KIND, DUPLICATES, Draft, check_ref
from mimir_vault.model.link import Link, is_node_id
from mimir_vault.model.node import Node
from mimir_vault.model.receipt import Receipt
from mimir_vault.model.view import View
from mimir_vault.open_space import OpenSpace
from mimir_vault.readable_memory import ReadableMemory, Where
from mimir_vault.viewed_space import ViewedSpace

if TYPE_CHECKING:
    from mimir_vault.embed.embedder import Embedder
    from mimir_vault.interchange.given_file import GivenFile
    from mimir_vault.model.import_done import ImportDone
    from mimir_vault.vault import Vault


class Memory(ReadableMemory):
    """An open space, or the part of it that a view shows. Threads may share it. It is open as long as its vault."""

    def __init__(
        self, vault: Vault, space: OpenSpace, *, owns_vault: bool = False, viewed: ViewedSpace | None = None
    ) -> None:
        self.vault = vault
        self._space = viewed if viewed is not None else ViewedSpace(space, View(), space.embedder)
        self._owns_vault = owns_vault

    def view(
        self,
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        under: Sequence[str] = (),
        embedder: Embedder | None = None,
        kind: str | None = None,
        read_only: bool = False,
        duplicates: str | None = None,
    ) -> Memory:
        """Return a memory of the same space that fills these fields on every write and sees nothing else.

        Args:
            user, agent, session, kind: filled where a draft leaves them open.
            under: a prefix of refs; a draft without a ref gets one of its own below it.
            embedder: writes and reads vectors of its own; other vectors are never compared with them.
            read_only: refuse to change anything. duplicates: "merge" gives back the node that says the same already.

        Raises:
            ValueError: this memory is a view itself, of another value. ModelMismatchError: the space holds vectors of
            another embedder of that name.
        """
        self._space.check_open()
        view = self._space.view.narrowed(
            user=user, agent=agent, session=session, kind=kind, under=under, read_only=read_only, duplicates=duplicates
        )
        viewed = replace(self._space, view=view)
        if embedder is not None:
            viewed = replace(viewed, embedder=self._space.space.brought(embedder))
            self._space.space.has_model(viewed.embedder)
        return Memory(self.vault, self._space.space, viewed=viewed)

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Make everything that this thread does to the space inside the block one transaction: all of it or nothing.

        It takes the space's write lock at the first verb and holds at most 10,000 nodes. Where that verb is `remember`
        or `remember_many`, what it has to embed is embedded before; later verbs embed while others wait. What is
        written inside is seen inside at once, by others after its end. A verb that fails while it writes, or a
        transaction inside of it that fails, undoes all of it, also where the error is caught.
        """
        self._space.check_writable()
        with self._space.space.transact():
            yield self

    # -- remembering ----------------------------------------------------------------------------------------------

    def remember(
        self,
        text: str = "",
        *,
        speaker: str | None = None,
        role: str | None = None,
        session: str | None = None,
        user: str | None = None,
        agent: str | None = None,
        kind: str = DEFAULT_KIND,
        at: datetime | str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        links: Sequence[Link] = (),
        ref: tuple[str, ...] | None = None,
        data: bytes | None = None,
        index: bool | Sequence[str] = True,
        vector: Any = None,
        expires_at: datetime | str | None = None,
        pinned: bool = False,
        duplicates: str = DUPLICATES[0],
    ) -> Node:
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
        draft = Draft(
            text, speaker=speaker, role=role, session=session, user=user, agent=agent, kind=kind, at=at, tags=tags,
            metadata=metadata, links=links, ref=ref, data=data, index=index, vector=vector, expires_at=expires_at,
            pinned=pinned, duplicates=duplicates,
        )  # fmt: skip
        return remembering.remember_many(self._space, [draft])[0]

    def remember_many(self, drafts: Iterable[Draft], progress: Callable[[int, int], None] | None = None) -> list[Node]:
        """Remember drafts in order and return one node each; turns of one session are linked one after the other.

        At most 256 nodes are committed at a time, inside a transaction all with it. `progress(done, total)` is called
        after each commit.

        Raises:
            InterruptedBatchError: it ended early; `.done` holds the nodes that are stored, the cause is chained. When
            nothing was stored yet, the cause itself is raised.
        """
        return remembering.remember_many(self._space, drafts, progress)

    def supersede(self, node_id: str, text: str | None = None, **fields: Any) -> Node:
        """Replace what a node says and keep its history; fields that are not given are carried over.

        `at` is now when it is not given; links belong to one version. A text that stays the same keeps its vectors.

        Raises:
            NotFoundError: there is no such node.
        """
        return superseding.supersede(self._space, node_id, text, fields)

    def import_from(
        self, file: GivenFile, format: str | None = None, *, import_id: str | None = None,
        fields: Mapping[str, str] | None = None, ignore: Collection[str] = (), skip_bad: bool = False,
        local_time: bool = False, progress: Callable[[int, int], None] | None = None,
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
        from mimir_vault.interchange import importing

        how = importing.wanted(format, import_id, fields, ignore, skip_bad=skip_bad, local_time=local_time)
        return importing.import_from(self._space, file, how, progress)

    def move(self, old_ref: Sequence[str], new_ref: Sequence[str]) -> int:
        """Give the nodes of a ref and of all refs below it other refs; return how many refs were moved.

        Raises:
            NotFoundError: nothing has the ref. ExistsError: one of the new refs is taken; nothing is moved then.
        """
        self._space.check_writable()
        return moving.move(self._space, old_ref, new_ref)

    # -- letting go -----------------------------------------------------------------------------------------------

    def forget(
        self,
        node_id: str | None = None,
        *,
        ref: Sequence[str] | None = None,
        under: Sequence[str] | None = None,
        where: Where = None,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        derived: bool = False,
        dry_run: bool = False,
        grace: timedelta | None = None,
    ) -> Receipt:
        """Destroy nodes for ever, with their keys and all that was derived of them, and return the receipt.

        Args:
            node_id: a whole id. ref: all versions of a ref. under: all refs that begin so.
            where, user, agent, session: all nodes that pass, superseded, hidden and expired ones too.
            derived: also what was derived from them (`derived_from` links), at first hand or along a chain.
            dry_run: only say what would be forgotten.
            grace: hide them now and forget them after so long; `keep` undoes that.

        Raises:
            ValueError: nothing, or an empty filter, was given, or a shortened id. NotFoundError: no such node.
        """
        self._space.check_writable()
        below = () if under is None else under  # An empty list is refused, and not taken for everything.
        filter_ = self._space.view.parse(where, user=user, agent=agent, session=session, under=below)
        filtered = self._space.view.asks(filter_) or user is not None or agent is not None or session is not None
        if (node_id is not None) + (ref is not None) + (filtered or under is not None) != 1 or under == ():
            raise ValueError("forget takes a node id, or a ref, or a filter (where, under, user, …) that is not empty")
        pause = forgetting.grace_micros(grace)
        if node_id is not None and not is_node_id(node_id):
            raise ValueError("forget takes whole node ids of 64 hexadecimal digits; `show` gives the whole id")
        if node_id is not None or ref is not None:
            seqs = listing.named(self._space, node_id, None if ref is None else check_ref(ref))
            if not seqs:
                raise NotFoundError(f"there is no node {node_id if ref is None else ref}")
        else:
            seqs = listing.matching(self._space, filter_)
        if derived:
            seqs = forgetting.derived_of(self._space, seqs)
        return forgetting.forget(self._space, seqs, dry_run=dry_run, grace=pause)

    def hide(self, node_id: str | None = None, *, ref: Sequence[str] | None = None) -> Node:
        """Take a node out of all answers until `keep` brings it back, and return it; nothing is destroyed."""
        return self._hide(node_id, ref, hidden=True)

    def keep(self, node_id: str | None = None, *, ref: Sequence[str] | None = None) -> Node:
        """Bring a node back that `hide`, or `forget` with a grace that still lasts, took out of answers; return it."""
        return self._hide(node_id, ref, hidden=False)

    def _hide(self, node_id: str | None, ref: Sequence[str] | None, *, hidden: bool) -> Node:
        self._space.check_writable()
        with self._space.read() as connection:
            opened = listing.find(self._space, connection, node_id, ref)
        return forgetting.hide(self._space, opened, hidden, node_id if ref is None else ref)

    # -- the space itself -----------------------------------------------------------------------------------------

    def verify(self, *, full: bool = False, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
        """Check that everything is as it was written; with `full` open every node. An empty list is good news."""
        self._space.check_open()
        return checking.verify(self._space.space, full=full, progress=progress)

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Make everything derived (filters, words, vectors, index) again from the envelopes; return the nodes."""
        self._space.check_writable()
        return checking.rebuild(self._space.space, progress)

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
