"""The embedder that all spaces of a vault share: the one handed in, or the bundled model, loaded when first needed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mimir_vault.embed.embedder import CheckedEmbedder, Embedder


class SharedEmbedder:
    """Makes the embedder once for a vault, however many spaces and threads ask: a loaded model takes 120 MB."""

    def __init__(self, given: Embedder | None) -> None:
        self._given = given
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
