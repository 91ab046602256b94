"""The exact path: int8 vectors in RAM, every one compared with the query; small spaces, the tail, the oracle."""

from __future__ import annotations

from typing import Any

import numkong
import numpy as np
from numpy.typing import NDArray

from mimir_vault.index.quantise import split_rows
from mimir_vault.index.windows import NodeScores, no_scores, reduce_windows

_ROWS_FIRST = 256


class Exact:
    """A growable matrix of int8 vectors with the node each belongs to. Not thread-safe: one lock covers all calls."""

    def __init__(self, dimension: int) -> None:
        """Make an empty matrix for vectors of `dimension` coordinates."""
        if dimension < 1:
            raise ValueError("a vector has at least one coordinate")
        self.dimension = dimension
        self._count = 0
        self._values = np.zeros((_ROWS_FIRST, dimension), np.int8)
        self._scales = np.zeros(_ROWS_FIRST, np.float32)
        self._seqs = np.zeros(_ROWS_FIRST, np.int64)
        self._vids = np.zeros(_ROWS_FIRST, np.int64)
        self._windows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Return the number of vectors."""
        return self._count

    @property
    def memory_bytes(self) -> int:
        """Bytes of RAM the vectors take."""
        return self._values.nbytes + self._scales.nbytes + self._seqs.nbytes + self._vids.nbytes

    @property
    def vids(self) -> NDArray[np.int64]:
        """The numbers of the vectors, (n,), in the order they came."""
        return self._vids[: self._count]

    def add(self, vids: NDArray[np.integer[Any]], seqs: NDArray[np.integer[Any]], rows: NDArray[np.uint8]) -> None:
        """Take vectors in.

        Args:
            vids: number of each vector, (n,); new ones only.
            seqs: the node each belongs to, (n,).
            rows: as stored, uint8 (n, d).

        Raises:
            ValueError: the shapes do not fit.
        """
        if rows.shape != (len(vids), self.dimension) or len(seqs) != len(vids):
            raise ValueError(f"rows must be uint8 of shape ({len(vids)}, {self.dimension})")
        first, count = self._count, self._count + len(vids)
        if count > len(self._scales):
            self._grow(max(2 * len(self._scales), count))
        scales, values = split_rows(rows)
        self._values[first:count] = values
        self._scales[first:count] = scales
        self._seqs[first:count] = seqs
        self._vids[first:count] = vids
        self._count = count
        self._windows = None

    def remove(self, seqs: NDArray[np.integer[Any]] | list[int]) -> int:
        """Take all vectors of nodes out, overwrite them, and return how many there were."""
        keep = np.flatnonzero(~np.isin(self._seqs[: self._count], np.asarray(seqs, np.int64)))
        gone = self._count - len(keep)
        if gone:
            for column in (self._values, self._scales, self._seqs, self._vids):
                column[: len(keep)] = column[keep]
                column[len(keep) : self._count] = 0
            self._count = len(keep)
            self._windows = None
        return gone

    def scores(self, query: NDArray[np.float32]) -> NodeScores:
        """Return the dense score of every node for a unit query (d,), by ascending seq."""
        if not self._count:
            return no_scores()
        seqs = self._seqs[: self._count]
        if self._windows is None:
            _, place, counts = np.unique(seqs, return_inverse=True, return_counts=True)
            self._windows = counts[place]
        return reduce_windows(seqs.copy(), self.cosines(query), self._vids[: self._count].copy(), self._windows)

    def search(
        self, query: NDArray[np.float32], count: int, allowed: NDArray[np.integer[Any]] | None = None
    ) -> NodeScores:
        """Return the `count` best nodes for a unit query (d,), best first; only `allowed` seqs when given."""
        found = self.scores(query)
        if allowed is not None:
            found = found.among(np.isin(found.seqs, allowed))
        return found.best(count)

    def cosines(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosine of a unit query (d,) with every vector, (n,), in the order they came."""
        return dot(self._values[: self._count], query) * self._scales[: self._count]

    def _grow(self, capacity: int) -> None:
        for name in ("_values", "_scales", "_seqs", "_vids"):
            old: NDArray[Any] = getattr(self, name)
            grown = np.zeros((capacity, *old.shape[1:]), old.dtype)
            grown[: self._count] = old[: self._count]
            setattr(self, name, grown)


def dot(values: NDArray[np.int8], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the products of int8 vectors (n, d) with a float query (d,), float32 (n,), exact to about 1e-5.

    The query is split into two int8 vectors, the second for what the first leaves over, so that whole-number kernels
    do the work: 0.1 ms for 10,000 vectors of 384 dimensions instead of 0.5 ms in float32.
    """
    query = np.asarray(query, np.float64)
    coarse_scale = max(float(np.abs(query).max()), 1e-30) / 127
    coarse = np.rint(query / coarse_scale)
    rest = query - coarse * coarse_scale
    fine_scale = max(float(np.abs(rest).max()), 1e-30) / 127
    parts = np.stack([coarse, np.rint(rest / fine_scale)]).astype(np.int8)
    products = np.asarray(numkong.dots_packed(np.ascontiguousarray(values), numkong.dots_pack(parts)))
    joined: NDArray[np.float32] = (products[:, 0] * coarse_scale + products[:, 1] * fine_scale).astype(np.float32)
    return joined
