"""Mimir as its users have it, and the same engine with encryption off."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import mimir_vault as mimir
from contenders.contender import Defaults, K, Utterance, Vectors
from mimir_vault.embed.minilm import MiniLM
from mimir_vault.embed.registry import bundled
from plain_engine import PlainEngine

PASSPHRASE = "a long passphrase"
RAW_KEY = bytes(range(32))
"""A second key slot, so that opening can be measured without Argon2."""
DENSE_DEPTH = 100
"""Hits asked for to see the dense lane: neighbours and recency move a lane's best down, seldom so far."""


class SparedEmbedder:
    """The bundled model, spared the work for texts whose vectors were made before: to time the search alone."""

    def __init__(self) -> None:
        self.model: MiniLM = bundled()
        self.name, self.dimension, self.digest = self.model.name, self.model.dimension, self.model.digest
        self.known: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors that are known, else let the model make them all."""
        if self.known and all(text in self.known for text in texts):
            import numpy as np

            return np.stack([self.known[text] for text in texts])
        return self.model.embed(texts)

    def windows(self, text: str, prefix: str = "", suffix: str = "") -> list[tuple[int, int]]:
        """Return the parts of a text that fit the model."""
        return self.model.windows(text, prefix, suffix)


class Mimir(Defaults):
    """An encrypted vault with a passphrase of the default cost: recall is hybrid, all parts at work."""

    packages: ClassVar[Sequence[str]] = ("mimir-vault", "apsw-sqlite3mc", "onnxruntime", "numpy")
    embeds: ClassVar[bool] = True
    note: ClassVar[str] = "encrypted; hybrid: vectors, words, neighbours, sessions, recency"

    def __init__(self) -> None:
        self.embedder = SparedEmbedder()

    def warm(self) -> None:
        """Load the model."""
        self.embedder.embed(["load the model"])

    def create(self, folder: Path) -> None:
        """Make a vault with two key slots."""
        self.vault = mimir.Vault.create(
            folder / "vault", passphrase=PASSPHRASE, raw_key=RAW_KEY, recovery=False, state_folder=folder / "state",
            embedder=self.embedder,
        )  # fmt: skip
        self.memory = self.vault.space()

    def open(self, folder: Path) -> None:
        """Unlock: by the raw key where UNLOCK says so, else by the passphrase."""
        by_key = os.environ.get("UNLOCK") == "raw key"
        secret: dict[str, Any] = {"raw_key": RAW_KEY} if by_key else {"passphrase": PASSPHRASE}
        self.vault = mimir.Vault.open(folder / "vault", state_folder=folder / "state", embedder=self.embedder, **secret)
        self.memory = self.vault.space()

    def fill(self, first: int, utterances: Sequence[Utterance], vectors: Vectors | None) -> int:
        """Remember a batch."""
        self._know([one.form for one in utterances], vectors)
        drafts = [mimir.Draft(one.text, speaker=one.speaker, session=one.session) for one in utterances]
        return len(self.memory.remember_many(drafts))

    def remember(self, number: int, utterance: Utterance, vector: Vectors | None) -> None:
        """Remember one."""
        self._know([utterance.form], None if vector is None else vector[None])
        self.memory.remember(utterance.text, speaker=utterance.speaker, session=utterance.session)

    def recall(self, query: str, vector: Vectors | None, *, dense: bool = False) -> list[str]:
        """Recall by all lanes; `dense` gives what the vector index finds, in its own order."""
        self._know([query], None if vector is None else vector[None])
        if not dense:
            return [hit.node.text for hit in self.memory.recall(query, k=K)]
        hits = self.memory.recall(query, k=DENSE_DEPTH, lanes=["dense"])
        ranked = sorted((hit.lanes["dense"].rank, hit.node.text) for hit in hits if "dense" in hit.lanes)
        return [text for rank, text in ranked if rank <= K]

    def _know(self, texts: Sequence[str], vectors: Vectors | None) -> None:
        self.embedder.known = {} if vectors is None else dict(zip(texts, vectors, strict=True))

    def live_bytes(self) -> int | None:
        """Return the bytes of the space's file that are neither free nor padding."""
        return self.vault.status().spaces[0].live_bytes

    def facts(self) -> dict[str, Any]:
        """How it searches, and the size class of its file."""
        space = self.vault.status().spaces[0]
        return {"index": space.index, "size_class": space.file_bytes}

    def close(self) -> None:
        """Lock the vault."""
        self.vault.lock()


class MimirPlain(Mimir):
    """The same engine with a sealer and pages that encrypt nothing."""

    note: ClassVar[str] = "the same engine, encryption off; exists in the benchmarks only"

    def create(self, folder: Path) -> None:
        """Make a space without a vault around it."""
        self.engine = PlainEngine(folder / "plain", self.embedder, create=True)
        self.memory = self.engine.memory

    def open(self, folder: Path) -> None:
        """Open the space."""
        self.engine = PlainEngine(folder / "plain", self.embedder)
        self.memory = self.engine.memory

    def live_bytes(self) -> int | None:
        """Return the bytes of the file that are neither free nor padding."""
        return self.engine.store.fresh.live_bytes()

    def facts(self) -> dict[str, Any]:
        """Nothing more."""
        return {}

    def close(self) -> None:
        """Close the space."""
        self.engine.close()
