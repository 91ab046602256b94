"""What an embedder is, and the wrapper that lets no bad vector pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mimir_vault.embed.windows import Window

Vectors = NDArray[np.float32]

PROBE_SENTENCE = "Ada keeps the seat by the window, and the night train leaves for Trieste at nine."
"""A space keeps this sentence's vector, so that an embedder is known by what it does and not by its name."""

PROBE_COSINE = 0.995
"""Probes of one model stay above this; 0.9978 was the least seen between versions of the runtime (decision 0001)."""

MAX_DIMENSION = 65_536
"""More dimensions than any model has; a larger number is a slip."""

VECTORS_MAX = 255
"""Most vectors of one node; more are a text that should be several."""


class Embedder(Protocol):
    """Turns texts into vectors; may also have `embed_query(text) -> (d,)` where questions are embedded differently."""

    @property
    def name(self) -> str:
        """The model's name, as people know it."""

    @property
    def dimension(self) -> int:
        """The number d of components of each vector."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector per text, in order: float32 (n, d)."""


class CheckedEmbedder:
    """An embedder whose vectors are unit vectors of the right shape, whoever wrote the one inside."""

    def __init__(self, inner: Embedder) -> None:
        """Take any embedder.

        Raises:
            TypeError: it has no name, dimension or embed().
            ValueError: its name is empty or its dimension no number of components.
        """
        name, dimension = getattr(inner, "name", None), getattr(inner, "dimension", None)
        if not isinstance(name, str) or not callable(getattr(inner, "embed", None)):
            raise TypeError("An embedder needs .name, .dimension and .embed(texts).")
        if not name.strip():
            raise ValueError("An embedder needs a name that is not empty.")
        if isinstance(dimension, bool) or not isinstance(dimension, int | np.integer):
            raise TypeError(f"The dimension of embedder {name!r} must be an integer, not {dimension!r}.")
        if not 1 <= dimension <= MAX_DIMENSION:
            raise ValueError(f"The dimension of embedder {name!r} must be 1 to {MAX_DIMENSION}, not {dimension}.")
        self.inner = inner
        self.name = name
        self.dimension = int(dimension)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text: float32 (n, d), a new array.

        Raises:
            TypeError: a text is no str, or texts is itself one str.
            ValueError: the embedder gave another shape, no numbers, NaN, infinity or a zero vector.
        """
        batch = list_of_texts(texts)
        if not batch:
            return np.empty((0, self.dimension), np.float32)
        return self._checked(self.inner.embed(batch), len(batch))

    def embed_query(self, text: str) -> Vectors:
        """Return the unit vector (d,) of a question; the same errors as embed()."""
        special: Callable[[str], object] | None = getattr(self.inner, "embed_query", None)
        if special is None:
            return self._row(self.embed([text]))
        (question,) = list_of_texts([text])
        vector = np.asarray(special(question))
        return self._row(self._checked(vector[None] if vector.ndim == 1 else vector, 1))

    def check(self, given: object, name: str) -> Vectors:
        """Return vectors that a caller gives in place of ours, (d,) or (n, d), as unit vectors, float32 (n, d).

        Raises:
            ValueError: another shape, no vector, no numbers, NaN, infinity or a zero vector.
        """
        try:
            vectors = np.asarray(given)
        except ValueError:
            vectors = np.empty(0, object)
        rows = vectors[None] if vectors.ndim == 1 else vectors
        if rows.ndim != 2 or not len(rows) or rows.shape[1] != self.dimension or rows.dtype.kind not in "fiu":
            raise ValueError(
                f"{name} has shape {vectors.shape} of {vectors.dtype}; give numbers of shape ({self.dimension},) or "
                f"(n, {self.dimension}), as embedder {self.name!r} does"
            )
        if len(rows) > VECTORS_MAX:
            raise ValueError(f"{name} has {len(rows):,} vectors, the most is {VECTORS_MAX}")
        return _unit(rows, name)

    def windows(self, text: str, prefix: str = "", suffix: str = "") -> list[Window]:
        """Return the parts [start, end) to embed one by one: the whole text where the embedder has no windows()."""
        cut: Callable[[str, str, str], list[Window]] | None = getattr(self.inner, "windows", None)
        return [(0, len(text))] if cut is None else cut(text, prefix, suffix)

    def _checked(self, given: object, count: int) -> Vectors:
        vectors = np.asarray(given)
        if vectors.shape != (count, self.dimension) or vectors.dtype.kind not in "fiu":
            needed = (count, self.dimension)
            raise ValueError(
                f"Embedder {self.name!r} gave {vectors.dtype} {vectors.shape}; it must give numbers of shape {needed}."
            )
        return _unit(vectors, f"Embedder {self.name!r}")

    @staticmethod
    def _row(vectors: Vectors) -> Vectors:
        row: Vectors = vectors[0]
        return row


def _unit(vectors: NDArray[Any], giver: str) -> Vectors:
    """Return vectors (n, d) at length 1, float32; refuse those that have no direction."""
    # In float64 neither the largest nor the smallest float32 loses its length.
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise ValueError(f"{giver} gave a vector with NaN or infinity in it.")
    if not lengths.all():
        raise ValueError(f"{giver} gave a zero vector, which has no direction.")
    unit: Vectors = (wide / lengths).astype(np.float32)
    return unit


def list_of_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts as a list; raises TypeError where one is no str, or where texts is a bare str."""
    if isinstance(texts, str):
        raise TypeError("embed() takes a sequence of texts; put a single text into a list.")
    batch = list(texts)
    for text in batch:
        if not isinstance(text, str):
            raise TypeError(f"embed() takes texts, not {type(text).__name__}.")
    return batch


def probe(embedder: Embedder) -> Vectors:
    """Return the unit vector (d,) of the probe sentence; the same errors as CheckedEmbedder."""
    vector: Vectors = CheckedEmbedder(embedder).embed([PROBE_SENTENCE])[0]
    return vector
