"""What encryption costs: the vault and the same engine without it in one process, asked the same in turn.

    python benchmarks/overhead.py INPUT VAULT PLAIN

INPUT is the folder of what all contenders share, VAULT and PLAIN are the stores that hold the same nodes. Calls
alternate, and so does who comes first; a figure is the median of the differences of pairs, because a busy machine slows
both of a pair. Prints one line of JSON. It looks into the engine, past the public interface, to time its parts.
"""

from __future__ import annotations

import gc
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contenders.contender import K, Utterance, Vectors
from contenders.mimir import Mimir, MimirPlain
from figures import median
from mimir_vault.crypto import envelope, primitives
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.memory import Memory
from mimir_vault.reading import open_stored
from mimir_vault.store import nodes
from mimir_vault.store.nodes import StoredNode
from worker import rest, timed

Figures = dict[str, float]
ROUNDS = 3
PORTION, PORTIONS = 512, 12
"""Nodes a batch, and batches, of the comparison of storing."""
REPEATS = 2_000
"""Times a part is repeated."""


def clocks(work: Callable[[], object]) -> tuple[float, float]:
    """Return the milliseconds of one call: as a clock on the wall sees it, and of processor time alone."""
    worked, begin = time.process_time(), time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3, (time.process_time() - worked) * 1e3


def pairs(first: Callable[[Any], object], second: Callable[[Any], object], asked: Sequence[Any]) -> Figures:
    """Call both on each of `asked` in turn, and compare."""
    ours, theirs = [], []
    for place, one in enumerate(asked):
        for work, times in ((first, ours), (second, theirs))[:: 1 if place % 2 else -1]:
            times.append(clocks(lambda work=work, one=one: work(one)))
    return compared(ours, theirs)


def compared(ours: Sequence[tuple[float, float]], theirs: Sequence[tuple[float, float]]) -> Figures:
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
        self.ours, self.theirs = Mimir(), MimirPlain()
        self.theirs.embedder = self.ours.embedder
        self.ours.warm()
        self.ours.open(vault)
        self.theirs.open(plain)
        texts: list[str] = json.loads((shared / "queries.json").read_text(encoding="utf-8"))
        self.queries: list[tuple[str, Vectors]] = list(zip(texts, np.load(shared / "queries.npy"), strict=True))
        with (shared / "utterances.jsonl").open(encoding="utf-8") as lines:
            wanted = PORTION * PORTIONS
            self.utterances = [Utterance(*json.loads(line)) for line, _ in zip(lines, range(wanted), strict=False)]
        self.vectors = np.array(np.load(shared / "vectors.npy", mmap_mode="r")[: len(self.utterances)])

    def searching(self) -> Figures:
        """Compare whole recalls of k = 10, the query's vector given."""
        asked = self.queries * (ROUNDS + 1)
        work = [lambda query, of=of: of.recall(query[0], query[1]) for of in (self.ours, self.theirs)]
        pairs(work[0], work[1], asked[: len(self.queries)])
        return pairs(work[0], work[1], asked[len(self.queries) :])

    def embedding(self) -> Figures:
        """Time recalls with the embedding of the query: what a share is a share of."""
        spent = [timed(lambda text=text: self.ours.recall(text, None)) for text, _ in self.queries]
        return {"recall": median(spent)}

    def opening(self) -> Figures:
        """Compare the opening of the same ten nodes, fetched before: envelopes alone, without pages."""
        source = np.random.default_rng(0)
        batches = []
        for _ in self.queries:
            wanted = source.integers(1, self.ours.memory.count(), K).tolist()
            batches.append([_stored(of.memory, wanted) for of in (self.ours, self.theirs)])
        work = [
            lambda batch, at=at, sealer=of.memory._space.store.sealer: [open_stored(sealer, one) for one in batch[at]]
            for at, of in enumerate((self.ours, self.theirs))
        ]
        return pairs(work[0], work[1], batches * ROUNDS)

    def storing(self) -> Figures:
        """Compare storing in batches, vectors given: milliseconds a node."""
        root = Path(tempfile.mkdtemp(prefix="mimir-overhead-"))
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

            spent: list[list[tuple[float, float]]] = [[], []]
            for place, start in enumerate(range(0, len(self.utterances), PORTION)):
                for which in (0, 1) if place % 2 else (1, 0):
                    wall, worked = clocks(lambda which=which, start=start: fill((ours, theirs)[which], start))
                    after = rest()
                    spent[which].append(((wall + after * 1e3) / PORTION, worked / PORTION))
            ours.close()
            theirs.close()
            return compared(*spent)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def parts(self) -> Figures:
        """Time the parts of opening ten nodes one by one, in milliseconds; envelopes as long as the nodes' own."""
        store = self.ours.memory._space.store
        with store.read() as connection:
            found = nodes.by_seq(connection, list(range(1, 201)))
        stored = [one.sealed for one in found.values()]
        sealer: Any = store.sealer
        node = sorted(stored, key=lambda one: len(one.payload) + len(one.metadata))[len(stored) // 2]
        with sealer._unwrap(node) as node_key:
            contexts = (sealer._payload_context, sealer._metadata_context)

            def derive() -> None:
                for context in contexts:
                    with envelope._derive(node_key, bytes(24), context):
                        pass

            def keys() -> None:
                for _ in range(3):
                    with SecretBytes(32):
                        pass

            cipher, nonce = primitives.AesGcm(bytes(32)), bytes(12)
            sealed = cipher.seal(nonce, bytes(len(node.payload) - 72), b"")
            metadata = primitives.xchacha20_poly1305_seal(bytes(32), bytes(24), bytes(len(node.metadata) - 72), b"")
            ways: dict[str, Callable[[], object]] = {
                "all of it": lambda: sealer.open_node(node),
                "id: SHA-256 of both envelopes": lambda: envelope.node_id(node.payload, node.metadata),
                "unwrap the node key: AES-GCM": lambda: sealer._unwrap(node).wipe(),
                "derive two ciphers: HKDF": derive,
                "payload: AES-GCM": lambda: primitives.AesGcm(bytes(32)).open(nonce, sealed, b""),
                "metadata: XChaCha20-Poly1305": lambda: primitives.xchacha20_poly1305_open(
                    bytes(32), bytes(24), metadata, b""
                ),
                "of these, secret buffers": keys,
            }
            return {name: K * repeated(way) for name, way in ways.items()}

    def close(self) -> None:
        """Close both."""
        self.ours.close()
        self.theirs.close()


def _stored(memory: Memory, seqs: list[int]) -> list[StoredNode]:
    """Return nodes as they are stored."""
    with memory._space.store.read() as connection:
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
