"""The sketch: an HNSW graph over 1-bit codes in RAM that gives the candidates of the dense lane."""

from __future__ import annotations

import hashlib
import struct
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray
from usearch.compiled import MetricKind, ScalarKind
from usearch.index import Index

from mimir_vault.errors import FormatError

Vids = NDArray[np.int64]

CONNECTIVITY = 16
EXPANSION_ADD = 128
EXPANSION_SEARCH = 64
"""Links per node, and how many candidates adding and searching keep open; measured in docs/decisions/0004-index.md."""
PORTION = 32
"""So many codes are added at a time while the lock is held, so that a search waits a few ms at most."""

_HEAD = struct.Struct("<4sHHQQ32s")
_MAGIC = b"MSK1"
_VERSION = 1
_MATRIX_HEAD = struct.Struct("<II")
_USEARCH_HEAD_BYTES = 64
_GRAPH_HEAD = struct.Struct("<QQQQQ")
_NODE_HEAD_BYTES = 10
_FREE_KEY = (1 << 64) - 1


class Sketch:
    """Vectors as codes of one bit per dimension, found by their vid (the number of a stored vector).

    All methods may be called from several threads: one lock guards the graph, `add` gives it up after every `PORTION`
    codes. Searching takes the lock too, because usearch moves its arrays when it grows.
    """

    def __init__(self, code_bytes: int) -> None:
        """Make an empty sketch for codes of `code_bytes` bytes (a multiple of 8, as `Frozen.codes` gives)."""
        if code_bytes <= 0 or code_bytes % 8:
            raise ValueError("a code has a whole number of 8-byte words")
        self.code_bytes = code_bytes
        self._index = _new_index(code_bytes)
        self._lock = threading.Lock()
        self._removed = 0
        self._image_id = b""
        self._saved_keys = np.empty(0, np.uint64)
        self._saved_slots = np.empty(0, np.int64)

    def __len__(self) -> int:
        """Return the number of vectors that can be found."""
        return len(self._index)

    def __contains__(self, vid: int) -> bool:
        """Say whether a vector is in the sketch."""
        with self._lock:
            return bool(self._index.contains(int(vid)))

    @property
    def removed_share(self) -> float:
        """Removed codes as a share of all that the graph holds; above 0.2 it should be built anew."""
        return self._removed / max(1, self._removed + len(self._index))

    @property
    def memory_bytes(self) -> int:
        """Bytes the graph takes in RAM, as usearch counts them."""
        return int(self._index.memory_usage)

    @property
    def image_id(self) -> bytes:
        """Names the image last saved or loaded (32 bytes), empty before; an erasure in place does not change it."""
        return self._image_id

    def add(self, vids: NDArray[np.integer[Any]], codes: NDArray[np.uint8]) -> None:
        """Take vectors in: vids (n,) and their codes uint8 (n, code_bytes); vids that are there already are left.

        Raises:
            ValueError: the shapes do not fit, or a vid is negative.
        """
        vids = np.asarray(vids, np.int64)
        if codes.dtype != np.uint8 or codes.shape != (len(vids), self.code_bytes):
            raise ValueError(f"codes must be uint8 of shape ({len(vids)}, {self.code_bytes})")
        if len(vids) and int(vids.min()) < 0:
            raise ValueError("vids are not negative")
        for first in range(0, len(vids), PORTION):
            keys = vids[first : first + PORTION].astype(np.uint64)
            portion = codes[first : first + PORTION]
            with self._lock:
                fresh = ~np.atleast_1d(self._index.contains(keys))
                if fresh.any():
                    self._index.add(keys[fresh], portion[fresh], threads=1)
                    self._removed = max(0, self._removed - int(fresh.sum()))  # usearch fills free slots first

    def search(self, code: NDArray[np.uint8], count: int) -> tuple[Vids, NDArray[np.int64]]:
        """Return the vids nearest to a code (code_bytes,) and their Hamming distances, nearest first, at most `count`.

        Approximate: with 200 candidates the ten best by cosine are among them in 98 of 100 cases.
        """
        with self._lock:
            if not len(self._index) or count < 1:
                return np.empty(0, np.int64), np.empty(0, np.int64)
            found = self._index.search(code, min(count, len(self._index)), threads=1)
        return found.keys.astype(np.int64), found.distances.astype(np.int64)

    def remove(self, vids: NDArray[np.integer[Any]] | list[int]) -> int:
        """Take vectors out and return how many were there; `save` gives their codes as zeros."""
        keys = np.asarray(vids, np.int64).ravel().astype(np.uint64)
        with self._lock:
            if not len(keys) or not len(self._index):
                return 0
            before = len(self._index)
            self._index.remove(keys)
            gone = before - len(self._index)
            self._removed += gone
            return gone

    def save(self) -> bytearray:
        """Return the image of the sketch; the codes of removed vectors in it are zeros.

        Layout, little-endian: magic, format 1, bytes per code, count of slots, length of the graph, SHA-256 of the
        graph; then the codes of all slots; then the graph as usearch writes it.
        """
        with self._lock:
            raw = bytes(self._index.save() or b"")
            places = _parse(raw, self.code_bytes)
            if places is None:
                raise FormatError("this version of usearch writes an unknown layout; install the one Mimir names")
            keys, graph_at = places
            slots = len(keys)
            free = np.flatnonzero(keys == np.uint64(_FREE_KEY))
            matrix = np.frombuffer(raw, np.uint8, slots * self.code_bytes, _MATRIX_HEAD.size)
            matrix = matrix.reshape(slots, self.code_bytes).copy()
            matrix[free] = 0
            graph = raw[graph_at:]
            self._removed = len(free)
            self._note(keys, hashlib.sha256(graph).digest())
        head = _HEAD.pack(_MAGIC, _VERSION, self.code_bytes, slots, len(graph), self._image_id)
        return bytearray(head) + matrix.tobytes() + graph

    @classmethod
    def load(cls, image: bytes | bytearray | memoryview) -> Sketch:
        """Return the sketch of an image.

        Everything usearch relies on is checked before it sees the bytes, because it would crash on damaged ones.

        Raises:
            FormatError: the bytes are no image that `save` wrote.
        """
        refused = FormatError("the saved sketch does not decode; it is made anew by mimir rebuild")
        view = memoryview(image)
        code_bytes, slots, graph = _split(view, refused)
        raw = bytearray(_MATRIX_HEAD.pack(slots, code_bytes))
        raw += view[_HEAD.size : _HEAD.size + slots * code_bytes]
        raw += graph
        places = _parse(raw, code_bytes)
        if places is None or len(places[0]) != slots:
            raise refused
        sketch = cls(code_bytes)
        if slots:
            try:
                sketch._index.load(raw)
            except (RuntimeError, ValueError):
                raise refused from None
        sketch._note(places[0], hashlib.sha256(graph).digest())
        sketch._removed = int((places[0] == np.uint64(_FREE_KEY)).sum())
        return sketch

    def code_places(self, vids: NDArray[np.integer[Any]] | list[int]) -> list[tuple[int, int]]:
        """Return where codes lie in the image last saved or loaded: (offset, length) for each vid that is in it.

        Zeros written there are a valid image still; `load` it, then `remove` the vids again.
        """
        return _places(self._saved_keys, self._saved_slots, vids, self.code_bytes)

    @staticmethod
    def image_places(
        image: bytes | bytearray | memoryview, vids: NDArray[np.integer[Any]] | list[int]
    ) -> list[tuple[int, int]]:
        """Return the same as `code_places`, for an image that this sketch did not write.

        Raises:
            FormatError: the bytes are no image that `save` wrote.
        """
        sketch = Sketch.load(image)
        return sketch.code_places(vids)

    def _note(self, keys: NDArray[np.uint64], image_id: bytes) -> None:
        """Remember which slot of the image holds which vid."""
        slots = np.flatnonzero(keys != np.uint64(_FREE_KEY))
        order = np.argsort(keys[slots])
        self._saved_slots = slots[order]
        self._saved_keys = keys[self._saved_slots]
        self._image_id = image_id


