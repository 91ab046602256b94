"""Quantising: unit vectors as int8 rows with a scale each, and as 1-bit codes after centring and rotation."""

from __future__ import annotations

import hashlib
import struct
from functools import cached_property
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import FormatError

Vectors = NDArray[np.float32]
Codes = NDArray[np.uint8]

_INT8_MAX = 127
FROZEN_FROM = 1_000
"""So many vectors of a model are needed to learn its mean; fewer are searched exactly."""
ROTATION_SEED = 1
"""Seed of the rotation for every model; it is stored with the mean, so another may come."""
QUERY_MEAN_KEPT = 0.5
"""Share of the mean that stays in a query."""
_FROZEN_HEAD = struct.Struct("<4sHIH")
_FROZEN_MAGIC = b"MFZ1"


def to_rows(vectors: Vectors) -> NDArray[np.uint8]:
    """Return unit vectors (n, d) as stored rows, uint8 (n, d): int8 values, of which the largest is 127.

    No scale is stored: a vector has length 1, so its scale is one over the length of its row. The cosine of a row with
    its vector is above 0.9999 for MiniLM.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), np.float32(1e-12))
    values: NDArray[np.int8] = np.rint(vectors * (_INT8_MAX / largest)).astype(np.int8)
    return values.view(np.uint8)


def split_rows(rows: NDArray[np.uint8]) -> tuple[Vectors, NDArray[np.int8]]:
    """Return the scales, float32 (n,), and the values, int8 (n, d), of stored rows (n, d)."""
    values = rows.view(np.int8)
    wide = values.astype(np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    scales: Vectors = (1 / np.maximum(lengths, 1)).astype(np.float32)
    return scales, values


def from_rows(rows: NDArray[np.uint8]) -> Vectors:
    """Return the unit vectors of stored rows, float32 (n, d)."""
    scales, values = split_rows(rows)
    return values.astype(np.float32) * scales[:, None]


def cosines(query: Vectors, rows: NDArray[np.uint8]) -> Vectors:
    """Return the cosine of a unit query (d,) with each stored row, float32 (n,)."""
    values = rows.view(np.int8).astype(np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", values, values))
    scores: Vectors = (values @ query.astype(np.float32, copy=False)) / np.maximum(lengths, 1)
    return scores


class Frozen:
    """What turns vectors of one model into codes: the mean that is taken off and the rotation. It never changes."""

    def __init__(self, mean: Vectors, seed: int = ROTATION_SEED) -> None:
        """Take a mean (d,), kept as float16 so that what is stored gives the same codes, and a rotation's seed."""
        self.mean: Vectors = np.asarray(mean, np.float32).astype(np.float16).astype(np.float32)
        if self.mean.ndim != 1 or not len(self.mean) or not np.isfinite(self.mean).all():
            raise ValueError("a mean is a vector of finite numbers")
        self.seed = int(seed)

    @classmethod
    def learn(cls, vectors: Vectors, seed: int = ROTATION_SEED) -> Frozen:
        """Return what the first vectors (n, d) of a model teach; `FROZEN_FROM` of them are enough."""
        return cls(np.asarray(vectors, np.float32).mean(axis=0), seed)

    @classmethod
    def shipped(cls, model: str) -> Frozen | None:
        """Return what is shipped for a model by its name in `assets/`, or None where it has to be learned."""
        asset = resources.files("mimir_vault.index").joinpath("assets", f"{model}.frozen")
        return cls.from_bytes(asset.read_bytes()) if asset.is_file() else None

    def to_bytes(self) -> bytes:
        """Return the bytes to keep: magic, format 1, seed, dimension, then the mean as float16."""
        return _FROZEN_HEAD.pack(_FROZEN_MAGIC, 1, self.seed, len(self.mean)) + self.mean.astype("<f2").tobytes()

    @classmethod
    def from_bytes(cls, kept: bytes) -> Frozen:
        """Return what `to_bytes` wrote.

        Raises:
            FormatError: the bytes are not of that form.
        """
        refused = FormatError("the frozen mean of a model does not decode; run mimir rebuild")
        if len(kept) < _FROZEN_HEAD.size:
            raise refused
        magic, version, seed, dimension = _FROZEN_HEAD.unpack_from(kept)
        if magic != _FROZEN_MAGIC or version != 1 or len(kept) != _FROZEN_HEAD.size + 2 * dimension or not dimension:
            raise refused
        mean = np.frombuffer(kept, "<f2", offset=_FROZEN_HEAD.size).astype(np.float32)
        if not np.isfinite(mean).all():
            raise refused
        return cls(mean, seed)

    @property
    def dimension(self) -> int:
        """The dimension of the vectors."""
        return len(self.mean)

    @property
    def code_bytes(self) -> int:
        """Bytes of one code: a bit for each dimension, filled up to whole bytes of eight."""
        return -(-self.dimension // 64) * 8

    def codes(self, vectors: NDArray[Any]) -> Codes:
        """Return the codes of vectors (n, d) or (d,): uint8 (n, code_bytes) or (code_bytes,), bit 1 for above 0."""
        given = np.asarray(vectors, np.float32)
        rotated = (np.atleast_2d(given) - self.mean) @ self._rotation
        bits = np.packbits(rotated > 0, axis=1)
        codes = np.zeros((len(bits), self.code_bytes), np.uint8)
        codes[:, : bits.shape[1]] = bits
        return codes[0] if given.ndim == 1 else codes

    def query_code(self, vector: Vectors) -> Codes:
        """Return the code that a query (d,) is compared by: that of a vector half way to the mean.

        Stored texts are embedded as `X said, "…"`, questions bare, so their mean is another one and taking off that of
        the texts turns them too far (docs/decisions/0004-index.md has what other shares find).
        """
        return self.codes(np.asarray(vector, np.float32) + self.mean * np.float32(QUERY_MEAN_KEPT))

    @cached_property
    def _rotation(self) -> Vectors:
        return rotation(self.dimension, self.seed)


def rotation(dimension: int, seed: int) -> Vectors:
    """Return a scaled rotation, float32 (d, d): random signs, a random order, Hadamard matrices along the diagonal.

    Every entry is -1, 0 or 1 and comes from SHAKE-256, so each machine and each version of NumPy makes the same one.
    The blocks are as large as the greatest power of two in the dimension (128 for 384).
    """
    block = dimension & -dimension
    hadamard = np.ones((1, 1), np.float32)
    while len(hadamard) < block:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    stream = hashlib.shake_256(b"mimir rotation" + struct.pack("<II", dimension, seed)).digest(9 * dimension)
    order = np.argsort(np.frombuffer(stream, "<u8", dimension), kind="stable")
    signs = np.where(np.frombuffer(stream, np.uint8, dimension, 8 * dimension) & 1, 1, -1).astype(np.float32)
    matrix = np.zeros((dimension, dimension), np.float32)
    matrix[order] = np.kron(np.eye(dimension // block, dtype=np.float32), hadamard)
    return matrix * signs[:, None]
