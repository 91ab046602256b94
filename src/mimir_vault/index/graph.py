"""The graph: an HNSW over 1-bit codes (usearch), packed without the codes so that they are stored and erased once."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

# isort: off
import mimir_vault.offline_onnxruntime  # noqa: F401  (has to come before usearch, or the process crashes)
from usearch.compiled import MetricKind, ScalarKind
from usearch.index import Index
# isort: on

from mimir_vault.errors import FormatError

CONNECTIVITY = 16
EXPANSION_ADD = 128
EXPANSION_SEARCH = 64
"""Links per node, and how many candidates adding and searching keep open; measured in docs/decisions/0004-index.md."""

_MATRIX_HEAD = struct.Struct("<II")
_USEARCH_HEAD_BYTES = 64
_GRAPH_HEAD = struct.Struct("<QQQQQ")
_NODE_HEAD_BYTES = 10
_LINKS_MAX = 2_048
FREE_KEY = (1 << 64) - 1
"""The key of a slot whose vector was removed."""


class Graph:
    """Codes found by vid in logarithmic time. Not thread-safe: usearch moves its arrays when it grows."""

    def __init__(self, code_bytes: int) -> None:
        self.code_bytes = code_bytes
        self._index = Index(
            ndim=8 * code_bytes,
            metric=MetricKind.Hamming,
            dtype=ScalarKind.B1,
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
            expansion_search=EXPANSION_SEARCH,
        )

    def __len__(self) -> int:
        return len(self._index)

    @property
    def memory_bytes(self) -> int:
        """Bytes of RAM, as usearch counts them."""
        return int(self._index.memory_usage)

    def add(self, vids: NDArray[np.int64], codes: NDArray[np.uint8]) -> None:
        """Take new vids (n,) with their codes uint8 (n, code_bytes) in; about 0.15 ms each."""
        self._index.add(vids.astype(np.uint64), np.ascontiguousarray(codes), threads=1)

    def remove(self, vids: NDArray[np.int64]) -> None:
        """Take vids out; their places go on leading searches to others."""
        self._index.remove(vids.astype(np.uint64))

    def search(self, code: NDArray[np.uint8], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return vids and Hamming distances of the codes nearest to one (code_bytes,), nearest first."""
        if not len(self._index):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        found = self._index.search(code, min(count, len(self._index)), threads=1)
        return found.keys.astype(np.int64), found.distances.astype(np.int64)

    def pack(self) -> bytes:
        """Return the links and the vids, without the codes.

        Raises:
            FormatError: usearch writes a layout that is not known here.
        """
        raw = bytes(self._index.save() or b"")
        slots = _MATRIX_HEAD.unpack_from(raw)[0] if len(raw) >= _MATRIX_HEAD.size else 0
        packed = raw[_MATRIX_HEAD.size + slots * self.code_bytes :]
        vids = packed_vids(packed)
        if vids is None or len(vids) != slots:
            raise FormatError("this version of usearch writes an unknown layout; install the one Mimir names")
        return packed

    @classmethod
    def unpack(cls, packed: bytes, codes: NDArray[np.uint8]) -> Graph:
        """Return the graph of what `pack` gave, with the code of each slot, uint8 (slots, code_bytes).

        Raises:
            FormatError: the bytes have another layout. usearch never sees such bytes: it would crash.
        """
        refused = FormatError("the saved index does not decode; run mimir rebuild")
        vids = packed_vids(packed)
        if vids is None or len(vids) != len(codes):
            raise refused
        graph = cls(codes.shape[1])
        if len(vids):
            try:
                graph._index.load(bytearray(_MATRIX_HEAD.pack(*codes.shape) + codes.tobytes() + packed))
            except (RuntimeError, ValueError):
                raise refused from None
        return graph


def packed_vids(packed: bytes) -> NDArray[np.uint64] | None:
    """Return the key of every slot of a packed graph, `FREE_KEY` for removed ones; None for an unknown layout.

    usearch writes: a head of 64 bytes, five uint64 (slots, links per node, links on the lowest level, highest level,
    entry), a level per slot (int16), then per slot its key (uint64), its level (int16) and for each level a count and
    room for the links (uint32 each).
    """
    levels_at = _USEARCH_HEAD_BYTES + _GRAPH_HEAD.size
    if len(packed) < levels_at or not packed.startswith(b"usearch"):
        return None
    slots, links, links_base, _, _ = _GRAPH_HEAD.unpack_from(packed, _USEARCH_HEAD_BYTES)
    nodes_at = levels_at + 2 * slots
    if len(packed) < nodes_at or links > _LINKS_MAX or links_base > _LINKS_MAX:
        return None
    levels = np.frombuffer(packed, "<i2", slots, levels_at).astype(np.int64)
    sizes = _NODE_HEAD_BYTES + 4 * (links_base + 1) + levels * 4 * (links + 1)
    if (slots and int(levels.min()) < 0) or len(packed) != nodes_at + int(sizes.sum()):
        return None
    starts = nodes_at + np.cumsum(sizes) - sizes
    flat: NDArray[Any] = np.frombuffer(packed, np.uint8)
    places = starts[:, None] + np.arange(8)
    return flat[places].copy().view("<u8").ravel().astype(np.uint64) if slots else np.empty(0, np.uint64)
