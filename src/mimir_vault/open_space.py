"""An open space: its store, its embedder, its index in memory and its upkeep, shared by all memories of it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

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
from mimir_vault.upkeep import Upkeep

if TYPE_CHECKING:
    from mimir_vault.embed.embedder import CheckedEmbedder


class OpenSpace:
    """What memories of one space share. Threads may use it at once."""

    def __init__(self, name: str, store: SpaceStore, clock: Clock, embedder: SharedEmbedder) -> None:
        self.name, self.store, self.clock = name, store, clock
        self.index = SpaceIndex()
        self.upkeep = Upkeep(store, self.index, clock)
        self._shared = embedder
        self._model: Model | None = None
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

    @property
    def embedder(self) -> CheckedEmbedder:
        """What turns text into vectors here."""
        return self._shared.get()

    def model(self, connection: apsw.Connection) -> Model | None:
        """Return the model whose vectors the space holds, None while it holds none.

        Raises:
            ModelMismatchError: the embedder at hand is not the one that made them.
        """
        if self._model is None:
            found = vectors.models(connection)
            if not found:
                return None
            with self._lock:
                self._check(found[0])
                self._model = found[0]
        return self._model

    def know_embedder(self) -> None:
        """Reckon the embedder's vector of the probe sentence, so that no transaction has to wait for it."""
        self._shared.probe()

    def has_model(self) -> bool:
        """Say whether the space holds vectors, made by the embedder at hand (ModelMismatchError otherwise)."""
        if self._model is not None:
            return True
        with self.store.read() as connection:
            return self.model(connection) is not None

    def _check(self, model: Model) -> None:
        from mimir_vault.embed.embedder import PROBE_COSINE

        embedder = self.embedder
        stored, ours = (np.frombuffer(probe, "<f4") for probe in (model.probe, self._shared.probe()))
        same = embedder.name == model.name and stored.shape == ours.shape and float(stored @ ours) >= PROBE_COSINE
        if not same:
            raise ModelMismatchError(
                f"space {self.name} holds vectors of the model {model.name} ({model.dimension} dimensions), the "
                f"embedder at hand is {embedder.name} ({embedder.dimension}); hand in the one that made them"
            )

    def new_model(self, connection: apsw.Connection) -> Model:
        """Inside a write transaction: return the space's model; the embedder at hand becomes it where there is none."""
        model = self.model(connection)
        if model is None:
            embedder = self.embedder
            digest = str(getattr(embedder.inner, "digest", ""))
            model = vectors.put_model(connection, embedder.name, embedder.dimension, digest, self._shared.probe())
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
