"""What encryption costs: the vault and the same engine without it in one process, asked the same in turn.

    python benchmarks/overhead.py INPUT VAULT PLAIN

INPUT is the folder of what all contenders share, VAULT and PLAIN are the stores that hold the same nodes. Calls
alternate, and so does who comes first; a figure is the median of the differences of pairs, because a busy machine slows
both of a pair. Prints one line of JSON. It looks into the engine, past the public interface, to time its parts.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from contenders.contender import K, Utterance, Vectors
from contenders.mimir import Mimir, MimirPlain
from figures import median
from mimir_vault.crypto.envelope import node_id
from mimir_vault.crypto.primitives import (
    AesGcm,
    hkdf_expand_into,
    xchacha20_poly1305_open,
    xchacha20_poly1305_seal,
)
from mimir_vault.crypto.sealer import SpaceSealer
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.wrap import NodeKeyWrap
from mimir_vault.reading import open_stored
from mimir_vault.store import nodes
from mimir_vault.store.nodes import StoredNode
from mimir_vault.store.space import SpaceStore
from worker import rest, timed

SPACE = bytes(16)
Figures = dict[str, float]
Clocked = tuple[float, float]
ROUNDS = 3
PORTION, PORTIONS = 512, 12
"""Nodes a batch, and batches, of the comparison of storing."""
REPEATS = 2_000
"""Times a part is repeated."""


def clocks(work: Callable[[], object]) -> Clocked:
    """Return the milliseconds of one call: as a clock on the wall sees it, and of processor time alone."""
    worked, begin = time.process_time(), time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3, (time.process_time() - worked) * 1e3


def pairs(first: Callable[[Any], object], second: Callable[[Any], object], asked: Sequence[Any]) -> Figures:
    """Call both on each of `asked` in turn, and compare."""
    spent: tuple[list[Clocked], list[Clocked]] = ([], [])
    for place, one in enumerate(asked):
        for which in (0, 1) if place % 2 else (1, 0):
            spent[which].append(clocks(partial((first, second)[which], one)))
    return compared(*spent)


def compared(ours: Sequence[Clocked], theirs: Sequence[Clocked]) -> Figures:
    """Return both medians and the median of the differences of pairs (milliseconds), the last also in processor time.

    Processor time says the same on a busy machine, but does not see what is waited for.
    """
    return {
        "encrypted": median([wall for wall, _ in ours]),
        "plain": median([wall for wall, _ in theirs]),
        "difference": median([mine[0] - other[0] for mine, other in zip(ours, theirs, strict=True)]),
        "worked": median([mine[1] - other[1] for mine, other in zip(ours, theirs, strict=True)]),
    }


class Overhead:
    """Both engines, open, with the queries and their vectors."""

    def __init__(self, shared: Path, vault: Path, plain: Path) -> None:
        self.folder = shared
        self.ours, self.theirs = Mimir(), MimirPlain()
        self.theirs.embedder = self.ours.embedder
        self.ours.warm()
        self.ours.open(vault)
        self.theirs.open(plain)
        for contender in (self.ours, self.theirs):
            with _store(contender).write() as writer:
                writer.merge_words()  # Which nodes still wait for that is chance, and costs up to a millisecond.
        texts: list[str] = json.loads((shared / "queries.json").read_text(encoding="utf-8"))
        self.queries: list[tuple[str, Vectors]] = list(zip(texts, np.load(shared / "queries.npy"), strict=True))
        with (shared / "utterances.jsonl").open(encoding="utf-8") as lines:
            wanted = PORTION * PORTIONS
            self.utterances = [Utterance(*json.loads(line)) for line, _ in zip(lines, range(wanted), strict=False)]
        self.vectors = np.array(np.load(shared / "vectors.npy", mmap_mode="r")[: len(self.utterances)])

    def searching(self) -> Figures:
        """Compare whole recalls of k = 10, the query's vector given."""
        asked = self.queries * (ROUNDS + 1)
        pairs(self._ours, self._theirs, asked[: len(self.queries)])  # Unmeasured: caches fill.
        return pairs(self._ours, self._theirs, asked[len(self.queries) :])

    def _ours(self, query: tuple[str, Vectors]) -> object:
        return self.ours.recall(*query)

    def _theirs(self, query: tuple[str, Vectors]) -> object:
        return self.theirs.recall(*query)

    def embedding(self) -> Figures:
        """Time recalls with the embedding of the query: what a share is a share of."""
        spent = [timed(partial(self.ours.recall, text, None)) for text, _ in self.queries]
        return {"recall": median(spent)}

    def opening(self) -> Figures:
        """Compare the opening of the same ten nodes, fetched before: envelopes alone, without pages."""
        source = np.random.default_rng(0)
        batches = []
        for _ in self.queries:
            wanted = source.integers(1, self.ours.memory.count(), K).tolist()
            batches.append([_stored(of, wanted) for of in (self.ours, self.theirs)])
        sealers = _store(self.ours).sealer, _store(self.theirs).sealer
        return pairs(
            lambda batch: [open_stored(sealers[0], one) for one in batch[0]],
            lambda batch: [open_stored(sealers[1], one) for one in batch[1]],
            batches * ROUNDS,
        )

    def storing(self) -> Figures:
        """Compare storing in batches, vectors given: milliseconds a node."""
        root = Path(tempfile.mkdtemp(dir=self.folder))
        ours, theirs = Mimir(), MimirPlain()
        ours.embedder = theirs.embedder = self.ours.embedder
        try:
            for contender, name in ((ours, "ours"), (theirs, "theirs")):
                (root / name).mkdir()
                contender.create(root / name)
                contender.remember(0, Utterance("the first one makes the model known", "Ada", "0"), self.vectors[0])

            def fill(contender: Mimir, start: int) -> None:
                part = slice(start, start + PORTION)
                contender.fill(start, self.utterances[part], self.vectors[part])

            spent: tuple[list[Clocked], list[Clocked]] = ([], [])
            for place, start in enumerate(range(0, len(self.utterances), PORTION)):
                for which in (0, 1) if place % 2 else (1, 0):
                    wall, worked = clocks(partial(fill, (ours, theirs)[which], start))
                    after = rest()
                    spent[which].append(((wall + after * 1e3) / PORTION, worked / PORTION))
            ours.close()
            theirs.close()
            return compared(*spent)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def parts(self) -> Figures:
        """Time the parts of opening and of sealing a node of usual length one by one, in milliseconds a node."""
        with _store(self.ours).read() as connection:
            found = [one.sealed for one in nodes.by_seq(connection, list(range(1, 201))).values()]
        usual = sorted(found, key=lambda one: len(one.payload) + len(one.metadata))[len(found) // 2]
        payload, metadata, state = _store(self.ours).sealer.open_node(usual)
        sealer = SpaceSealer(SPACE, {1: SecretBytes.random(32, os.urandom)}, os.urandom)
        node, key = sealer.seal(payload, metadata, state), SecretBytes.random(32, os.urandom)
        wrap, cipher, nonce, key_bytes = NodeKeyWrap(key, 1), AesGcm(bytes(32)), bytes(12), bytes(32)
        wrapped = wrap.wrap(key, node.id, os.urandom)
        sealed = cipher.seal(nonce, payload, b"")
        extended = xchacha20_poly1305_seal(key_bytes, bytes(24), metadata, b"")
        expand = partial(hkdf_expand_into, key_bytes, bytes(60))
        outs = [memoryview(bytearray(length)) for length in (76, 88)]
        ways: dict[str, Callable[[], object]] = {
            "opening a node": lambda: sealer.open_node(node),
            "… its id: SHA-256 of both envelopes": lambda: node_id(node.payload, node.metadata),
            "… its key: unwrap, AES-GCM": lambda: wrap.unwrap(wrapped, node.id).wipe(),
            "… two ciphers: HKDF": lambda: list(map(expand, outs)),
            "… payload: AES-GCM": lambda: AesGcm(key_bytes).open(nonce, sealed, b""),
            "… metadata: XChaCha20-Poly1305": lambda: xchacha20_poly1305_open(key_bytes, bytes(24), extended, b""),
            "sealing a node, opened again before it is stored": lambda: sealer.seal(payload, metadata, state),
        }
        figures = {name: repeated(way) for name, way in ways.items()}
        sealer.wipe()
        return figures

    def close(self) -> None:
        """Close both."""
        self.ours.close()
        self.theirs.close()


def _store(contender: Mimir) -> SpaceStore:
    """Return the store beneath a memory."""
    return contender.memory._space.space.store


def _stored(contender: Mimir, seqs: list[int]) -> list[StoredNode]:
    """Return nodes as they are stored."""
    with _store(contender).read() as connection:
        return list(nodes.by_seq(connection, seqs).values())


def repeated(work: Callable[[], object]) -> float:
    """Return the median milliseconds of one call, over blocks of twenty."""
    blocks = [timed(lambda: [work() for _ in range(20)]) / 20 for _ in range(REPEATS // 20)]
    return median(blocks)


def main() -> None:
    """Measure and print."""
    both = Overhead(*map(Path, sys.argv[1:]))
    gc.collect()
    gc.freeze()
    figures = {
        "searching": both.searching(), "embedding": both.embedding(), "opening": both.opening(),
        "storing": both.storing(), "parts": both.parts(),
    }  # fmt: skip
    both.close()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
