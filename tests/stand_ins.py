"""Stand-ins for what a vault is handed: a cheap embedder and a clock that steps; needs nothing of pytest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FIRST_MOMENT = 1_777_593_600_000_000
"""Where a stepping clock begins: 2026-05-01 00:00 UTC, in microseconds since 1970."""
SECOND = 1_000_000


class HashEmbedder:
    """Unit vectors made of hashes: the same text has the same vector everywhere, texts that share words lie close."""

    def __init__(self, dimension: int = 64, name: str | None = None) -> None:
        """Take the number of components, and a name where "hash-64" (by the dimension) will not do."""
        self.dimension = dimension
        self.name = name or f"hash-{dimension}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text: float32 (n, d)."""
        rows = np.array([self._sum(text) for text in texts], np.float32).reshape(len(texts), self.dimension)
        unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def _sum(self, text: str) -> NDArray[np.float32]:
        total = 0.25 * _hashed("whole " + text, self.dimension)
        for word in text.lower().split():
            total = total + _hashed("word " + word.strip('.,;:!?"'), self.dimension)
        return total


@lru_cache(maxsize=65_536)
def _hashed(text: str, dimension: int) -> NDArray[np.float32]:
    """Return a vector of odd numbers (never zero) that the text alone determines."""
    seed = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(dimension)
    return 2 * np.frombuffer(seed, np.uint8).astype(np.float32) - 255


class SteppingClock:
    """A clock that goes on by `step` microseconds each time it is asked, and by `advance` at will."""

    def __init__(self, start: int = FIRST_MOMENT, step: int = SECOND) -> None:
        """Take microseconds since 1970 and the step; a step of 0 is a clock that stands."""
        self.moment, self.step = start, step

    def now(self) -> int:
        """Return the moment and step on."""
        moment = self.moment
        self.moment += self.step
        return moment

    def advance(self, seconds: float) -> None:
        """Go on by so many seconds, back when negative."""
        self.moment += round(seconds * SECOND)