def image_id(head: bytes | bytearray | memoryview) -> bytes:
    """Return the id of an image from its first bytes (64 are enough), empty when it is none."""
    if len(head) < _HEAD.size:
        return b""
    magic, _, _, _, _, digest = _HEAD.unpack_from(head)
    return bytes(digest) if magic == _MAGIC else b""


def _new_index(code_bytes: int) -> Index:
    return Index(
        ndim=8 * code_bytes,
        metric=MetricKind.Hamming,
        dtype=ScalarKind.B1,
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSION_SEARCH,
    )


def _split(view: memoryview, refused: FormatError) -> tuple[int, int, bytes]:
    if len(view) < _HEAD.size:
        raise refused
    magic, version, code_bytes, slots, graph_bytes, digest = _HEAD.unpack_from(view)
    if magic != _MAGIC or not code_bytes or code_bytes % 8:
        raise refused
    if version != _VERSION:
        raise FormatError(f"the saved sketch has format {version}, this version knows {_VERSION}; update Mimir")
    if len(view) != _HEAD.size + slots * code_bytes + graph_bytes:
        raise refused
    graph = bytes(view[_HEAD.size + slots * code_bytes :])
    if hashlib.sha256(graph).digest() != digest:
        raise refused
    return code_bytes, slots, graph


