"""sqlite-vec through apsw: a virtual table of SQLite that scans its vectors in C, nothing encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import apsw
import sqlite_vec

from contenders.contender import Defaults, K, Utterance, Vectors


class SqliteVec(Defaults):
    """A table of texts and a `vec0` table of vectors under the same numbers."""

    packages: ClassVar[Sequence[str]] = ("sqlite-vec", "apsw")
    note: ClassVar[str] = "exact scan in C inside SQLite; dense only, not encrypted"

    def create(self, folder: Path) -> None:
        """Make both tables."""
        self.open(folder)
        self.connection.execute(
            "CREATE TABLE node (number INTEGER PRIMARY KEY, text TEXT NOT NULL, speaker TEXT NOT NULL, session TEXT "
            "NOT NULL); CREATE VIRTUAL TABLE vec USING vec0(number INTEGER PRIMARY KEY, vector float[384])"
        )

    def open(self, folder: Path) -> None:
        """Open the file and load the extension."""
        self.connection = apsw.Connection(str(folder / "nodes.db"))
        self.connection.enable_load_extension(True)
        self.connection.load_extension(sqlite_vec.loadable_path())
        self.connection.enable_load_extension(False)

    def fill(self, first: int, utterances: Sequence[Utterance], vectors: Vectors | None) -> int:
        """Put a batch in one transaction."""
        assert vectors is not None
        rows = [(first + place, one.text, one.speaker, one.session) for place, one in enumerate(utterances)]
        with self.connection:
            self.connection.executemany("INSERT INTO node VALUES (?, ?, ?, ?)", rows)
            self.connection.executemany(
                "INSERT INTO vec VALUES (?, ?)",
                [(row[0], vector.tobytes()) for row, vector in zip(rows, vectors, strict=True)],
            )
        return len(rows)

    def remember(self, number: int, utterance: Utterance, vector: Vectors | None) -> None:
        """Put one in a transaction of its own."""
        assert vector is not None
        self.fill(number, [utterance], vector[None])

    def recall(self, query: str, vector: Vectors | None, *, dense: bool = False) -> list[str]:
        """Ask for the nearest and their texts."""
        assert vector is not None
        rows = self.connection.execute(
            "SELECT node.text FROM vec JOIN node USING (number) WHERE vec.vector MATCH ? AND k = ? "
            "ORDER BY vec.distance", (vector.tobytes(), K),
        )  # fmt: skip
        return [text for (text,) in rows]

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
