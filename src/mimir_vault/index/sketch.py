"""The sketch: one bit per dimension of every vector in RAM, which gives the candidates of the dense lane."""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import FormatError

if TYPE_CHECKING:
    from mimir_vault.index.graph import Graph

Vids = NDArray[np.int64]
Seqs = NDArray[np.int64]
AnyInts = NDArray[np.integer[Any]] | list[int]
Allowed = Callable[[Seqs], NDArray[np.bool_]]
"""Says of each seq of an array whether its node may be found, bool (n,)."""

GRAPH_FROM = 250_000
"""From so many codes on the graph answers (0.5 ms); below, a scan of all codes is as fast, misses less, costs a sixth
of the memory, and adding is 15 times cheaper."""
PORTION = 32
"""So many codes enter the graph at a time while the lock is held (5 ms), so that a search hardly waits."""
REMOVED_SHARE_MAX = 0.2
"""A graph with a larger share of removed codes is given up and built anew."""

_HEAD = struct.Struct("<4sHHQQ32s")
_MAGIC = b"MSK1"
_VERSION = 1
_BLOCK = 65_536
_CODES_FIRST = 1_024
_NO_VIDS: Vids = np.empty(0, np.int64)


class Sketch:
    """Codes found by their vid (the number of a stored vector): scanned all, or through a graph where they are many.

    A code can be found as soon as `add` returns; the graph is filled later, by `extend_graph`, and what it does not
    hold yet is scanned. All methods may be called from several threads; one lock guards them.
    """

    def __init__(self, code_bytes: int, *, graph_from: int = GRAPH_FROM) -> None:
        """Make an empty sketch.

        Args:
            code_bytes: bytes of a code, a multiple of 8, as `Frozen.code_bytes` says.
            graph_from: from how many codes on a graph is built.
        """
        if code_bytes <= 0 or code_bytes % 8:
            raise ValueError("a code has a whole number of 8-byte words")
        self.code_bytes = code_bytes
        self._graph_from = graph_from
        self._lock = threading.RLock()
        self._count = 0
        self._vids = np.empty(_CODES_FIRST, np.int64)
        self._seqs = np.empty(_CODES_FIRST, np.int64)
        self._words = np.empty((code_bytes // 8, _CODES_FIRST), np.uint64)
        self._graph: Graph | None = None
        self._in_graph = 0
        self._graph_removed = 0
        self._saved_vids = _NO_VIDS
        self._image_id = b""

    def __len__(self) -> int:
        """Return the number of vectors that can be found."""
        return self._count

    def __contains__(self, vid: int) -> bool:
        """Say whether a vector is in the sketch."""
        with self._lock:
            return bool(self._places(np.array([vid]))[0] >= 0)

    @property
    def vids(self) -> Vids:
        """The numbers of all vectors, ascending, (n,)."""
        with self._lock:
            return self._vids[: self._count].copy()

    @property
    def removed_share(self) -> float:
        """Removed codes as a share of all that the graph holds."""
        return self._graph_removed / max(1, self._in_graph + self._graph_removed)

    @property
    def memory_bytes(self) -> int:
        """Bytes of RAM in use."""
        graph = self._graph.memory_bytes if self._graph else 0
        return self._vids.nbytes + self._seqs.nbytes + self._words.nbytes + self._saved_vids.nbytes + graph

    @property
    def image_id(self) -> bytes:
        """Names the image last saved or loaded (32 bytes), empty before; zeros written into it do not change it."""
        return self._image_id

    def add(self, vids: AnyInts, seqs: AnyInts, codes: NDArray[np.uint8]) -> None:
        """Take vectors in; those that are there already are left as they are.

        Args:
            vids: number of each vector, (n,), at least 0.
            seqs: the node each belongs to, (n,).
            codes: their codes, uint8 (n, code_bytes).

        Raises:
            ValueError: the shapes do not fit, or a vid is negative.
        """
        given, nodes = np.asarray(vids, np.int64), np.asarray(seqs, np.int64)
        if codes.dtype != np.uint8 or codes.shape != (len(given), self.code_bytes) or nodes.shape != given.shape:
            raise ValueError(f"codes must be uint8 of shape ({len(given)}, {self.code_bytes}), with as many seqs")
        if not len(given):
            return
        if int(given.min()) < 0:
            raise ValueError("vids are not negative")
        with self._lock:
            given, first = np.unique(given, return_index=True)
            if self._count and int(given[0]) <= int(self._vids[self._count - 1]):
                fresh = self._places(given) < 0
                given, first = given[fresh], first[fresh]
            late = bool(self._count and len(given)) and int(given[0]) < int(self._vids[self._count - 1])
            count = self._count + len(given)
            self._grow(count)
            self._vids[self._count : count] = given
            self._seqs[self._count : count] = nodes[first]
            self._words[:, self._count : count] = _words_of(codes[first])
            self._count = count
            if late:
                self._sort()

    def extend_graph(self, portion: int = PORTION) -> bool:
        """Move a portion of codes into the graph where one is due; return whether more wait. For the background."""
        with self._lock:
            if self._count < self._graph_from:
                return False
            if self._graph is None or self.removed_share > REMOVED_SHARE_MAX:
                self._graph, self._in_graph, self._graph_removed = _new_graph(self.code_bytes), 0, 0
            first, last = self._in_graph, min(self._in_graph + portion, self._count)
            self._graph.add(self._vids[first:last], _codes_of(self._words[:, first:last]))
            self._in_graph = last
            return last < self._count

    def search(
        self, code: NDArray[np.uint8], count: int, allowed: Allowed | None = None
    ) -> tuple[Vids, NDArray[np.int64]]:
        """Return the vids nearest to a code (code_bytes,) and their Hamming distances, nearest first, at most `count`.

        With `allowed` only vectors of such nodes are found, however few they are; then all codes are scanned.
        At 100,000 utterances the ten best by cosine are among 200 candidates in 99 of 100 cases.
        """
        with self._lock:
            if count < 1 or not self._count:
                return _NO_VIDS, _NO_VIDS
            graph = self._graph if allowed is None else None
            first = self._in_graph if graph is not None else 0
            vids, distances = self._vids[first : self._count], self._scan(code, first)
            if allowed is not None:
                kept = np.flatnonzero(allowed(self._seqs[: self._count]))
                vids, distances = vids[kept], distances[kept]
            near = _lowest(distances, count)
            vids, found = vids[near], distances[near].astype(np.int64)
            if graph is not None:
                through, distant = graph.search(code, count)
                vids, found = np.concatenate([vids, through]), np.concatenate([found, distant])
        order = np.lexsort((-vids, found))[:count]
        return vids[order], found[order]

    def remove_nodes(self, seqs: AnyInts) -> int:
        """Take all vectors of nodes out, overwrite their codes, and return how many there were."""
        with self._lock:
            gone = np.isin(self._seqs[: self._count], np.asarray(seqs, np.int64))
            return self.remove(self._vids[: self._count][gone])

    def remove(self, vids: AnyInts) -> int:
        """Take vectors out, overwrite their codes, and return how many were there."""
        with self._lock:
            places = self._places(np.unique(np.asarray(vids, np.int64)))
            places = places[places >= 0]
            if not len(places):
                return 0
            if self._graph is not None:
                inside = places[places < self._in_graph]
                self._graph.remove(self._vids[inside])
                self._in_graph -= len(inside)
                self._graph_removed += len(inside)
            keep = np.ones(self._count, np.bool_)
            keep[places] = False
            left = self._count - len(places)
            self._vids[:left] = self._vids[: self._count][keep]
            self._seqs[:left] = self._seqs[: self._count][keep]
            self._words[:, :left] = self._words[:, : self._count][:, keep]
            self._words[:, left : self._count] = 0
            self._count = left
            return len(places)

    def retain(self, vids: AnyInts) -> int:
        """Take out every vector but these, and return how many went: what was erased elsewhere leaves before `save`."""
        return self.remove(np.setdiff1d(self.vids, np.asarray(vids, np.int64)))

    def save(self) -> bytes:
        """Return the image of the sketch. Removed vectors are not in it; the graph keeps their links, not their codes.

        Layout, little-endian: magic, format 1, bytes per code, number of codes, bytes of the graph, SHA-256 of all but
        the codes; then the vids (int64, ascending), their seqs (int64), the codes in the same order, the graph (may be
        empty).
        """
        with self._lock:
            vids = self._vids[: self._count].copy()
            seqs = self._seqs[: self._count].copy()
            codes = _codes_of(self._words[:, : self._count])
            graph = b""
            if self._graph is not None and self._in_graph:
                graph = self._graph.pack()
            self._saved_vids = vids
            self._image_id = _digest(self.code_bytes, vids, seqs, graph)
        head = _HEAD.pack(_MAGIC, _VERSION, self.code_bytes, len(vids), len(graph), self._image_id)
        return b"".join([head, vids.astype("<i8").tobytes(), seqs.astype("<i8").tobytes(), codes.tobytes(), graph])

    @classmethod
    def load(cls, image: bytes | bytearray | memoryview, *, graph_from: int = GRAPH_FROM) -> Sketch:
        """Return the sketch of an image; codes that were overwritten with zeros in it are there until removed.

        Raises:
            FormatError: the bytes are no image that `save` wrote.
        """
        code_bytes, vids, seqs, codes, graph = _split(memoryview(image))
        sketch = cls(code_bytes, graph_from=graph_from)
        sketch._grow(len(vids))
        sketch._vids[: len(vids)] = vids
        sketch._seqs[: len(vids)] = seqs
        sketch._words[:, : len(vids)] = _words_of(codes)
        sketch._count = len(vids)
        sketch._saved_vids = vids
        sketch._image_id = image_id(image)
        if graph:
            sketch._take_graph(graph, vids, codes)
        return sketch

    def code_places(self, vids: AnyInts) -> list[tuple[int, int]]:
        """Return where codes lie in the image last saved or loaded: (offset, length) for each vid that is in it.

        Zeros written there leave a valid image; after loading it, `remove` the vids again.
        """
        return _code_places(self._saved_vids, self.code_bytes, vids)

    @staticmethod
    def image_places(image: bytes | bytearray | memoryview, vids: AnyInts) -> list[tuple[int, int]]:
        """Return the same as `code_places` for any image.

        Raises:
            FormatError: the bytes are no image that `save` wrote.
        """
        code_bytes, held, _, _, _ = _split(memoryview(image))
        return _code_places(held, code_bytes, vids)

    def _take_graph(self, packed: bytes, vids: Vids, codes: NDArray[np.uint8]) -> None:
        from mimir_vault.index.graph import FREE_KEY, Graph, packed_vids

        keys = packed_vids(packed)
        if keys is None:
            raise _refused()
        live = keys != np.uint64(FREE_KEY)
        inside = int(live.sum())
        wanted = keys[live].astype(np.int64)
        if not np.array_equal(np.sort(wanted), vids[:inside]):
            raise _refused()
        slots = np.zeros((len(keys), self.code_bytes), np.uint8)
        slots[live] = codes[np.searchsorted(vids, wanted)]
        self._graph = Graph.unpack(packed, slots)
        self._in_graph, self._graph_removed = inside, len(keys) - inside

    def _places(self, vids: Vids) -> NDArray[np.int64]:
        if not self._count:
            return np.full(len(vids), -1, np.int64)
        known = self._vids[: self._count]
        places = np.minimum(np.searchsorted(known, vids), self._count - 1)
        return np.where(known[places] == vids, places, -1)

    def _grow(self, count: int) -> None:
        capacity = len(self._vids)
        if count <= capacity:
            return
        capacity = max(count, capacity + capacity // 2)
        vids, seqs = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
        words = np.empty((len(self._words), capacity), np.uint64)
        vids[: self._count] = self._vids[: self._count]
        seqs[: self._count] = self._seqs[: self._count]
        words[:, : self._count] = self._words[:, : self._count]
        self._vids, self._seqs, self._words = vids, seqs, words

    def _sort(self) -> None:
        """Bring vids that came late into order; the graph begins anew, as it holds the first ones only."""
        order = np.argsort(self._vids[: self._count])
        self._vids[: self._count] = self._vids[: self._count][order]
        self._seqs[: self._count] = self._seqs[: self._count][order]
        self._words[:, : self._count] = self._words[:, : self._count][:, order]
        self._graph, self._in_graph, self._graph_removed = None, 0, 0

    def _scan(self, code: NDArray[np.uint8], first: int) -> NDArray[np.uint16]:
        """Return the Hamming distance of a code to each held one from `first` on."""
        query = np.ascontiguousarray(code, np.uint8).view(np.uint64)
        distances = np.empty(self._count - first, np.uint16)
        for start in range(first, self._count, _BLOCK):
            end = min(start + _BLOCK, self._count)
            block = distances[start - first : end - first]
            block[:] = np.bitwise_count(self._words[0, start:end] ^ query[0])
            for word in range(1, len(query)):
                block += np.bitwise_count(self._words[word, start:end] ^ query[word])
        return distances


def _new_graph(code_bytes: int) -> Graph:
    """Make a graph; its library is loaded only here, for spaces so large are few and loading takes 0.2 s."""
    from mimir_vault.index.graph import Graph

    return Graph(code_bytes)


def image_id(head: bytes | bytearray | memoryview) -> bytes:
    """Return the id of an image from its first 56 bytes or more, empty when it is none."""
    if len(head) < _HEAD.size:
        return b""
    magic, _, _, _, _, digest = _HEAD.unpack_from(head)
    return bytes(digest) if magic == _MAGIC else b""


def _refused() -> FormatError:
    return FormatError("the saved index does not decode; run mimir rebuild")


def _digest(code_bytes: int, vids: Vids, seqs: Seqs, graph: bytes) -> bytes:
    state = hashlib.sha256(struct.pack("<HQQ", code_bytes, len(vids), len(graph)))
    state.update(vids.astype("<i8").tobytes())
    state.update(seqs.astype("<i8").tobytes())
    state.update(graph)
    return state.digest()


def _split(view: memoryview) -> tuple[int, Vids, Seqs, NDArray[np.uint8], bytes]:
    if len(view) < _HEAD.size:
        raise _refused()
    magic, version, code_bytes, count, graph_bytes, digest = _HEAD.unpack_from(view)
    if magic != _MAGIC:
        raise _refused()
    if version != _VERSION:
        raise FormatError(f"the saved index has format {version}, this version knows {_VERSION}; update Mimir")
    codes_at = _HEAD.size + 16 * count
    graph_at = codes_at + count * code_bytes
    if not code_bytes or code_bytes % 8 or len(view) != graph_at + graph_bytes:
        raise _refused()
    vids = np.frombuffer(view, "<i8", count, _HEAD.size).astype(np.int64)
    seqs = np.frombuffer(view, "<i8", count, _HEAD.size + 8 * count).astype(np.int64)
    graph = bytes(view[graph_at:])
    if _digest(code_bytes, vids, seqs, graph) != digest:
        raise _refused()
    codes = np.frombuffer(view, np.uint8, count * code_bytes, codes_at).reshape(count, code_bytes)
    return code_bytes, vids, seqs, codes, graph


def _code_places(held: Vids, code_bytes: int, vids: AnyInts) -> list[tuple[int, int]]:
    wanted = np.asarray(vids, np.int64).ravel()
    if not len(held):
        return []
    places = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    start = _HEAD.size + 16 * len(held)
    return [(start + int(place) * code_bytes, code_bytes) for place in places[held[places] == wanted]]


def _words_of(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(codes).view(np.uint64).T


def _codes_of(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(words.T).view(np.uint8)


def _lowest(distances: NDArray[np.uint16], count: int) -> NDArray[np.intp]:
    """Return the places of the `count` lowest distances, and of those equal to the last of them, in any order."""
    if len(distances) <= count:
        return np.arange(len(distances))
    limit = np.partition(distances, count - 1)[count - 1]
    return np.flatnonzero(distances <= limit)
