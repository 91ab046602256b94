"""An open space: its store, its embedder, its index in memory and its upkeep, shared by all memories of it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import apsw
import numpy as np

from mimir_vault.errors import LockedError, ModelMismatchError
from mimir_vault.model.clock import Clock
from mimir_vault.recall.terms import forget_words
from mimir_vault.shared_embedder import SharedEmbedder
from mimir_vault.space_index import SpaceIndex
from mimir_vault.store import vectors
from mimir_vault.store.space import SpaceStore
from mimir_vault.store.vectors import Model
from mimir_vault.store.writer import Writer
from mimir_vault.surroundings import Random
from mimir_vault.transaction import Transaction
from mimir_vault.upkeep import Upkeep

if TYPE_CHECKING:
    from mimir_vault.embed.embedder import Embedder

BROUGHT_MAX = 16
"""Embedders of views whose probes are remembered; a server may make many views with few embedders."""


class OpenSpace:
    """What memories of one space share. Threads may use it at once."""

    def __init__(self, name: str, store: SpaceStore, clock: Clock, random: Random, embedder: SharedEmbedder) -> None:
        self.name, self.store, self.clock, self.random = name, store, clock, random
        self.index = SpaceIndex()
        self.upkeep = Upkeep(store, self.index, clock)
        self.embedder = embedder
        self._models: WeakKeyDictionary[SharedEmbedder, Model] = WeakKeyDictionary()
        self._brought: deque[SharedEmbedder] = deque(maxlen=BROUGHT_MAX)
        self._transactions = threading.local()
        self._lock = threading.RLock()
        self._closed = False
        self._process = os.getpid()

    def check_open(self) -> None:
        """Raise LockedError when the space was closed, or belongs to the process this one was forked from.

        That comes before any lock is taken: in a forked child a lock may be held by a thread that is not there.
        """
        if self._process != os.getpid():
            raise LockedError("this process was forked; open the vault again in the child")
        if self._closed:
            raise LockedError(f"space {self.name} is closed; open the vault again")

    # -- reading and writing --------------------------------------------------------------------------------------

    @property
    def transaction(self) -> Transaction | None:
        """The transaction of this thread, None where there is none."""
        found: Transaction | None = getattr(self._transactions, "current", None)
        return found

    @contextmanager
    def transact(self) -> Iterator[None]:
        """Make all verbs of this thread one transaction; inside of one, join it."""
        self.check_open()
        if self.transaction is not None:
            with self.transaction.joined():
                yield
            return
        transaction = self._transactions.current = Transaction(self.store)
        error: BaseException | None = None
        try:
            yield
        except BaseException as caught:
            error = caught
            raise
        finally:
            self._transactions.current = None
            transaction.end(type(error) if error is not None else None, error, None)
        if transaction.wrote:
            self.upkeep.wrote()
            for action in transaction.afterwards:
                action()

    def check_no_transaction(self, verb: str) -> None:
        """Raise ValueError inside a transaction of this thread: what it has written so far is not whole."""
        if self.transaction is not None:
            raise ValueError(f"{verb} works on what is stored; call it outside of the transaction")

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """Hold one consistent state for a block of reads."""
        if self.transaction is not None:
            self.transaction.begin()
        with self.store.read() as connection:
            yield connection

    @contextmanager
    def search(self, embedder: SharedEmbedder | None) -> Iterator[tuple[apsw.Connection, SpaceIndex]]:
        """Hold one consistent state and an index of it, with the vectors of an embedder where one is given."""
        with self.read() as connection:
            index = self.index if self.transaction is None else self.transaction.index(self.index)
            with index.lock:
                index.refresh(connection, self.model(connection, embedder) if embedder is not None else None)
                yield connection, index

    @contextmanager
    def write(self, bytes_needed: int = 0) -> Iterator[Writer]:
        """Hold the write lock for a block: what it did is durable when the block has ended, or with its transaction."""
        if self.transaction is not None:
            with self.transaction.verb(bytes_needed) as writer:
                yield writer
            return
        with self.store.write(bytes_needed) as writer:
            yield writer

    def brought(self, embedder: Embedder) -> SharedEmbedder:
        """Return an embedder that a view brings along, shared by all views that bring the same one."""
        with self._lock:
            found = next((one for one in self._brought if one.is_of(embedder)), None)
            if found is None:
                found = SharedEmbedder(embedder, is_home=False)
                found.get()  # What is no embedder is refused now.
                self._brought.append(found)
            return found

    # -- models ---------------------------------------------------------------------------------------------------

    def model(self, connection: apsw.Connection, embedder: SharedEmbedder) -> Model | None:
        """Return the model of an embedder whose vectors the space holds, None while it holds none.

        Raises:
            ModelMismatchError: another embedder of that name made them; or this is the vault's own embedder, and the
                space has another one.
        """
        known = self._models.get(embedder)
        if known is not None:
            return known
        held = vectors.models(connection)
        if not held:
            return None
        name = embedder.get().name
        found = next((one for one in held if one.name == name), None)
        if found is None:
            home = next((one for one in held if one.home), None)
            if home is not None and embedder.is_home:
                raise self._mismatch(home, embedder)
            return None
        stored, ours = (np.frombuffer(probe, "<f4") for probe in (found.probe, embedder.probe()))
        if not embedder.is_like(stored, ours):
            raise self._mismatch(found, embedder)
        if self.transaction is None or not self.transaction.wrote:  # What a rollback takes back must not be kept.
            self._models[embedder] = found
        return found

    def _mismatch(self, model: Model, embedder: SharedEmbedder) -> ModelMismatchError:
        given = embedder.get()
        return ModelMismatchError(
            f"space {self.name} holds vectors of the model {model.name} ({model.dimension} dimensions), the "
            f"embedder at hand is {given.name} ({given.dimension}); hand in the one that made them"
        )

    def has_model(self, embedder: SharedEmbedder) -> bool:
        """Say whether the space holds vectors of an embedder (ModelMismatchError as `model`)."""
        if embedder in self._models:
            return True
        with self.read() as connection:
            return self.model(connection, embedder) is not None

    def new_model(self, connection: apsw.Connection, embedder: SharedEmbedder) -> Model:
        """Inside a write transaction: return the model of an embedder, noting it where the space has none of it yet."""
        model = self.model(connection, embedder)
        if model is None:
            given = embedder.get()
            digest = str(getattr(given.inner, "digest", ""))
            model = vectors.put_model(
                connection, given.name, given.dimension, digest, embedder.probe(), home=embedder.is_home
            )
        return model

    def close(self) -> None:
        """Finish the upkeep, close the file at its size class and forget keys and index; in a forked child, nothing."""
        if self._process != os.getpid():
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.upkeep.stop()
        self.store.close()
        self.index.clear()
        forget_words()
