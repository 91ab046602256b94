"""The plain rivals, unencrypted, dense only: vectors as blobs in SQLite scanned per query, or held as one matrix."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from contenders.contender import Defaults, K, Utterance, Vectors
from mimir_vault.embed.registry import bundled

SCHEMA = (
    "CREATE TABLE node (number INTEGER PRIMARY KEY, text TEXT NOT NULL, speaker TEXT NOT NULL, "
    "session TEXT NOT NULL, vector BLOB NOT NULL)"
)
ROWS_FIRST = 1_024
"""Rows that an empty matrix has room for; it doubles when they are used up."""


class NaiveSqlite(Defaults):
    """SQLite as Python brings it: every query fetches all vectors and compares them with NumPy."""

    embeds: ClassVar[bool] = True
    note: ClassVar[str] = "float32 blobs, all of them fetched and compared per query; NumPy in one thread up to 30,000"

    def __init__(self) -> None:
        self.embedder = bundled()

    def warm(self) -> None:
        """Load the model."""
        self.embedder.embed(["load the model"])

    def create(self, folder: Path) -> None:
        """Make the one table."""
        self._connect(folder)
        self.connection.execute(SCHEMA)

    def open(self, folder: Path) -> None:
        """Open the file."""
        self._connect(folder)

    def _connect(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "nodes.db")

    def fill(self, first: int, utterances: Sequence[Utterance], vectors: Vectors | None) -> int:
        """Put a batch in one transaction."""
        given = self.embedder.embed([one.form for one in utterances]) if vectors is None else vectors
        rows = [
            (first + place, one.text, one.speaker, one.session, vector.tobytes())
            for place, (one, vector) in enumerate(zip(utterances, given, strict=True))
        ]
        with self.connection:
            self.connection.executemany("INSERT INTO node VALUES (?, ?, ?, ?, ?)", rows)
        return len(rows)

    def remember(self, number: int, utterance: Utterance, vector: Vectors | None) -> None:
        """Put one in a transaction of its own."""
        self.fill(number, [utterance], None if vector is None else vector[None])

    def recall(self, query: str, vector: Vectors | None, *, dense: bool = False) -> list[str]:
        """Fetch every vector, compare, then fetch the texts of the best."""
        asked = self.embedder.embed([query])[0] if vector is None else vector
        numbers, matrix = self._matrix()
        return self._texts(numbers[best(matrix @ asked)].tolist())

    def _matrix(self) -> tuple[np.ndarray, Vectors]:
        rows = self.connection.execute("SELECT number, vector FROM node").fetchall()
        flat = np.frombuffer(b"".join(vector for _, vector in rows), np.float32)
        return np.array([number for number, _ in rows]), flat.reshape(len(rows), -1)

    def _texts(self, numbers: list[int]) -> list[str]:
        marks = ", ".join("?" * len(numbers))
        rows = self.connection.execute(f"SELECT number, text FROM node WHERE number IN ({marks})", numbers)
        found = dict(rows.fetchall())
        return [found[number] for number in numbers]

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


class NumpyMatrix(NaiveSqlite):
    """The strongest plain rival: the vectors read once into one float32 matrix in RAM, the texts left in SQLite."""

    note: ClassVar[str] = "one float32 matrix in RAM, texts from SQLite; NumPy in one thread up to 30,000"

    def create(self, folder: Path) -> None:
        """Make the table and an empty matrix."""
        super().create(folder)
        self.numbers, self.count = np.empty(ROWS_FIRST, np.int64), 0
        self.matrix = np.empty((ROWS_FIRST, self.embedder.dimension), np.float32)

    def open(self, folder: Path) -> None:
        """Read all vectors."""
        super().open(folder)
        self.count = self.connection.execute("SELECT count(*) FROM node").fetchone()[0]
        self.numbers = np.empty(self.count, np.int64)
        self.matrix = np.empty((self.count, self.embedder.dimension), np.float32)
        for place, (number, vector) in enumerate(self.connection.execute("SELECT number, vector FROM node")):
            self.numbers[place], self.matrix[place] = number, np.frombuffer(vector, np.float32)

    def fill(self, first: int, utterances: Sequence[Utterance], vectors: Vectors | None) -> int:
        """Put a batch into the file, then into the matrix."""
        given = self.embedder.embed([one.form for one in utterances]) if vectors is None else vectors
        taken = super().fill(first, utterances, given)
        end = self.count + taken
        if end > len(self.matrix):
            room = max(end, 2 * len(self.matrix))
            numbers, matrix = self.numbers, self.matrix
            self.numbers, self.matrix = np.empty(room, np.int64), np.empty((room, matrix.shape[1]), np.float32)
            self.numbers[: self.count], self.matrix[: self.count] = numbers[: self.count], matrix[: self.count]
        self.numbers[self.count : end], self.matrix[self.count : end] = np.arange(first, first + taken), given
        self.count = end
        return taken

    def recall(self, query: str, vector: Vectors | None, *, dense: bool = False) -> list[str]:
        """One product, then the texts of the best."""
        asked = self.embedder.embed([query])[0] if vector is None else vector
        scores = self.matrix[: self.count] @ asked
        return self._texts(self.numbers[best(scores)].tolist())


def best(scores: Vectors) -> np.ndarray:
    """Return the places of the `K` highest scores, the highest first."""
    few = min(K, len(scores))
    places = np.argpartition(-scores, few - 1)[:few]
    return places[np.argsort(-scores[places], kind="stable")]
