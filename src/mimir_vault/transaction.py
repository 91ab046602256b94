"""A transaction of one thread over a space: every verb joins it, and it is stored as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

from mimir_vault.errors import MimirError
from mimir_vault.space_index import SpaceIndex
from mimir_vault.store.space import SpaceStore
from mimir_vault.store.writer import Writer

NODES_MAX = 10_000
"""Most nodes of one transaction: it holds the write lock of its space to the end."""


class Transaction:
    """Begins at the first verb: what that verb has to embed is embedded before the lock is taken.

    A verb that fails after it began to write, or a block inside that fails, leaves the transaction without effect:
    nothing else is done in it, and it ends with an error even where the caller went on.
    """

    def __init__(self, store: SpaceStore) -> None:
        self._store = store
        self._held = ExitStack()
        self._writer: Writer | None = None
        self._failure: BaseException | None = None
        self._index: SpaceIndex | None = None
        self._nodes = 0
        self.wrote = False
        self.afterwards: list[Callable[[], object]] = []

    def begin(self, bytes_needed: int = 0) -> Writer:
        """Take the lock, if this is the first verb, and return the writer."""
        if self._failure is not None:
            said = _said(self._failure)
            raise MimirError(f"this transaction has failed ({said}); nothing of it is stored; end its block")
        if self._writer is None:
            self._writer = self._held.enter_context(self._store.write(bytes_needed))
        elif bytes_needed:
            self._writer.make_room(bytes_needed)
        return self._writer

    @contextmanager
    def verb(self, bytes_needed: int) -> Iterator[Writer]:
        """Hold the writer for what one verb writes."""
        writer = self.begin(bytes_needed)
        self.wrote = True
        try:
            yield writer
            writer.write_rows()
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._index = None  # Also where the verb itself looked for something: it was made before it wrote.

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Hold a block inside of this one; where it fails nothing is stored, for a part cannot be taken back."""
        try:
            yield
        except BaseException as error:
            self._failure = self._failure or error
            raise

    def count(self, nodes: int) -> None:
        """Count nodes that a verb is about to write, before it does (ValueError above 10,000)."""
        if self._nodes + nodes > NODES_MAX:
            raise ValueError(f"a transaction holds at most {NODES_MAX:,} nodes; remember them in several")
        self._nodes += nodes

    def index(self, shared: SpaceIndex) -> SpaceIndex:
        """Return what to search: the space's index while nothing is written here, else one of this transaction alone.

        Nobody else may see what is not committed, so it is read anew after each writing verb: 0.3 s for 100,000 nodes.
        """
        if not self.wrote:
            return shared
        if self._index is None:
            self._index = SpaceIndex()
        return self._index

    def end(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Commit, or roll everything back where the block or one of its verbs failed.

        Where nothing was written there is nothing to commit: the generation stays.
        """
        failure = error or self._failure
        if failure is not None:
            self._held.__exit__(type(failure), failure, failure.__traceback__)
            if error is None:
                raise MimirError(f"nothing of this transaction is stored: {_said(failure)}") from failure
        elif self.wrote:
            self._held.close()
        else:
            nothing = _NothingWritten()
            self._held.__exit__(type(nothing), nothing, None)


class _NothingWritten(Exception):
    """Rolls back a transaction that only read."""


def _said(error: BaseException) -> str:
    """Return what an error says, or what it is called where it says nothing."""
    return str(error) or type(error).__name__
