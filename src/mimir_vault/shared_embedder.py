"""An embedder shared by all who use it: the vault's own, or the bundled model, or one that a view brings along."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mimir_vault.embed.embedder import CheckedEmbedder, Embedder


class SharedEmbedder:
    """Makes the embedder once, however many spaces and threads ask: a loaded model takes 120 MB.

    `is_home` says that it is a space's own embedder, and not one that a view brought along.
    """

    def __init__(self, given: Embedder | None, *, is_home: bool = True) -> None:
        self._given, self.is_home = given, is_home
        self._made: CheckedEmbedder | None = None
        self._probe: bytes | None = None
        self._lock = threading.RLock()

    def get(self) -> CheckedEmbedder:
        """Return the embedder."""
        with self._lock:
            if self._made is None:
                from mimir_vault.embed.embedder import CheckedEmbedder
                from mimir_vault.embed.registry import bundled

                self._made = CheckedEmbedder(self._given if self._given is not None else bundled())
            return self._made

    def probe(self) -> bytes:
        """Return its vector of the probe sentence, float32 bytes; reckoned once."""
        with self._lock:
            if self._probe is None:
                from mimir_vault.embed.embedder import probe

                self._probe = probe(self.get()).astype("<f4").tobytes()
            return self._probe

    def is_of(self, embedder: Embedder) -> bool:
        """Say whether this shares the very object given."""
        return self._given is embedder

    @staticmethod
    def is_like(stored: NDArray[np.float32], ours: NDArray[np.float32]) -> bool:
        """Say whether two vectors of the probe sentence come from one model."""
        from mimir_vault.embed.embedder import PROBE_COSINE

        return stored.shape == ours.shape and float(stored @ ours) >= PROBE_COSINE
