"""Chroma, persistent, in this process, as it comes: HNSW in RAM, vectors handed in, nothing encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import chromadb
from chromadb.config import Settings

from contenders.contender import Defaults, K, Utterance, Vectors


class Chroma(Defaults):
    """One collection with precomputed vectors; its telemetry is off, for a benchmark sends nothing."""

    packages: ClassVar[Sequence[str]] = ("chromadb",)
    note: ClassVar[str] = "HNSW in RAM, dense only, not encrypted"

    def create(self, folder: Path) -> None:
        """Make a collection without an embedding function."""
        self.collection = self._client(folder).create_collection("nodes", embedding_function=None)

    def open(self, folder: Path) -> None:
        """Open the collection."""
        self.collection = self._client(folder).get_collection("nodes", embedding_function=None)

    def _client(self, folder: Path) -> chromadb.ClientAPI:
        self.client = chromadb.PersistentClient(str(folder / "chroma"), Settings(anonymized_telemetry=False))
        return self.client

    def fill(self, first: int, utterances: Sequence[Utterance], vectors: Vectors | None) -> int:
        """Add a batch."""
        assert vectors is not None
        self.collection.add(
            ids=[str(first + place) for place in range(len(utterances))],
            embeddings=vectors,
            documents=[one.text for one in utterances],
            metadatas=[{"speaker": one.speaker, "session": one.session} for one in utterances],
        )
        return len(utterances)

    def remember(self, number: int, utterance: Utterance, vector: Vectors | None) -> None:
        """Add one."""
        assert vector is not None
        self.fill(number, [utterance], vector[None])

    def recall(self, query: str, vector: Vectors | None, *, dense: bool = False) -> list[str]:
        """Ask for the nearest and their texts."""
        assert vector is not None
        found = self.collection.query(query_embeddings=vector[None], n_results=K, include=["documents"])
        assert found["documents"] is not None
        return list(found["documents"][0])

    def close(self) -> None:
        """Chroma writes as it goes; its client closes with the process."""
        close = getattr(self.client, "close", None)
        if close is not None:
            close()