def _parse(raw: bytes | bytearray, code_bytes: int) -> tuple[NDArray[np.uint64], int] | None:
    """Return the key of every slot and where the graph begins in what usearch saved, None for an unknown layout.

    usearch writes: rows and bytes per row (two uint32), the rows, a head of 64 bytes, five uint64 (size, links per
    node, links on the lowest level, highest level, entry), a level per node (int16), then per node its key (uint64),
    level (int16) and on each level a count and room for the links (uint32 each).
    """
    if len(raw) < _MATRIX_HEAD.size:
        return None
    slots, width = _MATRIX_HEAD.unpack_from(raw)
    graph_at = _MATRIX_HEAD.size + slots * width
    levels_at = graph_at + _USEARCH_HEAD_BYTES + _GRAPH_HEAD.size
    if (slots and width != code_bytes) or len(raw) < levels_at or bytes(raw[graph_at : graph_at + 7]) != b"usearch":
        return None
    size, links, links_base, _, _ = _GRAPH_HEAD.unpack_from(raw, graph_at + _USEARCH_HEAD_BYTES)
    nodes_at = levels_at + 2 * slots
    if size != slots or len(raw) < nodes_at or links > 1_024 or links_base > 2_048:
        return None
    levels = np.frombuffer(raw, "<i2", slots, levels_at).astype(np.int64)
    sizes = _NODE_HEAD_BYTES + 4 * (links_base + 1) + levels * 4 * (links + 1)
    if len(raw) != nodes_at + int(sizes.sum()) or (slots and int(levels.min()) < 0):
        return None
    starts = nodes_at + np.cumsum(sizes) - sizes
    flat = np.frombuffer(raw, np.uint8)
    keys = flat[starts[:, None] + np.arange(8)].view("<u8").ravel() if slots else np.empty(0, np.uint64)
    return keys.astype(np.uint64), graph_at


def _places(
    keys: NDArray[np.uint64], slots: NDArray[np.int64], vids: NDArray[np.integer[Any]] | list[int], code_bytes: int
) -> list[tuple[int, int]]:
    wanted = np.asarray(vids, np.int64).ravel().astype(np.uint64)
    if not len(keys):
        return []
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = keys[places] == wanted
    return [(_HEAD.size + int(slot) * code_bytes, code_bytes) for slot in slots[places[found]]]
