"""LanceDB, embedded, as it comes: columns on disk, scanned exactly until somebody asks for an index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import lancedb
import pyarrow

from contenders.contender import Defaults, K, Utterance, Vectors


class Lance(Defaults):
    """One table of a fixed schema."""

    packages: ClassVar[Sequence[str]] = ("lancedb",)
    note: ClassVar[str] = "no index until one is asked for, so exact; dense only, not encrypted"

    def create(self, folder: Path) -> None:
        """Make an empty table for vectors of 384 dimensions."""
        fields = [("number", pyarrow.int64()), ("text", pyarrow.string()), ("speaker", pyarrow.string()),
                  ("session", pyarrow.string()), ("vector", pyarrow.list_(pyarrow.float32(), 384))]  # fmt: skip
        self.schema = pyarrow.schema(fields)
        self.table = lancedb.connect(folder / "lance").create_table("nodes", schema=self.schema)

    def open(self, folder: Path) -> None:
        """Open the table."""
        self.table = lancedb.connect(folder / "lance").open_table("nodes")
        self.schema = self.table.schema

    def fill(self, first: int, utterances: Sequence[Utterance], vectors: Vectors | None) -> int:
        """Add a batch as columns."""
        assert vectors is not None
        flat = pyarrow.array(vectors.reshape(-1), pyarrow.float32())
        columns = {
            "number": list(range(first, first + len(utterances))),
            "text": [one.text for one in utterances],
            "speaker": [one.speaker for one in utterances],
            "session": [one.session for one in utterances],
            "vector": pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
        self.table.add(pyarrow.table(columns, schema=self.schema))
        return len(utterances)

    def remember(self, number: int, utterance: Utterance, vector: Vectors | None) -> None:
        """Add one."""
        assert vector is not None
        self.fill(number, [utterance], vector[None])

    def recall(self, query: str, vector: Vectors | None, *, dense: bool = False) -> list[str]:
        """Ask for the nearest and their texts."""
        assert vector is not None
        return [row["text"] for row in self.table.search(vector).limit(K).select(["text"]).to_list()]

    def close(self) -> None:
        """Lance writes as it goes."""
